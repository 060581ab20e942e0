"""The simulated Optimum Finance: its Instant Decision API, version 1, as its public page describes it."""

from lendrail.sandbox.optimum_finance.api import OptimumFinance as OptimumFinance
