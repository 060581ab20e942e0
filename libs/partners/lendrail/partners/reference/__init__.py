"""Partners that follow the published interface (`docs/reference-partner/`): configuration, and no code of their own."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from lendrail.contracts.terms import Status
from lendrail.partners import events
from lendrail.partners.partner import Facts, Partner, Webhook
from lendrail.partners.polling import Polling
from lendrail.partners.reference import mapping, profile, report
from lendrail.partners.signatures import STANDARD_WEBHOOKS


def reference_partner(
    name: str,
    title: str,
    *,
    countries: Sequence[str] = (),
    required: Sequence[str] = (),
    documents: Sequence[str] = profile.DOCUMENTS,
    turnaround: Mapping[Status, float] = MappingProxyType({}),
) -> Partner:
    """`countries` (ISO 3166-1 alpha-2) whose businesses it takes, all where empty; `required` pointers into the
    application; `documents` it takes; `turnaround`: seconds that it says it usually takes, by status.
    """
    translations = mapping.Translations(name, countries, required)
    return Partner(
        name=name,
        title=title,
        auth=profile.AUTH,
        operations=profile.OPERATIONS,
        facts=Facts(
            country=", ".join(countries) or "any",
            source="the interface published in docs/reference-partner/",
            required=tuple(required),
            documents=tuple(documents),
            statuses=profile.STATUSES,
            lacks=profile.LACKS,
        ),
        check=translations.check,
        create=translations.create,
        outcome=translations.outcome,
        search=mapping.search,
        found=mapping.found,
        delivery=mapping.delivery,
        document=mapping.document,
        update=translations.update,
        accept=mapping.accept,
        read=mapping.read,
        report=report.report,
        index=mapping.index,
        listed=report.listed,
        poll=Polling(turnaround=turnaround),
        webhook=Webhook(
            proof=STANDARD_WEBHOOKS,
            hint=report.hint,
            report=report.proven,
            register=mapping.register_webhook,
            event_id=events.in_header("webhook-id"),
        ),
    )
