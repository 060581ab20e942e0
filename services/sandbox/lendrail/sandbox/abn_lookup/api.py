"""The one operation of the simulated register. Callers are known by the GUID in the body; whoever is not is told so
inside a 200, as with every other complaint."""

import hmac
from collections.abc import Sequence

from starlette.routing import Route

from lendrail.sandbox.abn_lookup import envelope, register
from lendrail.sandbox.abn_lookup.envelope import BadEnvelope
from lendrail.sandbox.desk import Answer, Call, Operation
from lendrail.sandbox.journal import Record
from lendrail.sandbox.partner import Tools
from lendrail.sandbox.settings import Model, User

PATH = "/abn-lookup/AbrXmlSearch/AbrXmlSearch.asmx"
ACTION = envelope.NAMESPACE + envelope.METHOD
BODY_LIMIT = 16 * 1024


class UserSettings(Model):
    """The `settings` of a user: the GUID that came with its registration."""

    guid: str


class AbnLookup:
    """One simulated partner (see `partner.Partner`). A dial's reference is the number that is asked for, eleven digits
    without spaces. Raises ValueError for a user without GUID."""

    operations = frozenset({"search_by_abn"})

    def __init__(self, tools: Tools) -> None:
        self._desk = tools.desk
        self._users = [(UserSettings.model_validate(user.settings).guid, user) for user in tools.users]

    def routes(self) -> Sequence[Route]:
        search = Operation(
            "search_by_abn", self.search, self._sign_in, _number, body_limit=BODY_LIMIT, refusal=_refusal
        )
        return [Route(PATH, self._desk.endpoint(search), methods=["POST"])]

    def apply(self, record: Record) -> None:
        """Nothing of what happened changes what the register holds."""

    def start(self) -> None:
        """Nothing was left undone."""

    def stop(self) -> None:
        """Nothing runs beside the calls."""

    def _sign_in(self, call: Call) -> User | Answer:
        action = call.request.headers.get("soapaction", "").strip('"')
        if action != ACTION:
            return _refusal(500, "Server did not recognize the value of HTTP Header SOAPAction.", "Client")
        try:
            asked = envelope.arguments(call.body)
        except BadEnvelope as error:
            return _refusal(500, f"Server was unable to read request: {error}.", "Client")
        given = asked.get("authenticationGuid", "").casefold().encode()
        for guid, user in self._users:
            if hmac.compare_digest(guid.casefold().encode(), given):
                return user
        return _xml(200, envelope.reply(asked, register.UNKNOWN_GUID))

    async def search(self, call: Call) -> Answer:
        """What the register has under the number, or a complaint; each look is an effect of kind `lookups`."""
        asked = envelope.arguments(call.body)
        if asked.get("includeHistoricalDetails") not in ("Y", "N"):
            return _xml(200, envelope.reply(asked, register.BAD_FLAG))
        found = register.search(asked.get("searchString", ""))
        said = found.description if isinstance(found, register.Refusal) else found.status
        answer = _xml(200, envelope.reply(asked, found))
        answer.reference = _number(call)
        answer.effects = [{"kind": "lookups", "said": said}]
        return answer


def _number(call: Call) -> str | None:
    return envelope.arguments(call.body).get("searchString", "").replace(" ", "") or None


def _refusal(status: int, message: str, code: str = "Server") -> Answer:
    return _xml(status, envelope.fault(code, message))


def _xml(status: int, content: bytes) -> Answer:
    return Answer(status, content, media_type="text/xml; charset=utf-8")
