"""Where this command line's control is."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from jupyter_guardrails import errors
from jupyter_guardrails.control.interface import ControlClient, Settings, connect, find_settings
from jupyter_guardrails.control.interface.settings import does_not_count


def home_of(environ: Mapping[str, str]) -> Path:
    """The home folder of whoever runs this."""
    return Path(environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Settings from the admin's directory, else from the environment; GUARDRAILS_AS names a person of the demo in *own* mode.

    PolicyError when the admin's directory is there and can't be used.
    """
    settings = find_settings([], environ, home=home_of(environ))
    person = environ.get("GUARDRAILS_AS")
    if person and not settings.self_chosen:
        return replace(settings, ignored=(*settings.ignored, does_not_count("GUARDRAILS_AS", person)))
    return replace(settings, person=person or None)


@contextlib.contextmanager
def connected(environ: Mapping[str, str]) -> Iterator[ControlClient]:
    """A client for the running control, or for one of our own for the length of this block. Refused inside of a kernel or terminal."""
    refuse_inside(environ)
    with connect(settings_from(environ)) as client:
        yield client


def refuse_inside(environ: Mapping[str, str]) -> None:
    """Control is out of reach of what it governs; without this sentence the command would try to start one of its own, and fail at a file."""
    if "GUARDRAILS_CHANNEL" in environ:
        raise errors.Refused(
            "this command needs control, which no kernel, terminal or exec of it can reach",
            next_step="type it in a shell outside of JupyterLab; a notebook is submitted with the button Submit in its toolbar, too",
            rule="built-in control-is-out-of-reach",
        )
