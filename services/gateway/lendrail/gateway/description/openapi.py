"""The public API as OpenAPI 3.1: every route, also those that other services answer, in words a newcomer can use."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lendrail.contracts.application import Application
from lendrail.contracts.terms import FieldProblem
from lendrail.gateway.description.amending import AMENDING
from lendrail.gateway.description.bodies import PROBLEM, PROBLEMS, Json
from lendrail.gateway.description.desk import DESK
from lendrail.gateway.description.erasing import ERASING
from lendrail.gateway.description.imports import IMPORTS
from lendrail.gateway.description.lists import LISTS
from lendrail.gateway.description.looks import LOOKS
from lendrail.gateway.description.operations import ABOUT, ISSUER_OPERATIONS, OPERATIONS, Operation
from lendrail.gateway.description.opportunities import OPPORTUNITY
from lendrail.gateway.issuer import SCOPES
from lendrail.gateway.lists.listed import ApplicationPage, OpportunityPage
from lendrail.gateway.shapes import ApplicationView
from lendrail.gateway.webhooks.rejections import REJECTIONS


def document(url: str, *, with_issuer: bool) -> Json:
    """The whole description."""
    more = ISSUER_OPERATIONS if with_issuer else {}
    operations = {
        **OPERATIONS,
        **OPPORTUNITY,
        **LISTS,
        **LOOKS,
        **AMENDING,
        **ERASING,
        **DESK,
        **REJECTIONS,
        **IMPORTS,
        **more,
    }
    paths: Json = {}
    for (method, path), operation in operations.items():
        paths.setdefault(path, {})[method] = _operation(method, path, operation)
    bearer: Json = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    if with_issuer:
        flow = {"tokenUrl": f"{url}/oauth/token", "scopes": SCOPES}
        bearer = {"type": "oauth2", "flows": {"clientCredentials": flow}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lendrail", "version": "1", "description": ABOUT},
        "servers": [{"url": url}],
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": {"oauth": bearer}},
    }


def _schemas() -> Json:
    shown: list[tuple[type[BaseModel], Any]] = [
        (Application, "validation"),
        (ApplicationView, "serialization"),
        (ApplicationPage, "serialization"),
        (OpportunityPage, "serialization"),
        (FieldProblem, "serialization"),
    ]
    _, definitions = models_json_schema(shown, ref_template="#/components/schemas/{model}")
    return {**definitions["$defs"], "Problem": PROBLEM}


def _operation(method: str, path: str, operation: Operation) -> Json:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    in_path = [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names]
    said: Json = {
        "operationId": f"{method} {path}",
        "summary": operation.summary,
        "description": operation.description,
        "security": [] if operation.scopes is None else [{"oauth": list(operation.scopes)}],
        "parameters": [*in_path, *operation.parameters],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        said["requestBody"] = {
            "required": operation.body_required,
            "content": {operation.body_media: {"schema": _schema(operation.body)}},
        }
    return said


def _responses(operation: Operation) -> Json:
    good: Json = {"description": "Done."}
    if operation.success != "204":
        good["content"] = {operation.media: {"schema": _schema(operation.answer)}}
    problem = {"application/problem+json": {"schema": _schema("Problem")}}
    busy = ("503",) if operation.scopes is None else ("429", "503")
    statuses = sorted({*operation.problems, *busy})
    bad = {status: {"description": PROBLEMS[status], "content": problem} for status in statuses}
    return {operation.success: good, **bad}


def _schema(of: Json | str) -> Json:
    return {"$ref": f"#/components/schemas/{of}"} if isinstance(of, str) else of


def install(app: FastAPI, url: str, *, with_issuer: bool) -> None:
    """Serve the description at `/openapi.json`, made when somebody first asks for it."""
    made: list[Json] = []

    def openapi() -> Json:
        if not made:
            made.append(document(url, with_issuer=with_issuer))
        return made[0]

    app.openapi = openapi  # type: ignore[method-assign]
