"""The one error of the local servers."""


class ServerError(Exception):
    """A program could not be had or did not start; the message is one sentence for a person."""


ADVICE = "check the network, a proxy and how this machine reaches its package sources, then run it again"
