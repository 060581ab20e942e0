"""Partners that follow the published interface and are made known by a file alone.

{"partners": [{"name": "acme-lending", "title": "Acme Lending", "countries": ["AU"],
               "required": ["/business/registrations", "/financials/annualRevenue"]}]}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from lendrail.contracts.application_fields import Country
from lendrail.contracts.application_words import UploadKind
from lendrail.contracts.terms import Model, PartnerName, Status
from lendrail.partners import PARTNERS
from lendrail.partners.partner import Partner
from lendrail.partners.reference import profile, reference_partner
from lendrail.partners.reference.schema import known

_BUILT_IN = frozenset(PARTNERS)


class BadDeclaration(ValueError):
    """The file of declared partners cannot be used; the text says where and why."""


def _known(pointer: str) -> str:
    if not known(pointer):
        raise ValueError("must be a JSON pointer to a field of the application")
    return pointer


class Declaration(Model):
    """An unknown name is an error: a misspelt rule would not be kept."""

    model_config = ConfigDict(extra="forbid")

    name: PartnerName
    title: Annotated[str, Field(min_length=1, max_length=120)]
    countries: tuple[Country, ...] = ()
    """Whose businesses it takes; all where empty."""
    required: tuple[Annotated[str, AfterValidator(_known)], ...] = ()
    """Fields of the application without which it takes none."""
    documents: tuple[UploadKind, ...] = tuple(UploadKind(each) for each in profile.DOCUMENTS)
    turnaround_hours: Mapping[Status, Annotated[float, Field(gt=0, le=8760)]] = {}
    """How long it says that it usually takes, by how an application stands meanwhile."""


class _File(Model):
    model_config = ConfigDict(extra="forbid")

    partners: tuple[Declaration, ...]


def read(path: Path) -> dict[str, Partner]:
    """The declared partners by name. Raises `BadDeclaration`."""
    try:
        declarations = _File.model_validate_json(path.read_bytes()).partners
    except OSError as error:
        raise BadDeclaration(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors())
        raise BadDeclaration(f"{path}: {'; '.join(faults)}") from None
    found: dict[str, Partner] = {}
    for each in declarations:
        if each.name in found or each.name in _BUILT_IN:
            why = "is declared twice" if each.name in found else "is the name of a partner that Lendrail brings"
            raise BadDeclaration(f"{path}: {each.name} {why}")
        usual = {status: hours * 3600 for status, hours in each.turnaround_hours.items()}
        found[each.name] = reference_partner(
            each.name,
            each.title,
            countries=each.countries,
            required=each.required,
            documents=each.documents,
            turnaround=usual,
        )
    return found


def declare(path: Path) -> None:
    """Add the declared partners to `PARTNERS`, at the start of a service. Raises `BadDeclaration`."""
    PARTNERS.update(read(path))
