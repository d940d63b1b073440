"""The kinds of values that a policy holds, each with its check and its place in the JSON Schema. A failed check is one sentence."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from jupyter_guardrails.policy.globs import check_glob
from jupyter_guardrails.policy.hosts import bracketed, check_port, normal_host, split_port
from jupyter_guardrails.policy.quantities import BYTES_PATTERN, SECONDS_PATTERN, SHARE_PATTERN, parse_amount, parse_bytes, parse_duration, parse_share
from jupyter_guardrails.policy.rowfilter import parse_filter, render
from jupyter_guardrails.policy.wording import shown

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]{0,127}", re.ASCII)
PRINCIPAL = re.compile(r"[^\s/*?\[\]{}\\\x00-\x1f\x7f]([^/*?\[\]{}\\\x00-\x1f\x7f]{0,126}[^\s/*?\[\]{}\\\x00-\x1f\x7f])?")
WITNESSES = ("journald", "syslog")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)


class UnknownName(ValueError):
    """A name that is none of the known ones; the nearest of them is shown as a hint."""

    def __init__(self, message: str, known: Sequence[str]) -> None:
        super().__init__(message)
        self.known = list(known)


class Strict(BaseModel):
    """Base of all parts of the file: unknown keys are errors, nothing is converted silently, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _text(check: Callable[[str], object], what: str) -> Callable[[object], str]:
    """A validator for text that passes `check`, which raises ValueError with a sentence or returns something false."""

    def validate(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"must be {what}, not {shown(value)}" + (": put it in quotes" if isinstance(value, int | float) else ""))
        if not check(value):
            raise ValueError(f"must be {what}, not {shown(value)}")
        return value

    return validate


def is_principal(name: str) -> bool:
    """True for what may name a person or a group: safe in a path, no pattern, no control characters."""
    return PRINCIPAL.fullmatch(name) is not None and name not in (".", "..")


def need_text(value: object) -> str:
    """The value if it is text; ValueError, as a sentence, if not."""
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {shown(value)}")
    return value


def plain_setting(value: object) -> object:
    """A scalar or a list of them; ValueError, as a sentence, for anything else."""
    items = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(item, str | int | float | bool) for item in items):
        raise ValueError("must be text, a number, true or false, or a list of those")
    return value


def _or_off(parse: Callable[[object], int]) -> Callable[[object], int | None]:
    """A validator that takes `off` too, and says so."""

    def validate(value: object) -> int | None:
        try:
            return None if value == "off" else parse(value)
        except ValueError as error:
            raise ValueError(f"{error} (off: no limit)") from None

    return validate


def _window(value: object) -> int | None:
    """Seconds of a rolling window, or None for `month`."""
    try:
        return None if value == "month" else parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error} (month: the calendar month)") from None


def _path(value: str) -> bool:
    """True for an absolute path without `..`, patterns and placeholders other than {user}."""
    parts = value.replace("{user}", "user").split("/")
    return value.startswith("/") and not {"..", "."} & set(parts) and not re.search(r"[*?{}\x00-\x1f]", value.replace("{user}", ""))


def _write_path(value: str) -> bool:
    return _path(value) and bool(value.strip("/"))


def _url(value: object) -> str:
    """An http(s) address without credentials, which belong in control's credentials file; the error doesn't repeat them."""
    if not isinstance(value, str) or not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[!-~]*)?", value):
        raise ValueError("must be an http(s) address without user or password in it")
    return value


def _host_port(value: object) -> str:
    """`mail.example.com:587`; ValueError with what is wrong."""
    host, port = split_port(value if isinstance(value, str) else "")
    return f"{bracketed(normal_host(host))}:{check_port(port)}"


def _mail(value: object) -> str:
    """One plain address; nothing in it can end a header."""
    if not isinstance(value, str) or len(value) > 254 or not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", value):
        raise ValueError("must be one mail address, like platform@example.com")
    return value


def _witness(value: object) -> str:
    """Where a witness of the audit log is; an http address without credentials, like every other."""
    if isinstance(value, str) and (value in WITNESSES or re.fullmatch(r"(udp|tcp)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?", value)):
        return value
    if isinstance(value, str) and value.startswith("http"):
        return _url(value)
    raise ValueError(f"must be journald, syslog, udp://host:port, tcp://host:port or an OTLP collector's https://…, not {shown(value)}")


def _ranges(value: object) -> tuple[str, ...]:
    """One address range or several, in normal form."""
    items = value if isinstance(value, tuple) else (value,)
    return tuple(_range(item) for item in items)


def _range(value: object) -> str:
    try:
        return str(ipaddress.ip_network(value if isinstance(value, str) else ""))
    except ValueError:
        raise ValueError(f"must be an address range, like 10.0.0.0/8, not {shown(value)}") from None


def _filter(value: object) -> str:
    return render(parse_filter(value))


def _schema(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


_OFF = "^off$|"
Bytes = Annotated[int, BeforeValidator(parse_bytes), _schema(BYTES_PATTERN, "2GiB")]
BytesOrOff = Annotated[int | None, BeforeValidator(_or_off(parse_bytes)), _schema(_OFF + BYTES_PATTERN, "20GiB")]
Duration = Annotated[int, BeforeValidator(parse_duration), _schema(SECONDS_PATTERN, "12h")]
DurationOrOff = Annotated[int | None, BeforeValidator(_or_off(parse_duration)), _schema(_OFF + SECONDS_PATTERN, "8h")]
Window = Annotated[int | None, BeforeValidator(_window), _schema("^month$|" + SECONDS_PATTERN, "7d")]
Share = Annotated[float, BeforeValidator(parse_share), _schema(SHARE_PATTERN, "80%")]
Amount = Annotated[float, BeforeValidator(parse_amount), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})]
Name = Annotated[str, BeforeValidator(_text(NAME.fullmatch, "a name of letters, digits and _ . @ + -")), _schema(f"^{NAME.pattern}$", "analysts")]
Principal = Annotated[
    str,
    BeforeValidator(_text(lambda text: is_principal(text), "the name of a person or group")),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ["ana"]}),
]
Glob = Annotated[str, BeforeValidator(check_glob), WithJsonSchema({"type": "string", "minLength": 1, "examples": ["nyc/*"]})]
Variable = Annotated[str, BeforeValidator(_text(VARIABLE.fullmatch, "the name of an environment variable")), _schema(f"^{VARIABLE.pattern}$", "LANG")]
Text = Annotated[str, BeforeValidator(_text(lambda text: text.strip() and "\0" not in text, "text")), WithJsonSchema({"type": "string"})]
ReadPath = Annotated[
    str, BeforeValidator(_text(_path, "an absolute path without .. or patterns ({user} may stand in it)")), _schema("^/", "/opt/shared-conda")
]
WritePath = Annotated[
    str,
    BeforeValidator(_text(_write_path, "an absolute path below /, without .. or patterns ({user} may stand in it)")),
    _schema("^/.", "/scratch/{user}"),
]
Url = Annotated[str, BeforeValidator(_url), _schema("^https?://", "https://hooks.example.com/x")]
HostPort = Annotated[str, BeforeValidator(_host_port), _schema("^.+:[0-9]{1,5}$", "mail.example.com:587")]
MailAddress = Annotated[str, BeforeValidator(_mail), _schema("^[^@\\s]+@[^@\\s]+$", "platform@example.com")]
SecretPath = Annotated[
    str,
    BeforeValidator(_text(lambda text: _path(text) and "{" not in text, "an absolute path without .. or patterns")),
    _schema("^/", "/etc/jupyter/guardrails/credentials/notify"),
]
WitnessAddress = Annotated[str, BeforeValidator(_witness), _schema("^(journald|syslog|(udp|tcp|https?)://.*)$", "journald")]
Ranges = Annotated[
    tuple[str, ...], BeforeValidator(_ranges), WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}, "examples": ["10.0.0.0/8"]})
]
RowFilter = Annotated[str, BeforeValidator(_filter), WithJsonSchema({"type": "string", "examples": ["origin = 'JFK'"]})]
Mode = Literal["observe", "warn", "enforce"]
MaskKind = Literal["partial", "hash", "constant", "blank"]  # from loose to strict


class Short(Strict):
    """Base of parts that may also be written as one text: `_from_text` says what that means."""

    text_schema: ClassVar[dict[str, Any]] = {"type": "string"}

    @classmethod
    def _from_text(cls, text: str) -> dict[str, Any]:
        raise NotImplementedError

    @model_validator(mode="before")
    @classmethod
    def _accept_text(cls, value: Any) -> Any:
        return cls._from_text(value) if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Called by pydantic for `policy schema`: the text or the mapping."""
        return {"anyOf": [cls.text_schema, handler.resolve_ref_schema(handler(core_schema))]}


class People(Strict):
    """Some people: one of the users or groups matches."""

    users: tuple[Glob, ...] = Field(default=(), description="Names of people; patterns allowed.")
    groups: tuple[Glob, ...] = Field(default=(), description="Names of groups; patterns allowed.")

    @property
    def in_words(self) -> list[str]:
        """`ana`, `group platform`: each of them by itself."""
        return [*self.users, *(f"group {name}" for name in self.groups)]
