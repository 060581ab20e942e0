"""The simulated Finpace: SME lending in the `/v1` generation of its reference."""

from lendrail.sandbox.finpace.api import Finpace as Finpace
