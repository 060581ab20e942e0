"""The simulated registry outlives a kill -9, and holds callers to the partner's guide."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.sandbox.process import Sandbox, wait_for

DOCUMENT = "batch_collection[0].financing_validation_request_details[0].referred_documents[0].document_summary"
FVR = "batch_collection[0].financing_validation_request_details[0]"
BIC = "ZZZZSGS0XXX"


def settings(name: str, **more: Any) -> dict[str, Any]:
    own = {"clientId": name, "clientSecret": "not-a-secret", "decisionDelayMs": 0} | more
    return {"partner": "monetago", "user": name, "settings": own}


def started(folder: Path, *users: dict[str, Any]) -> Sandbox:
    sandbox = Sandbox(folder)
    (folder / "config.json").write_text(json.dumps({"users": list(users)}))
    return sandbox.start()


def client(sandbox: Sandbox, name: str) -> httpx.Client:
    asked = {"client_id": name, "client_secret": "not-a-secret", "grant_type": "client_credentials"}
    asked["audience"] = "https://audience.example.test"
    reply = httpx.post(f"{sandbox.url}/monetago/oauth/token", json=asked, trust_env=False)
    assert reply.status_code == 200
    assert reply.json()["expires_in"] == 43_200
    headers = {"Authorization": f"Bearer {reply.json()['access_token']}"}
    return httpx.Client(base_url=f"{sandbox.url}/monetago/v1", headers=headers, trust_env=False, timeout=10)


def registration(name: str = "test_set_1", number: str = "INV-TEST-1", amount: str = "120,000.00") -> dict[str, Any]:
    """As in the partner's guide, with other names."""
    summary = {
        "document_type": "CINV",
        "issue_date": "2030-01-02",
        "seller_identification": {"name": "Fake Exports Pte Ltd", "country_of_domicile": "SG"},
        "buyer_identification": {"name": "Fake Imports Inc", "country_of_domicile": "US"},
        "invoice_number": number,
        "total_invoice_amount": {"currency": "SGD", "amount": "150,000.25"},
    }
    details = {
        "submitter_data_set_identification": name,
        "financing_applicant": {"name": "Fake Exports Pte Ltd", "country_of_domicile": "SG"},
        "financing_request_amount": {"currency": "SGD", "amount": amount},
        "referred_documents": [{"submitter_document_reference": f"{name}_inv1", "document_summary": summary}],
    }
    batch = {
        "submitter_batch_identification": "test_batch_1",
        "data_set_validation_service": "REGI",
        "financing_validation_request_details": [details],
    }
    return {
        "pool_identification": "test_pool_1",
        "submitting_financial_institution_identification": BIC,
        "batch_collection": [batch],
    }


def register(api: httpx.Client, **changes: str) -> str:
    reply = api.post("/registrations", json=registration(**changes))
    assert reply.status_code == 202, reply.text
    assert set(reply.json()) == {"request_identification"}, "no result, only an id"
    return str(reply.json()["request_identification"])


def status(api: httpx.Client, request_id: str) -> str:
    (only,) = api.get(f"/status/{request_id}").json()["financing_validation_requests"]
    return str(only["financing_request_status"])


def until(api: httpx.Client, request_id: str, wanted: str) -> None:
    wait_for(lambda: status(api, request_id) == wanted)


def test_what_was_pending_is_matched_after_a_kill_and_all_is_still_known(tmp_path: Path) -> None:
    slow = settings("slow", decisionDelayMs=600)
    sandbox = started(tmp_path, slow, settings("other"))
    try:
        api, other = client(sandbox, "slow"), client(sandbox, "other")
        theirs = register(other)
        until(other, theirs, "REGU")
        ours, stuck = register(api, name="test_set_2"), register(api, name="test_set_3", amount="50,003.00")
        assert status(api, ours) == "PNDG"
        assert status(other, theirs) == "REGU", "what is pending matches nothing yet"
        sandbox.kill()
        sandbox.start()
        until(api, ours, "REDU")
        until(other, theirs, "REDU")
        sandbox.kill()
        sandbox.start()
        assert [status(api, ours), status(api, stuck), status(other, theirs)] == ["REDU", "PNDG", "REDU"]
        events = other.get("/activity").json()["activity"]
        assert [each["financing_request_status"] for each in events] == ["PNDG", "REGU", "REDU"]
        assert [each["event_time"] for each in events] == sorted(each["event_time"] for each in events)
    finally:
        sandbox.stop()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Any:
    sandbox = started(tmp_path_factory.mktemp("monetago"), settings("lender", institution=BIC), settings("other"))
    with client(sandbox, "lender") as opened:
        yield opened
    sandbox.stop()


def spoilt(path: str, value: Any) -> dict[str, Any]:
    """A registration with the value at `path` replaced; None takes it out."""
    made: Any = registration()
    place, steps = made, path.replace("[0]", ".0").split(".")
    for step in steps[:-1]:
        place = place[int(step) if step.isdigit() else step]
    if value is None:
        del place[steps[-1]]
    else:
        place[steps[-1]] = value
    return dict(made)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("submitting_financial_institution_identification", None),
        ("submitting_financial_institution_identification", "lower"),
        ("submitting_financial_institution_identification", "ZZZZUSS0XXX"),
        ("pool_identification", "p" * 36),
        ("batch_collection", []),
        ("batch_collection[0].data_set_validation_service", "AUTH"),
        ("batch_collection[0].batch_booking", "yes"),
        (f"{FVR}.submitter_data_set_identification", None),
        (f"{FVR}.financing_applicant.name", None),
        (f"{FVR}.financing_applicant.country_of_domicile", "SGP"),
        (f"{FVR}.financing_request_amount", None),
        (f"{FVR}.financing_request_amount.amount", "1,20.00"),
        (f"{FVR}.financing_request_amount.amount", 120000),
        (f"{FVR}.financing_request_amount.currency", "S$"),
        (f"{FVR}.referred_documents", []),
        (f"{DOCUMENT}.document_type", "XXXX"),
        (f"{DOCUMENT}.issue_date", "2030-02-30"),
        (f"{DOCUMENT}.invoice_number", None),
        (f"{DOCUMENT}.invoice_number", " "),
        (f"{DOCUMENT}.seller_identification.name", None),
        (f"{DOCUMENT}.buyer_identification.name", None),
        (f"{DOCUMENT}.total_invoice_amount.amount", None),
    ],
)
def test_faults_are_named_by_their_place(api: httpx.Client, path: str, value: Any) -> None:
    reply = api.post("/registrations", json=spoilt(path, value))
    assert reply.status_code == 400
    assert path in {each["path"] for each in reply.json()["errors"]}


def test_only_one_document_of_a_type_in_one_request(api: httpx.Client) -> None:
    body = registration()
    documents = body["batch_collection"][0]["financing_validation_request_details"][0]["referred_documents"]
    documents.append(documents[0])
    reply = api.post("/registrations", json=body)
    assert reply.status_code == 400
    assert [each["path"] for each in reply.json()["errors"]] == [f"{FVR}.referred_documents"]


def test_ids_of_every_kind_and_only_one_kind_in_a_call(api: httpx.Client) -> None:
    ours = register(api, name="kinds", number="INV-KINDS")
    until(api, ours, "REGU")
    (found,) = api.get("/financing-validation-requests", params={"submitter_data_set_identification": "kinds"}).json()[
        "financing_validation_requests"
    ]
    assert found["financing_request_amount"] == {"currency": "SGD", "amount": "120000.00"}, "no separators here"
    base = {"submitting_financial_institution_identification": BIC}
    both = [{"request_identification": ours}, {"batch_identification": found["batch_identification"]}]
    assert api.post("/financings", json=base | {"financing_batch": both}).status_code == 400
    financed = api.post("/financings", json=base | {"financing_batch": both[1:]})
    assert financed.status_code == 202
    assert financed.json()["request_identification"] != ours
    assert status(api, ours) == "FNCD"
    named = {"submitter_data_set_identification": "kinds", "cancellation_reason": "OBSA"}
    assert api.post(
        "/cancellations", json=base | {"cancellation_batch": [named | {"cancellation_reason": "X"}]}
    ).is_error
    cancelled = api.post("/cancellations", json=base | {"cancellation_batch": [named]}).json()["cancellation_id"]
    told = api.get(f"/cancellation/{cancelled}/status").json()["financing_validation_requests"]
    assert [each["financing_request_status"] for each in told] == ["CANC"]
    assert api.post("/cancellations", json=base | {"cancellation_batch": [named]}).status_code == 409


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/status/nothing", 404),
        ("/cancellation/nothing/status", 404),
        ("/document-matches/nothing", 404),
        ("/financing-validation-requests?colour=blue", 400),
        ("/activity?limit=0", 400),
        ("/activity?after=yesterday", 400),
        ("/activity?offset=-1", 400),
    ],
)
def test_questions_that_have_no_answer(api: httpx.Client, path: str, code: int) -> None:
    assert api.get(path).status_code == code


def test_token_is_asked_for_in_json_and_without_parameters(api: httpx.Client) -> None:
    url = str(api.base_url).replace("/v1/", "/oauth/token")
    asked = {"client_id": "lender", "client_secret": "not-a-secret", "grant_type": "client_credentials"}
    full = asked | {"audience": "https://audience.example.test"}
    with httpx.Client(trust_env=False) as plain:
        assert plain.post(url, json=full).status_code == 200
        assert plain.post(f"{url}?a=b", json=full).status_code == 400
        assert plain.post(url, data=full).status_code == 400
        assert plain.post(url, json=asked).status_code == 401
        assert plain.post(url, json=full | {"client_secret": "x"}).status_code == 401
        assert plain.post(url, json=full | {"grant_type": "password"}).status_code == 400
        assert plain.get(f"{api.base_url}activity").status_code == 401
