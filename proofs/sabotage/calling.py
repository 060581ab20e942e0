"""Partners that call, by HTTP and by Kafka: whose call it is, who may make it, and that what is taken rests.

The text that is replaced must be in its file exactly once: whoever moves a protection moves its row too.
"""

from __future__ import annotations

from proofs.sabotage.copied import Edit
from proofs.sabotage.row import GATEWAY, PARTNERS, Row

PUSH, DOOR = f"{GATEWAY}/webhooks/push.py", f"{GATEWAY}/webhooks/door.py"
SOURCES, SIGNATURES = f"{GATEWAY}/webhooks/sources.py", f"{PARTNERS}/signatures.py"
BY_KAFKA, SIGNED = "tests/gateway/test_push.py::", "tests/partners/test_signatures.py::"

CALLING = (
    Row(
        name="push-account",
        protection="push topics: the topic's name says whose record it is, and nothing in the record",
        edits=(
            Edit(
                file=PUSH,
                search="self._tenants.current.by_push.get(record.topic.removeprefix(PUSH.prefix))",
                replace="next(iter(self._tenants.current.by_push.values()), None)",
            ),
        ),
        proofs=(f"{BY_KAFKA}test_what_cannot_be_taken_is_a_dead_letter_and_the_rest_is_kept",),
        reports="assert 5 == 2",
        judge="what the store was given",
        quick=True,
    ),
    Row(
        name="push-proof",
        protection="push topics: a partner that signs must sign there too",
        edits=(
            Edit(
                file=PUSH,
                search="    if not verify(webhook.proof, ",
                replace="    if None is verify(webhook.proof, ",
            ),
        ),
        proofs=(f"{BY_KAFKA}test_where_the_partner_signs_the_headers_must_hold_the_proof",),
        reports="DID NOT RAISE",
        judge="what is taken",
        quick=True,
    ),
    Row(
        name="push-hint",
        protection="push topics: the right to write there is a proof only where the account says so",
        edits=(
            Edit(
                file=PUSH,
                search='        return "verified" if account.push == "proven" else "hint"',
                replace='        return "verified"',
            ),
        ),
        proofs=(f"{BY_KAFKA}test_a_record_is_a_call_of_its_topics_account",),
        reports="'verified' == 'hint'",
        judge="as what it is taken",
        quick=True,
    ),
    Row(
        name="push-time",
        protection="push topics: nobody chooses when its record came",
        edits=(
            Edit(
                file=PUSH,
                search="    if record.timestamp_type != OF_THE_BROKER or record.timestamp is None:",
                replace="    if record.timestamp is None:",
            ),
        ),
        proofs=(f"{BY_KAFKA}test_nobody_chooses_when_it_came",),
        reports="the writer's word",
        judge="the time that is believed",
        quick=True,
    ),
    Row(
        name="push-again",
        protection="push topics: a record that is read again came when it came, so it is the same call",
        edits=(Edit(file=PUSH, search="        received=received,\n", replace="        received=now,\n"),),
        proofs=(f"{BY_KAFKA}test_a_record_may_wait_for_us_where_the_broker_says_when_it_came",),
        reports=r"assert datetime",
        judge="the time of which its id is made",
        quick=True,
    ),
    Row(
        name="push-durable",
        protection="push topics: no record is done with before its call is stored",
        edits=(
            Edit(
                file=PUSH,
                search="            await self._keeper.keep(self._read(record))",
                replace="            asyncio.ensure_future(self._keeper.keep(self._read(record)))",
            ),
        ),
        proofs=(f"{BY_KAFKA}test_an_outage_hands_the_batch_out_again_and_a_defect_is_put_aside",),
        reports="DID NOT RAISE",
        judge="whether the batch is handed out again",
        quick=True,
    ),
    Row(
        name="push-outage",
        protection="push topics: a batch that the store did not take is read again",
        edits=(
            Edit(
                file=PUSH,
                search="            raise\n        except TooManyDefects:",
                replace="        except TooManyDefects:",
            ),
        ),
        proofs=("tests/gateway/test_push_crashes.py::test_a_call_is_kept_once_whatever_happens_meanwhile",),
        reports="all_kept stayed False",
        judge="calls in MongoDB, after kill -9 and an outage",
        kafka=True,
    ),
    Row(
        name="webhook-durable",
        protection="webhooks: on disk or in the store before the answer",
        edits=(
            Edit(
                file=DOOR,
                search="            await self._keeping.keep(self._call(request, found, path_id, raw, now))",
                replace="            kept = self._keeping.keep(self._call(request, found, path_id, raw, now))\n"
                "            __import__('asyncio').ensure_future(kept)",
            ),
        ),
        proofs=("tests/gateway/test_rejected.py::test_what_an_outage_turned_away_is_told_when_it_is_over",),
        reports="200",
        judge="the answer to the caller while the store is away",
        quick=True,
    ),
    Row(
        name="one-401",
        protection="webhooks: one answer for all that proves nothing, whatever is wrong with it",
        edits=(
            Edit(
                file=DOOR,
                search='"The call does not prove who sent it."',
                replace='f"The call does not prove who sent it by {len(headers)} headers."',
            ),
        ),
        proofs=("tests/gateway/test_proofs.py::test_whatever_proves_nothing_gets_one_answer_and_leaves_nothing",),
        reports=r"assert \d+ == 1",
        judge="the answers to the caller",
        quick=True,
    ),
    Row(
        name="one-404",
        protection="webhooks: one answer for all guesses",
        edits=(
            Edit(
                file=DOOR,
                search='"There is nothing here."',
                replace='f"There is nothing here of {partner}."',
            ),
        ),
        proofs=("tests/gateway/test_webhooks.py::test_guesses_all_get_the_same_answer",),
        reports=r"assert \d+ == 1",
        judge="the answers to the caller",
        kafka=True,
    ),
    Row(
        name="path-ends",
        protection="webhooks: a former address ends at its time",
        edits=(
            Edit(
                file=DOOR,
                search='None if self._clock() < until else "path-expired"',
                replace="None",
            ),
        ),
        proofs=("tests/gateway/test_rejected.py::test_every_reason_has_its_line",),
        reports="assert 200 == 404",
        judge="the answer to the caller",
        quick=True,
    ),
    Row(
        name="sources",
        protection="webhooks: where an account names networks, nobody calls from elsewhere",
        edits=(
            Edit(
                file=SOURCES,
                search="    return within(caller, wanted)",
                replace="    return caller is not None",
            ),
        ),
        proofs=(
            "tests/gateway/test_sources.py::test_the_list_of_sources",
            "tests/gateway/test_rejected.py::test_a_header_of_nobody_we_trust_says_nothing",
        ),
        reports="assert 200 == 404|assert not True",
        judge="the answer to the caller",
        quick=True,
    ),
    Row(
        name="trusted-proxies",
        protection="webhooks: only proxies of ours are believed where a call comes from",
        edits=(
            Edit(
                file=SOURCES,
                search="        if not within(found, self._trusted):\n            return found\n        hops",
                replace="        hops",
            ),
        ),
        proofs=("tests/gateway/test_sources.py::test_the_right_most_address_that_is_not_ours",),
        reports="192.0.2.99",
        judge="the address that is believed",
        quick=True,
    ),
    Row(
        name="tolerance",
        protection="signatures: the time that was signed must be now, both ways",
        edits=(
            Edit(
                file=SIGNATURES,
                search="_A_SECOND[proof.timestamp_unit]) > proof.tolerance:",
                replace="_A_SECOND[proof.timestamp_unit]) > math.inf:",
            ),
        ),
        proofs=(f"{SIGNED}test_the_clock_may_be_wrong_by_the_tolerance_both_ways",),
        reports="assert True is False",
        judge="what is believed",
        quick=True,
    ),
    Row(
        name="header-twice",
        protection="signatures: a header that comes twice is no proof",
        edits=(
            Edit(
                file=SIGNATURES,
                search="    return found[0] if len(found) == 1 and",
                replace="    return found[0] if found and",
            ),
        ),
        proofs=(f"{BY_KAFKA}test_where_the_partner_signs_the_headers_must_hold_the_proof",),
        reports="DID NOT RAISE",
        judge="what is taken",
        quick=True,
    ),
    Row(
        name="strict-base64",
        protection="signatures: one way of writing each, so that nothing else stands for it",
        edits=(
            Edit(
                file=SIGNATURES,
                search="    return value if base64.b64encode(value) == written else None",
                replace="    return value",
            ),
        ),
        proofs=("tests/partners/test_signature_mutants.py::test_no_byte_can_be_another_one",),
        reports=r"Call\(scheme=",
        judge="a second verifier, written for the tests",
        quick=True,
    ),
)
