"""What came over HTTP, as typed values; anything else is a 400 that says what is wrong."""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from tornado.web import RequestHandler

from jupyter_guardrails import errors

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """Base of bodies and queries: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


def body_as(handler: RequestHandler, model: type[Model], *, optional: bool = False) -> Model:
    """The JSON body; an empty one counts as `{}` when `optional`."""
    raw = handler.request.body or (b"{}" if optional else b"")
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise _malformed("the request's body", error) from None


def kind_of(handler: RequestHandler) -> object:
    """What a body says that it is by its `kind`; None where it says nothing, or is no object (which `body_as` then refuses)."""
    try:
        body = json.loads(handler.request.body)
    except (ValueError, RecursionError):
        return None
    return body.get("kind") if isinstance(body, dict) else None


def query_as(handler: RequestHandler, model: type[Model]) -> Model:
    """The query's arguments; one that is given twice counts once, the last. Arguments that Jupyter itself reads or adds are left out."""
    given = {key: handler.get_query_argument(key) for key in handler.request.query_arguments if not _of_jupyter(key)}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _malformed("the query", error) from None


def _of_jupyter(key: str) -> bool:
    """JupyterLab 4.6 adds the time in ms as a bare key to each address, so that no cache answers."""
    return key in ("token", "no_track_activity") or key.isdigit()


def _malformed(what: str, error: ValidationError) -> errors.BadRequest:
    """All mistakes in one sentence, and each by its place."""
    found = json.loads(error.json(include_url=False, include_input=False))
    fields = {".".join(map(str, one["loc"])) or "it": one["msg"].removeprefix("Value error, ") for one in found}
    said = "; ".join(f"{place}: {words}" for place, words in fields.items())
    return errors.BadRequest(f"{what} is not as expected: {said}", fields=fields)
