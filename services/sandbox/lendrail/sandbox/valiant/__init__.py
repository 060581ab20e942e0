"""The simulated Valiant, as referrers see it: its Lead API, as its public developer pages describe it."""

from lendrail.sandbox.valiant.api import Valiant as Valiant
