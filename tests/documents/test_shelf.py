"""What a tenant sees of its documents, and how links are taken back."""

import time
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from tests import make, support
from tests.documents.bench import FF, Bench, Validated, pdf, submit

from lendrail.contracts.terms import DocumentRef
from lendrail.runtime import audit_chain
from lendrail.runtime.tokens import AUDIENCE, Verifier

ISSUER = "http://127.0.0.1/test-issuer"
KEY = ECKey.generate_key("P-256")
TITLE = "Testa Fakely.pdf"


def bearer(scope: str, tenant: str = support.TENANT, mode: str = "test") -> dict[str, str]:
    times = {"nbf": int(time.time()), "exp": int(time.time()) + 3600}
    who = {"iss": ISSUER, "aud": AUDIENCE, "tenant": tenant, "client_id": "test-desk", "mode": mode, "scope": scope}
    return {"Authorization": f"Bearer {jwt.encode({'alg': 'ES256'}, who | times, KEY)}"}


READER, OPERATOR = bearer("applications:read"), bearer("operator")


@pytest.fixture(autouse=True)
async def issuer(bench: Bench) -> None:
    async def keys() -> KeySet:
        return KeySet([KEY])

    bench.app.state.verifier = Verifier(ISSUER, keys)


async def packaged(bench: Bench, partners: tuple[str, ...] = (FF,)) -> tuple[Validated, list[DocumentRef]]:
    """An application whose documents are fetched by link; what its partners were given."""
    bench.attachments("url")
    [delivery] = await bench.deliveries(partners=partners)
    sends = [submit(record, delivery)[1] for record in await bench.hear([delivery])]
    return delivery, [send.documents[0] for send in sends]


async def get(bench: Bench, path: str, headers: dict[str, str] = READER) -> httpx.Response:
    return await bench.http.get(path, headers=headers)


async def revoke(bench: Bench, id: str, body: Any, headers: dict[str, str] = OPERATOR) -> httpx.Response:
    return await bench.http.post(f"/v1/documents/{id}/links/revoke", json=body, headers=headers)


async def test_the_documents_of_an_application(bench: Bench) -> None:
    delivery, [summary] = await packaged(bench)
    upload = (await bench.upload(delivery.key.id, pdf(), name=TITLE)).json()
    reply = await get(bench, f"/v1/documents?application={delivery.key.id}")
    assert (reply.status_code, reply.headers["cache-control"]) == (200, "no-store")
    first, second = reply.json()["documents"]
    assert (first["id"], first["kind"], "title" in first) == (summary.id, "application-summary", False)
    assert {name: second[name] for name in upload} == upload
    assert (second["title"], second["applicationId"]) == (TITLE, delivery.key.id)


async def test_a_document_with_its_links(bench: Bench) -> None:
    delivery, [ref] = await packaged(bench)
    assert ref.link is not None
    address = ref.link.reveal()
    await bench.fetch(address)
    reply = await get(bench, f"/v1/documents/{ref.id}")
    [link] = reply.json()["links"]
    assert (link["partner"], link["used"], link["revoked"]) == (FF, 1, False)
    assert link["opportunityId"] == str(delivery.event.eligible[0].opportunity_id)
    assert link["lastUsedAt"] <= link["expiresAt"]
    assert address.rpartition("/")[2] not in reply.text


async def test_links_are_taken_back_once_and_by_name(bench: Bench) -> None:
    delivery, [ref] = await packaged(bench)
    assert ref.link is not None
    body = {"reason": "sent to Testa by mistake"}
    for count in (1, 0):
        reply = await revoke(bench, ref.id, body)
        assert (reply.status_code, reply.json()) == (200, {"revoked": count})
    assert (await bench.fetch(ref.link.reveal())).status_code == 404
    [stored] = await bench.database["links"].find({}).to_list()
    [entry] = stored["audit"]
    assert (entry["who"], entry["what"], entry["application"]) == ("test-desk", "link-revoked", delivery.key.id)
    assert delivery.key.open(entry["why"]) == body["reason"]
    assert "Testa" not in repr(stored)
    [link] = (await get(bench, f"/v1/documents/{ref.id}")).json()["links"]
    assert link["revoked"] is True


async def test_the_audit_tells_who_took_a_link_back(bench: Bench) -> None:
    delivery, [ref] = await packaged(bench)
    await revoke(bench, ref.id, {"reason": "sent by mistake"})
    store = audit_chain.Store(bench.database, (bench.database["links"],))
    await store.prepare()
    assert await audit_chain.chain("documents", store) == 1
    [told] = (await get(bench, "/v1/audit", OPERATOR)).json()["items"]
    assert (told["who"], told["what"], told["why"]) == ("test-desk", "link-revoked", "sent by mistake")
    assert (told["applicationId"], told["about"]) == (delivery.key.id, {"document": ref.id})


async def test_one_partners_link_only(bench: Bench) -> None:
    delivery, [ref] = await packaged(bench)
    assert ref.link is not None
    other = {"reason": "no", "opportunityId": str(make.new_id())}
    assert (await revoke(bench, ref.id, other)).json() == {"revoked": 0}
    assert (await bench.fetch(ref.link.reveal())).status_code == 200
    own = {"reason": "no", "opportunityId": str(delivery.event.eligible[0].opportunity_id)}
    assert (await revoke(bench, ref.id, own)).json() == {"revoked": 1}


async def test_strangers_see_and_change_nothing(bench: Bench) -> None:
    delivery, [ref] = await packaged(bench)
    listing, one = f"/v1/documents?application={delivery.key.id}", f"/v1/documents/{ref.id}"
    for path in (listing, one, f"/v1/documents?application={make.new_id()}", "/v1/documents/nothing"):
        for stranger in (bearer("applications:read", "rival"), bearer("applications:read", mode="live")):
            assert (await get(bench, path, stranger)).status_code == 404
        assert (await get(bench, path, {})).status_code == 401
        assert (await get(bench, path, bearer("endpoints:write"))).status_code == 403
    assert (await revoke(bench, ref.id, {"reason": "no"}, bearer("operator", "rival"))).status_code == 404
    assert (await revoke(bench, ref.id, {"reason": "no"}, READER)).status_code == 403
    assert ref.link is not None
    assert (await bench.fetch(ref.link.reveal())).status_code == 200
    upload = (await bench.upload((await bench.key()).id, pdf())).json()
    assert (await get(bench, f"/v1/documents/{upload['id']}")).status_code == 404, (
        "nobody's, as far as it is known here"
    )


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": "no", "all": True}, [], {"reason": "no", "opportunityId": "x"}]
)
async def test_a_revocation_that_cannot_be_read(bench: Bench, body: Any) -> None:
    _, [ref] = await packaged(bench)
    reply = await revoke(bench, ref.id, body)
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid-request")
    assert reply.json()["errors"]


async def test_an_erased_applicant(bench: Bench) -> None:
    delivery, [ref] = await packaged(bench)
    await bench.service.vault.erase(delivery.key.id)
    for reply in (
        await get(bench, f"/v1/documents?application={delivery.key.id}"),
        await get(bench, f"/v1/documents/{ref.id}"),
        await revoke(bench, ref.id, {"reason": "no"}),
    ):
        assert (reply.status_code, reply.json()["code"]) == (410, "erased")
