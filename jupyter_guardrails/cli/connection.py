"""Where this command line's control is."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from jupyter_guardrails.control.interface import Settings, find_settings


def home_of(environ: Mapping[str, str]) -> Path:
    """The home folder of whoever runs this."""
    return Path(environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Settings from the admin's directory, else from the environment; GUARDRAILS_AS names a person of the demo in *own* mode."""
    settings = find_settings([], environ, home=home_of(environ))
    person = environ.get("GUARDRAILS_AS")
    return replace(settings, person=person) if person and settings.self_chosen else settings
