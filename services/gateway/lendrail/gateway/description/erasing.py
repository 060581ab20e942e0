"""The operation that erases an application, in the words of the public description."""

from __future__ import annotations

from typing import get_args

from lendrail.gateway.description.bodies import Json
from lendrail.gateway.description.operations import KEY, Operation
from lendrail.gateway.erasing.routes import Reason

BODY: Json = {
    "type": "object",
    "required": ["reason"],
    "properties": {
        "reason": {"enum": list(get_args(Reason)), "description": "Kept in clear with who asked for it, and when."},
        "evenIfOpen": {
            "type": "boolean",
            "default": False,
            "description": "Although a partner still works on it. It keeps what it was sent; nothing is withdrawn "
            "there, and its answers are dropped.",
        },
    },
}
ERASED: Json = {
    "type": "object",
    "required": ["applicationId", "status"],
    "properties": {"applicationId": {"type": "string", "format": "uuid"}, "status": {"const": "erased"}},
}
ERASING: dict[tuple[str, str], Operation] = {
    ("post", "/v1/applications/{id}/erase"): Operation(
        "Erase an application",
        "For good. `200` means that its data key is deleted: nobody can read the person any more, in our stores, in "
        "their backups and on Kafka, and what was kept of it is dropped within seconds. That it was there, its ids and "
        "its times stay, and so does the audit. Erasing it again gives the same answer. While a partner still works "
        "on it this is a 409 `still-open` that names the opportunities: withdraw them first, or state `evenIfOpen`.",
        ("applications:erase",),
        body=BODY,
        answer=ERASED,
        problems=("400", "401", "403", "404", "409", "413", "415", "422", "503"),
        parameters=(KEY,),
    ),
}
