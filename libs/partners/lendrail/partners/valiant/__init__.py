"""Valiant's Lead API: profile (facts), mapping (calls, replies), lead (the body), words (its option lists)."""

from lendrail.partners.partner import Lists, Partner
from lendrail.partners.valiant import mapping, profile, words

VALIANT = Partner(
    name=profile.NAME,
    title="Valiant",
    auth=profile.AUTH,
    operations=profile.OPERATIONS,
    facts=profile.FACTS,
    check=mapping.check,
    create=mapping.create,
    outcome=mapping.outcome,
    read=mapping.read,
    report=mapping.report,
    poll=profile.POLL,
    lists=Lists(
        names=profile.OPTION_NAMES,
        lifetime=profile.LISTS_SECONDS,
        request=words.options_request,
        read=words.read_options,
        into=words.with_lists,
    ),
)
