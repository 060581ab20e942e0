"""The simulated MonetaGo Secure Financing: a registry of trade documents that really compares what its users send.

Shapes that the partner does not publish (results, lists, events, errors, cancellation fields) are its own proposals.
"""

from lendrail.sandbox.monetago.api import MonetaGo as MonetaGo
