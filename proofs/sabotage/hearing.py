"""What we make of partners' words: whom we ask after them, files of statuses, and what people do at the desk.

The text that is replaced must be in its file exactly once: whoever moves a protection moves its row too.
"""

from __future__ import annotations

from proofs.sabotage.copied import Edit
from proofs.sabotage.row import STATUS, Row

HINTS, TIMING = f"{STATUS}/hints.py", f"{STATUS}/timing.py"
FLOOD, AUDIT = "tests/status/test_flood.py::", "tests/status/test_desk_audit.py::"

HEARING = (
    Row(
        name="hints-unknown",
        protection="hints: calls about ids that we do not have make us ask nobody",
        edits=(
            Edit(
                file=HINTS,
                search='        named = {"$or": [*_either(ids, ours, "ours")["$or"], *others]}',
                replace='        named = {"credential": {"$in": [call["credential"] for call in calls]}}',
            ),
            Edit(
                file=HINTS,
                search='        or alias.get((call["credential"], call["partner_id"]), ())',
                replace="        or documents",
            ),
        ),
        proofs=(f"{FLOOD}test_unknown_ids_cost_no_call_at_the_partner",),
        reports="assert {|deal_status|calls",
        judge="the partner's ledger, under a thousand forged calls a second",
    ),
    Row(
        name="hints-window",
        protection="hints: one look in each window, and the windows grow",
        edits=(
            Edit(
                file=TIMING,
                search='        "due": {"$max": ["$$NOW", "$fetch.not_before"]},\n        "fetch.reason": "hint",',
                replace='        "due": "$$NOW",\n        "fetch.reason": "hint",',
            ),
        ),
        proofs=(f"{FLOOD}test_a_known_id_costs_one_look_in_each_window",),
        reports=r"assert 1 <= |assert \(?\d+ - \d+",
        judge="the partner's ledger, under a thousand forged calls a second",
    ),
    Row(
        name="hints-one-look",
        protection="hints: one look answers all calls that came before it began",
        edits=(
            Edit(
                file=TIMING,
                search='    return {"$cond": [{"$gt": ["$fetch.hinted_at", began]}, then, otherwise]}',
                replace='    return {"$cond": [{"$gt": ["$fetch.hinted_at", None]}, then, otherwise]}',
            ),
        ),
        proofs=("tests/status/test_fetch.py::test_the_same_reply_is_stored_once_and_many_calls_are_one_look",),
        reports="<= 2|stayed None",
        judge="the partner's ledger",
    ),
    Row(
        name="hints-unproven",
        protection="hints: a call that proves nothing states nothing",
        edits=(
            Edit(
                file=f"{STATUS}/reports.py",
                search='    return bool(call.get("verified") and known and known.webhook and known.webhook.report)',
                replace="    return bool(known and known.webhook and known.webhook.report)",
            ),
        ),
        proofs=("tests/status/test_reports.py::test_what_is_not_proven_reports_nothing",),
        reports="approved",
        judge="versions that were published",
        quick=True,
    ),
    Row(
        name="import-same",
        protection="files: the same file is recognised and not read again",
        edits=(
            Edit(
                file=f"{STATUS}/imports/store.py",
                search="wanted.credential, sha256, wanted.format.digest",
                replace="wanted.credential, uuid.uuid4().hex, wanted.format.digest",
            ),
        ),
        proofs=("tests/status/test_import_service.py::test_the_same_file_is_the_same_import",),
        reports=r'"state":"waiting"',
        judge="the answer to whoever sends it",
        quick=True,
    ),
    Row(
        name="import-once",
        protection="files: whoever dies in the middle, no row is stored twice",
        edits=(
            Edit(
                file=f"{STATUS}/imports/hearing.py",
                search='    return str(uuid.uuid5(NAMESPACE, f"csv|{opportunity}|{content_of(event)}"))',
                replace="    return str(uuid.uuid4())",
            ),
        ),
        proofs=("tests/status/test_import_crashes.py::test_whoever_dies_the_next_goes_on_from_the_stored_row",),
        reports=r"assert \d+ == 510",
        judge="observations in MongoDB, after the worker died",
    ),
    Row(
        name="import-lease",
        protection="files: whoever lost the lease of a file writes nothing more of it",
        edits=(
            Edit(
                file=f"{STATUS}/imports/store.py",
                search='        where = {"_id": document["_id"], "lease.token": lease.token}',
                replace='        where = {"_id": document["_id"]}',
            ),
        ),
        proofs=("tests/status/test_import_crashes.py::test_a_lost_lease_changes_nothing_more",),
        reports="'done' == 'waiting'",
        judge="the import in MongoDB",
        quick=True,
    ),
    Row(
        name="import-old-rows",
        protection="files: an old row changes no newer truth",
        edits=(
            Edit(
                file=f"{STATUS}/imports/hearing.py",
                search="        at = min(event.time, received)",
                replace="        at = received",
            ),
        ),
        proofs=("tests/status/test_imports.py::test_an_old_row_changes_no_newer_truth",),
        reports=r"'changed'",
        judge="what is told of the row, and the status that is shown",
        quick=True,
    ),
    Row(
        name="desk-correct",
        protection="desk: who corrects and why stands in the write that makes it so",
        edits=(
            Edit(
                file=f"{STATUS}/desk/correcting.py",
                search="            return {**further, **_audited(actor, act, now or document, after, key, once)}"
                " if fresh else further",
                replace="            late.update(_audited(actor, act, now or document, after, key, once))\n"
                "            return further",
            ),
            Edit(
                file=f"{STATUS}/desk/correcting.py",
                search="        await self._opportunities.hear(heard, extra)\n",
                replace="        late: Document = {}\n"
                "        await self._opportunities.hear(heard, extra)\n"
                '        await collection.update_one({"_id": opportunity}, [{"$set": late}])\n',
            ),
        ),
        proofs=(f"{AUDIT}test_a_correction_a_pin_and_its_end",),
        reports="it took effect without an entry",
        judge="the first write of the act, as MongoDB lists it",
        quick=True,
    ),
    Row(
        name="desk-words",
        protection="desk: who says what a word means, and why, stands in the write that makes it so",
        edits=(
            Edit(
                file=f"{STATUS}/desk/vocabulary.py",
                search='    return [{"$set": fields | said | audit.staged(entry)}, ',
                replace='    return [{"$set": fields | said}, ',
            ),
            Edit(
                file=f"{STATUS}/desk/vocabulary.py",
                search="            done = await self.collection.update_one(where, stages, upsert=True)\n",
                replace="            done = await self.collection.update_one(where, stages, upsert=True)\n"
                "            late = audit.staged(entry | once.beside(answer))\n"
                '            await self.collection.update_one({"_id": identity}, [{"$set": late}])\n',
            ),
        ),
        proofs=(f"{AUDIT}test_what_a_word_means_and_its_end",),
        reports="it took effect without an entry",
        judge="the first write of the act, as MongoDB lists it",
        quick=True,
    ),
    Row(
        name="desk-merge",
        protection="desk: who merges a call and why stands in the write that makes it so",
        edits=(
            Edit(
                file=f"{STATUS}/desk/merging.py",
                search='        stages = [{"$set": fields | {"rev": {"$add": ["$rev", 1]}} | said}]',
                replace='        stages = [{"$set": fields | {"rev": {"$add": ["$rev", 1]}}}]',
            ),
            Edit(
                file=f"{STATUS}/desk/merging.py",
                search="            return answer if (await self._opportunities.update_one(where, stages))"
                ".matched_count else None",
                replace="            done = await self._opportunities.update_one(where, stages)\n"
                '            await self._opportunities.update_one({"_id": opportunity}, [{"$set": said}])\n'
                "            return answer if done.matched_count else None",
            ),
        ),
        proofs=(f"{AUDIT}test_a_call_that_is_merged_and_one_that_is_nobodys",),
        reports="it took effect without an entry",
        judge="the first write of the act, as MongoDB lists it",
        quick=True,
    ),
)
