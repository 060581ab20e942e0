"""The simulated Forward Financing: both revisions of its partner API, as its public documentation describes them."""

from lendrail.sandbox.forward_financing.api import ForwardFinancing as ForwardFinancing
