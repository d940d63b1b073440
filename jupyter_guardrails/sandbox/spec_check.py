"""Whether a specification makes sense, field by field, before anything starts: the shim and the judge rely on it."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.sandbox import wire
from jupyter_guardrails.sandbox.spec import Limits, SandboxSpec

MEND = "look for this value in the kernelspec (`argv`, `env`) and in the profile of the policy"
MAX_BYTES = (1 << 63) - 1
MAX_NUMBER = 1 << 31
MAX_FORWARDS = wire.MAX_FDS - 3  # beside channel, proxy and tracer
MAX_SOCKET_NAME_BYTES = 107  # sun_path without the leading NUL of an abstract name
RANGES: dict[str, tuple[float, float]] = {  # of `limits`; those that may be fractions are in FRACTIONS
    "memory_bytes": (1, MAX_BYTES),
    "cpus": (0.001, MAX_NUMBER),
    "tasks": (1, MAX_NUMBER),
    "open_files": (1, MAX_NUMBER),
    "file_size_bytes": (0, MAX_BYTES),
    "shm_bytes": (0, MAX_BYTES),
    "lifetime_s": (0.001, MAX_NUMBER),
}
LOOPBACK = re.compile(r"127(\.(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}")
FRACTIONS = ("cpus", "lifetime_s")
FLAGS = ("tty", "observed", "trace")
CHOICES = {"network": ("none", "host"), "root": ("own", "shared")}
FOLDERS = ("read", "write", "devices", "shut", "told", "beside")


def check(spec: SandboxSpec) -> None:
    """BadRequest with the field's name for the first one that makes no sense."""
    _list_of_texts("argv", spec.argv)
    if not spec.argv or not spec.argv[0]:
        raise BadRequest("there is no program to start: argv is empty", next_step=MEND)
    _paths("cwd", [spec.cwd])
    for name in FOLDERS:
        _list_of_texts(name, getattr(spec, name))
        _paths(name, getattr(spec, name))
    _list_of_texts("require", spec.require)
    _environment(spec.env)
    _covers(spec.covers)
    for name, among in CHOICES.items():
        if getattr(spec, name) not in among:
            raise _wrong(name, f"one of {', '.join(among)}", getattr(spec, name))
    for name in FLAGS:
        if not isinstance(getattr(spec, name), bool):
            raise _wrong(name, "true or false", getattr(spec, name))
    _optional(spec)
    _limits(spec.limits)


def _optional(spec: SandboxSpec) -> None:
    if spec.proxy_port is not None:
        _number("proxy_port", spec.proxy_port, 1, 65535)
    _forwards(spec.forwards)
    if spec.temporary is not None:
        _paths("temporary", [spec.temporary])
    if spec.channel is not None:
        _text("channel", spec.channel)
        if not 0 < len(os.fsencode(spec.channel)) <= MAX_SOCKET_NAME_BYTES:
            raise _wrong("channel", f"1 to {MAX_SOCKET_NAME_BYTES} bytes", spec.channel)


def _limits(limits: Limits) -> None:
    if not isinstance(limits, Limits):
        raise _wrong("limits", "Limits", limits)
    for name in (field.name for field in fields(Limits)):
        value = getattr(limits, name)
        if value is not None or name == "open_files":
            _number(f"limits.{name}", value, *RANGES[name], fraction=name in FRACTIONS)


def _number(name: str, value: Any, least: float, most: float, *, fraction: bool = False) -> None:
    kinds = (int, float) if fraction else (int,)
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value) or not least <= value <= most:
        raise _wrong(name, f"a {'' if fraction else 'whole '}number from {least:g} to {most:g}", value)


def _list_of_texts(name: str, value: Any) -> None:
    if not isinstance(value, (tuple, list)):
        raise _wrong(name, "a list of texts", value)
    for one in value:
        _text(name, one)


def _text(name: str, value: Any) -> None:
    """What the system can take as an argument or a name: no NUL, and no half of a character."""
    if not isinstance(value, str):
        raise _wrong(name, "text", value)
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise _wrong(name, "text that can be encoded", value) from None
    if "\0" in value:
        raise _wrong(name, "text without NUL", value)


def _paths(name: str, paths: Iterable[Any]) -> None:
    for path in paths:
        _text(name, path)
        if not path.startswith("/"):
            raise BadRequest(f"paths of a sandbox must be absolute, this one in {name} is not: {_shown(path)}", next_step=MEND)


def _environment(env: Any) -> None:
    if not isinstance(env, Mapping):
        raise _wrong("env", "names with values", env)
    for name, value in env.items():
        _text("env", name)
        _text("env", value)
        if not name or "=" in name:
            raise _wrong("env", "names without = that are not empty", name)


def _covers(covers: Any) -> None:
    if not isinstance(covers, (tuple, list)):
        raise _wrong("covers", "pairs of paths", covers)
    for pair in covers:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise _wrong("covers", "pairs of paths", pair)
        _paths("covers", pair)


def _forwards(forwards: Any) -> None:
    if not isinstance(forwards, (tuple, list)) or len(forwards) > MAX_FORWARDS:
        raise _wrong("forwards", f"at most {MAX_FORWARDS} pairs of address and port", forwards)
    for pair in forwards:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not isinstance(pair[0], str) or not LOOPBACK.fullmatch(pair[0]):
            raise _wrong("forwards", "pairs of a loopback address and a port", pair)
        _number("forwards", pair[1], 1, 65535)


def _wrong(name: str, wanted: str, value: Any) -> BadRequest:
    return BadRequest(f"{name} of a sandbox must be {wanted}, not {_shown(value)}", next_step=MEND)


def _shown(value: Any) -> str:
    """Short, and printable whatever it is."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
