"""What comes to us and what we say of it: nothing lost, nothing twice, nothing that was not so.

The text that is replaced must be in its file exactly once: whoever moves a protection moves its row too.
"""

from __future__ import annotations

from proofs.sabotage.copied import Edit
from proofs.sabotage.row import GATEWAY, RUNTIME, STATUS, SUBMISSION, Row

BLIND = "tests/submission/test_blind.py::"

TAKING = (
    Row(
        name="inbox",
        protection="inbox: an event that is known has no second effect",
        edits=(
            Edit(
                file=f"{RUNTIME}/inbox.py",
                search="    stored = await _stored(collection, list(first))",
                replace="    stored: dict[str, Document] = {}",
            ),
        ),
        proofs=("tests/runtime/test_step.py::test_a_redelivered_event_publishes_what_is_stored",),
        reports=r"\.computed",
        judge="effects that were computed, records in the topic",
        kafka=True,
    ),
    Row(
        name="inbox-intents",
        protection="inbox: an event that comes again asks a partner for nothing again",
        edits=(
            Edit(
                file=f"{SUBMISSION}/planning/plan.py",
                search="    if known is not None and cause.id in known.inbox:",
                replace="    if known is not None and cause.id == known.id:",
            ),
        ),
        proofs=("tests/submission/test_inbox.py",),
        reports="asked for twice",
        judge="what is planned",
        quick=True,
    ),
    Row(
        name="outbox",
        protection="outbox: the event is stored in the write that made it true",
        edits=(
            Edit(
                file=f"{SUBMISSION}/store.py",
                search='            fields |= {"outbox": {"$concatArrays": ["$outbox", records]},',
                replace='            told = {"outbox": {"$concatArrays": ["$outbox", records]},',
            ),
            Edit(
                file=f"{SUBMISSION}/store.py",
                search="        return await self._writes.update(where, stages)",
                replace=(
                    "        done = await self._writes.update(where, stages)\n"
                    "        if done and acks:\n"
                    '            await self.collection.update_one({"_id": opportunity.id}, [{"$set": told}])\n'
                    "        return done"
                ),
            ),
        ),
        proofs=(f"{BLIND}test_killed_at_any_point_it_has_it_once[store.opportunities.after#2]",),
        reports="was told of it",
        judge="records that were published, after kill -9",
    ),
    Row(
        name="ack-policy",
        protection="ack policy: a batch that failed is not committed",
        edits=(Edit(file=f"{RUNTIME}/broker.py", search="AckPolicy.NACK_ON_ERROR", replace="AckPolicy.ACK"),),
        proofs=("tests/runtime/test_step.py::test_an_outage_of_our_store_loses_nothing",),
        reports="stayed False",
        judge="effects in MongoDB",
        kafka=True,
    ),
    Row(
        name="final-states",
        protection="status: final states stay what they are",
        edits=(
            Edit(
                file=f"{STATUS}/folding/decided.py",
                search="        if before is None or before not in FINAL or before == after:",
                replace="        if before is None or before is not after or before == after:",
            ),
        ),
        proofs=("tests/status/test_fold.py::test_final_states_are_final_but_for_the_listed_exceptions",),
        reports=r"diff: <Status\.",
        judge="the status that is shown",
        quick=True,
    ),
    Row(
        name="pins-hold",
        protection="status: what a person pinned is held whatever the partner says",
        edits=(
            Edit(
                file=f"{STATUS}/folding/fold.py",
                search="    layer = held(free, pin) if pin is not None else free\n",
                replace="    layer = free\n",
            ),
        ),
        proofs=("tests/status/test_persons.py::test_a_pin_holds_whatever_the_partner_says_and_shows_what_that_is",),
        reports=r"diff: <Status\.APPROVED",
        judge="the status that is shown",
        quick=True,
    ),
    Row(
        name="times-of-writes",
        protection="status: what was known at a time stays so, whatever a replica's clock says",
        edits=(
            Edit(
                file=f"{STATUS}/folding/written.py",
                search="    return max([now, *heard, *(told_at(each) for each in outbox[-1:])])\n",
                replace="    return now\n",
            ),
        ),
        proofs=("tests/status/test_history.py::test_a_clock_that_goes_back_changes_nothing_that_was_known",),
        reports="was shown and is not what was told",
        judge="versions in the order in which they were published",
        quick=True,
    ),
    Row(
        name="status-version",
        protection="status: of two that fold at the same time one folds again",
        edits=(
            Edit(
                file=f"{STATUS}/store.py",
                search='as_read, is_new = {"_id": first.subject.id, "rev": known.rev}, document is None',
                replace='as_read, is_new = {"_id": first.subject.id}, document is None',
            ),
        ),
        proofs=("tests/status/test_handlers.py::test_two_replicas_lose_nothing_to_one_another",),
        reports=r"assert \d+ == 8",
        judge="observations in MongoDB, versions that were published",
        quick=True,
    ),
    Row(
        name="webhooks",
        protection="webhooks: a repeated call is one call",
        edits=(
            Edit(
                file=f"{GATEWAY}/webhooks/calls.py",
                search='    return uuid.uuid5(NAMESPACE, f"webhook|{partner}|{credential}|{content}|{when}{about}")',
                replace="    return uuid.uuid4()",
            ),
        ),
        proofs=("tests/gateway/test_proofs.py::test_a_proven_call_is_stored_as_verified",),
        reports="repeats are one call",
        judge="webhooks in MongoDB",
        quick=True,
    ),
    Row(
        name="spool-sync",
        protection="webhooks: on disk before the answer, while the store is away",
        edits=(
            Edit(file=f"{GATEWAY}/webhooks/spool.py", search="        os.fdatasync(current.descriptor)\n", replace=""),
        ),
        proofs=("tests/gateway/test_spool.py::test_nobody_is_answered_before_the_sync",),
        reports="answered before it was on disk",
        judge="who was answered",
    ),
    Row(
        name="spool-drain",
        protection="webhooks: a file of the spool goes when all of it is stored",
        edits=(
            Edit(
                file=f"{GATEWAY}/webhooks/drain.py",
                search="        faults = await self._write(found.records)",
                replace="        faults = await self._write(found.records[1:])",
            ),
        ),
        proofs=("tests/gateway/test_drain.py::test_the_next_process_drains_what_this_one_left",),
        reports="assert .*== ",
        judge="what the store holds",
    ),
    Row(
        name="proxies",
        protection="webhooks: a caller does not say itself where it is",
        edits=(
            Edit(
                file=f"{GATEWAY}/webhooks/sources.py",
                search="        for hop in reversed(hops):",
                replace="        for hop in hops:",
            ),
        ),
        proofs=("tests/gateway/test_sources.py::test_the_right_most_address_that_is_not_ours",),
        reports="192.0.2.99",
        judge="the address that is believed",
    ),
    Row(
        name="webhook-proof",
        protection="webhooks: nobody speaks for a partner that signs",
        edits=(
            Edit(
                file=f"{GATEWAY}/webhooks/door.py",
                search="        if verify(webhook.proof, secrets, headers, raw, now):",
                replace="        if verify(webhook.proof, secrets, headers, raw, now) or True:",
            ),
        ),
        proofs=("tests/gateway/test_proofs.py::test_whatever_proves_nothing_gets_one_answer_and_leaves_nothing",),
        reports="assert 200 == 401",
        judge="the answer to the caller",
        quick=True,
    ),
    Row(
        name="fingerprint",
        protection="idempotency key: it stands for one body",
        edits=(
            Edit(
                file=f"{GATEWAY}/door.py",
                search='        if key.open(known["fingerprint"]) != receive.fingerprint(data):',
                replace='        if not key.open(known["fingerprint"]):',
            ),
        ),
        proofs=("tests/gateway/test_door.py::test_a_key_gives_its_first_answer_again",),
        reports="assert 202 == 422",
        judge="the answer to the caller",
        kafka=True,
    ),
    Row(
        name="key-once",
        protection="idempotency key: the store takes it once",
        edits=(
            Edit(
                file=f"{GATEWAY}/store.py",
                search='            [("tenant", 1), ("idempotency", 1)], unique=True, partialFilterExpression=keyed',
                replace='            [("tenant", 1), ("idempotency", 1)], partialFilterExpression=keyed',
            ),
        ),
        proofs=("tests/gateway/test_door_replicas.py::test_a_key_is_taken_once_whichever_replica_is_asked",),
        reports="[23] applications under one key",
        judge="applications in MongoDB",
        quick=True,
    ),
)
