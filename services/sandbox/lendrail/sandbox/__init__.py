"""Simulated finance partners over real sockets; knows nothing of the other services, as a real partner would not."""
