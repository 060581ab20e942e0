"""The simulated partner that follows the published interface to the letter (`docs/reference-partner/openapi.yaml`)."""

from lendrail.sandbox.reference_partner.api import ReferencePartner as ReferencePartner
