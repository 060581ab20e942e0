"""Nothing personal in clear, nothing left of who was erased, no act unseen: how each protection is switched off.

The text that is replaced must be in its file exactly once: whoever moves a protection moves its row too.
"""

from __future__ import annotations

from proofs.sabotage.copied import Edit
from proofs.sabotage.row import CONTRACTS, RUNTIME, Row

KEEPING = (
    Row(
        name="seal-bytes",
        protection="encryption: bytes are sealed before they rest",
        edits=(
            Edit(
                file=f"{RUNTIME}/vault.py",
                search="        nonce = os.urandom(12)\n",
                replace="        return os.urandom(12) + plain\n        nonce = b''\n",
            ),
            Edit(
                file=f"{RUNTIME}/vault.py",
                search='            raise SealBroken("sealed under another key, or altered") from None',
                replace="            return sealed[12:]",
            ),
        ),
        proofs=("tests/gateway/test_proofs.py::test_a_proven_call_is_stored_as_verified",),
        reports="'Canarywitz900000018' not in",
        judge="bytes in MongoDB",
        quick=True,
    ),
    Row(
        name="seal-fields",
        protection="encryption: personal fields are sealed in events",
        edits=(
            Edit(
                file=f"{CONTRACTS}/sensitive.py",
                search="        return MASK if key is None else value.seal(key)",
                replace="        return MASK if key is None else value.reveal()",
            ),
        ),
        proofs=("tests/gateway/test_door.py::test_an_application_is_taken_and_can_be_read",),
        reports="b'Fakely' not in",
        judge="the stored record",
        kafka=True,
    ),
    Row(
        name="mask-values",
        protection="masking: a personal value shows nothing unless it is revealed",
        edits=(
            Edit(
                file=f"{CONTRACTS}/sensitive.py",
                search='        return f"{type(self).__name__}({MASK})"',
                replace='        return f"{type(self).__name__}({self._plain})"',
            ),
        ),
        proofs=("tests/contracts/test_sensitive.py::test_nothing_is_shown_without_being_asked",),
        reports="Zelda-Canary",
        judge="every way of showing it",
        quick=True,
    ),
    Row(
        name="mask-dumps",
        protection="masking: without a key a dump has the mask",
        edits=(
            Edit(
                file=f"{CONTRACTS}/sensitive.py",
                search="        return MASK if key is None else value.seal(key)",
                replace="        return value.reveal() if key is None else value.seal(key)",
            ),
        ),
        proofs=("tests/contracts/test_sensitive.py::test_nothing_is_shown_without_being_asked",),
        reports="Zelda-Canary",
        judge="JSON",
        quick=True,
    ),
    Row(
        name="mask-errors",
        protection="masking: an error names the field and not what was in it",
        edits=(
            Edit(
                file=f"{CONTRACTS}/problems.py",
                search="    for each in error.errors(include_url=False, include_input=False):",
                replace="    for each in error.errors(include_url=False):",
            ),
            Edit(
                file=f"{CONTRACTS}/problems.py",
                search="message=message[:1000]))",
                replace="message=f\"{message}: {each['input']}\"[:1000]))",
            ),
        ),
        proofs=("tests/contracts/test_sensitive.py::test_errors_quote_nothing",),
        reports="Zelda-Canary|1970-02-31|900-12-34567",
        judge="the answer to the caller",
        quick=True,
    ),
    Row(
        name="mask-exceptions",
        protection="masking: a log has no exception's text",
        edits=(
            Edit(
                file=f"{RUNTIME}/logs.py",
                search='        event["exception"] = type(error).__name__',
                replace='        event["exception"] = repr(error)',
            ),
        ),
        proofs=("tests/runtime/test_logs.py",),
        reports="Zelda-Canary",
        judge="what the process wrote",
        quick=True,
    ),
    Row(
        name="mask-libraries",
        protection="masking: a log has no arguments of what libraries say",
        edits=(
            Edit(
                file=f"{RUNTIME}/logs.py",
                search="said = record.name, str(record.msg)[:200]",
                replace="said = record.name, record.getMessage()[:200]",
            ),
        ),
        proofs=("tests/runtime/test_logs.py",),
        reports="Zelda-Canary",
        judge="what the process wrote",
        quick=True,
    ),
    Row(
        name="mask-secrets",
        protection="masking: a log has no value under a secret's name",
        edits=(Edit(file=f"{RUNTIME}/logs.py", search='            event[name] = "***"', replace="            pass"),),
        proofs=("tests/runtime/test_logs.py",),
        reports="fake-secret",
        judge="what the process wrote",
        quick=True,
    ),
    Row(
        name="erased-events",
        protection="erasure: an event of an erased person is dropped",
        edits=(
            Edit(
                file=f"{RUNTIME}/step.py",
                search="        erased = await self.vault.erased(lost) if lost else set()",
                replace="        erased: set[str] = set()",
            ),
        ),
        proofs=("tests/runtime/test_step_erased.py::test_an_event_of_an_erased_person_is_dropped_and_kept_nowhere",),
        reports="a letter is kept of an erased person",
        judge="records in the dead letters' topic",
        kafka=True,
    ),
    Row(
        name="erased-keys",
        protection="erasure: the data key is gone",
        edits=(
            Edit(
                file=f"{RUNTIME}/vault.py",
                search='{"$set": {"erased": {"$ifNull": ["$erased", "$$NOW"]}}}, {"$unset": "wrapped"}]',
                replace='{"$set": {"erased": {"$ifNull": ["$erased", "$$NOW"]}}}]',
            ),
        ),
        proofs=("tests/runtime/test_vault.py::test_an_erased_key_is_gone_for_good",),
        reports="DID NOT RAISE",
        judge="what can be opened",
        quick=True,
    ),
    Row(
        name="forgetting",
        protection="erasure: every service forgets what it kept",
        edits=(
            Edit(
                file=f"{RUNTIME}/forgetting.py",
                search="            await forget(applications)",
                replace="            pass",
            ),
        ),
        proofs=("tests/runtime/test_forgetting.py::test_each_erasure_is_told_once_soon_and_once_later",),
        reports=r"assert \[\] ==",
        judge="what the service was asked to forget",
        quick=True,
    ),
    Row(
        name="audit-hash",
        protection="audit: a link's hash covers its entry",
        edits=(
            Edit(
                file=f"{RUNTIME}/audit_chain.py",
                search='"previous": previous, "entry": entry})',
                replace='"previous": previous, "entry": entry["id"]})',
            ),
        ),
        proofs=("tests/runtime/test_audit_verify.py::test_what_was_tampered_with_is_named",),
        reports="'was changed' in",
        judge="the look at a chain that was tampered with",
        quick=True,
    ),
    Row(
        name="audit-owners",
        protection="audit: the chain is compared with what owners hold",
        edits=(
            Edit(
                file=f"{RUNTIME}/audit_verify.py",
                search='            if canonical(only(stored)) != canonical(links[entry]["entry"]):',
                replace="            if not links[entry]:",
            ),
        ),
        proofs=("tests/runtime/test_audit_verify.py::test_what_was_tampered_with_is_named",),
        reports="None is not None",
        judge="the look at a chain that was tampered with",
        quick=True,
    ),
)
