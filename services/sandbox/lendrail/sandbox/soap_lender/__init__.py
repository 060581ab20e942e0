"""The simulated SOAP lender: both versions of SOAP, WS-Security, typed faults, a mailbox; lxml and no SOAP library."""

from lendrail.sandbox.soap_lender.api import SoapLender as SoapLender
