"""The simulated ABN Lookup: the Australian Business Register's search by number over SOAP 1.1."""

from lendrail.sandbox.abn_lookup.api import AbnLookup as AbnLookup
