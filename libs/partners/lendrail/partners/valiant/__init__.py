"""Valiant's Lead API: profile (facts), form (the lead), mapping (calls, replies)."""

from dataclasses import replace

from lendrail.partners.choices import read_list
from lendrail.partners.partner import Lists, Partner
from lendrail.partners.polling import Polling
from lendrail.partners.valiant import mapping, profile
from lendrail.partners.valiant.form import FORM

VALIANT = Partner(
    name=profile.NAME,
    title="Valiant",
    auth=profile.AUTH,
    operations=profile.OPERATIONS,
    facts=replace(profile.FACTS, required=FORM.required),
    check=FORM.check,
    create=mapping.create,
    outcome=mapping.outcome,
    read=mapping.read,
    report=mapping.report,
    poll=Polling(waits=profile.POLL),
    lists=Lists(
        names=profile.OPTION_NAMES,
        lifetime=profile.LISTS_SECONDS,
        request=mapping.options,
        read=read_list,
        into=mapping.with_lists,
    ),
)
