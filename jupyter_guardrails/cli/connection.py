"""Where this command line's control is."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from jupyter_guardrails.control.interface import Settings, find_settings
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
