"""Every labelled point, struck by every kind of fault, under applications for every capability class."""
