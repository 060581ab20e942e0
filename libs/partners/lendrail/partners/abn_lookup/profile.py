"""Facts of ABN Lookup. Public: abr.business.gov.au, its page of web service methods and its page of exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from xml.sax.saxutils import escape

from pydantic import SecretStr

from lendrail.partners.channels.auth import AuthScheme, Plain
from lendrail.partners.channels.soap import SoapService
from lendrail.partners.exchange import Request
from lendrail.partners.partner import Capability, Facts, Operation

NAME = "abn-lookup"
TITLE = "ABN Lookup"
OPERATION = "search-by-abn"
METHOD = "SearchByABNv202001"
"""The newest of six; the older ones stay, each with an entity element of its own."""
SERVICE = SoapService(files("lendrail.partners.abn_lookup").joinpath("abr.wsdl"), tolerant=True)
"""Tolerant: required elements are left out in practice (`replacedIdentifierValue`), and most of a reply is not read."""
ACTIVE, CANCELLED = "active", "cancelled"
NO_DATE = "0001-01-01"
"""How a date that is not there is written."""
PLACE_OF_GUID = "--authentication-guid--"


@dataclass(frozen=True)
class GuidInBody(Plain):
    """The caller's GUID is an element of the body and the whole credential: it is put in when the call is sent, and
    the register repeats it in its reply.
    """

    guid: SecretStr

    def sign(self, request: Request) -> Request:
        secret = escape(self.guid.get_secret_value()).encode()
        return replace(request, content=request.content.replace(PLACE_OF_GUID.encode(), secret))


def _guid() -> AuthScheme:
    """`guid`."""
    return lambda given, _: GuidInBody(given["guid"])


AUTH: Mapping[str, AuthScheme] = {"guid": _guid()}
OPERATIONS = {OPERATION: Operation(capability=Capability.HARMLESS, deadline=10, processing=0, repeats=2)}
"""As long and as often as validation is set unless told otherwise: the deadline is of all tries together."""
FACTS = Facts(
    country="AU",
    source="the register's public pages of its web service methods and of its exceptions",
    lacks={
        "look-up by name or ACN": "a number that the applicant gave is checked, none is found for them",
        "history": "not asked for: only what holds now is compared",
        "address, tax and charity facts": "not read: nothing of them decides where an application goes",
        "business without an ABN": "not asked about: a missing number is no fault of an application",
    },
)
