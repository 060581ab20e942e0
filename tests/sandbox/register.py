"""The simulated register as a process: one caller, and requests as any client would write them."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
from tests.sandbox.process import Sandbox

GUID = "00000000-0000-4000-8000-000000000000"
SPACE = "http://abr.business.gov.au/ABRXMLSearch/"
ACTION = f'"{SPACE}SearchByABNv202001"'


class Register(Sandbox):
    """A sandbox with one caller of the register."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        user = {"partner": "abn-lookup", "user": "caller", "settings": {"guid": GUID}}
        (folder / "config.json").write_text(json.dumps({"users": [user]}))
        self.asmx = f"{self.url}/abn-lookup/AbrXmlSearch/AbrXmlSearch.asmx"

    def post(self, body: str | bytes, action: str = ACTION) -> httpx.Response:
        head = {"content-type": "text/xml; charset=utf-8", "soapaction": action}
        return httpx.post(self.asmx, content=body, headers=head, trust_env=False)

    def set(self, **dial: Any) -> None:
        """A dial of the register."""
        assert httpx.post(f"{self.url}/_dials/abn-lookup", json=dial, trust_env=False).status_code == 201

    def clear(self) -> None:
        httpx.delete(f"{self.url}/_dials/abn-lookup", trust_env=False)

    def lookups(self, number: str) -> dict[str, Any]:
        """What the register's books have of one number."""
        return dict(httpx.get(f"{self.url}/_ledger/abn-lookup?reference={number}", trust_env=False).json())

    def search(self, number: str, guid: str = GUID, history: str = "N") -> tuple[int, ElementTree.Element]:
        reply = self.post(request(number, guid, history))
        return reply.status_code, ElementTree.fromstring(reply.content)


def request(number: str, guid: str = GUID, history: str = "N", head: str = "") -> str:
    return (
        f'{head}<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        f'<SearchByABNv202001 xmlns="{SPACE}"><searchString>{number}</searchString>'
        f"<includeHistoricalDetails>{history}</includeHistoricalDetails>"
        f"<authenticationGuid>{guid}</authenticationGuid></SearchByABNv202001></s:Body></s:Envelope>"
    )
