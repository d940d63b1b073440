"""Which addresses the clients of this machine are set to: pip and uv, conda, git, model hubs. No host is named in here: theirs are read."""

from __future__ import annotations

import ast
import configparser
import contextlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

PROGRAM_S = 60.0
PORTS = {"https": 443, "http": 80}
PIP_KEYS = ("index-url", "extra-index-url", "find-links", "no-index")
UV_VARIABLES = {
    "UV_DEFAULT_INDEX": "index-url",
    "UV_INDEX_URL": "index-url",
    "UV_INDEX": "extra-index-url",
    "UV_EXTRA_INDEX_URL": "extra-index-url",
    "UV_FIND_LINKS": "find-links",
}
CONDA_KEYS = ("channel_alias", "default_channels", "custom_channels", "channels")
GIT_KEY = re.compile(r"(?:url\.(?P<base>.+)\.(?:push)?insteadof|(?:http|credential)\.(?P<url>[a-z]+://.+)\.[a-z]+)", re.DOTALL)
INDEX_NAME = re.compile(r"^[A-Za-z0-9_.-]+=(?=[a-z]+://)")  # UV_INDEX: name=https://…


@dataclass(frozen=True, slots=True)
class Address:
    """What a client is set to, and by what. `url` may hold a password: it is for `places` alone and shown to nobody."""

    url: str
    source: str


@dataclass(frozen=True, slots=True)
class Here:
    """Where settings are looked for: the environment, a home folder, the system's /etc, and the Python whose pip is asked."""

    environ: Mapping[str, str]
    home: Path
    etc: Path = Path("/etc")
    python: str = sys.executable

    @property
    def config(self) -> Path:
        """The account's folder of settings."""
        return Path(self.environ.get("XDG_CONFIG_HOME") or self.home / ".config")

    def output(self, *command: str) -> str:
        """What a program prints, empty when it is missing or fails. It runs in / so that no project's settings count."""
        program = shutil.which(command[0], path=self.environ.get("PATH", os.defpath))
        if program is None:
            return ""
        environment = {**self.environ, "HOME": str(self.home)}
        try:
            done = subprocess.run([program, *command[1:]], cwd="/", env=environment, capture_output=True, text=True, timeout=PROGRAM_S, check=False)
        except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
            return ""
        return done.stdout if done.returncode == 0 else ""

    def text(self, file: Path) -> str:
        """A settings file, empty when there is none that can be read."""
        try:
            return file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def python_addresses(here: Here) -> list[Address]:
    """Package indexes of pip and uv; pip's built-in one where nothing replaces it, and its second host wherever the first is used."""
    settings = [*_environment_settings(here.environ), *_pip_settings(here), *_uv_settings(here)]
    found = [Address(INDEX_NAME.sub("", url), source) for key, value, source in settings if key != "no-index" for url in value.split()]
    built_in = _built_in_index()
    replaced = any(key in ("index-url", "no-index") for key, _, _ in settings)
    if built_in and (not replaced or place_of(built_in[0]) in [place_of(address.url) for address in found]):
        found += [Address(url, "pip's built-in index") for url in built_in]
    return found


Settings = Iterator[tuple[str, str, str]]  # key as pip names it, value, source


def _environment_settings(environ: Mapping[str, str]) -> Settings:
    names = {**{"PIP_" + key.upper().replace("-", "_"): key for key in PIP_KEYS}, **UV_VARIABLES}
    return ((key, environ[name], name) for name, key in names.items() if environ.get(name))


def _pip_settings(here: Here) -> Settings:
    """From pip itself (`-I`: a folder `pip` where the admin happens to stand is not it), else from the files that it would read."""
    listed = here.output(here.python, "-I", "-m", "pip", "--disable-pip-version-check", "config", "list")
    for line in listed.splitlines():
        place, _, value = line.partition("=")
        key = place.rpartition(".")[2]
        if key in PIP_KEYS and not place.startswith(":env:"):
            yield key, str(ast.literal_eval(value)), f"pip's {place}"
    if not listed:
        yield from _pip_files(here)


def _pip_files(here: Here) -> Settings:
    named = here.environ.get("PIP_CONFIG_FILE")
    own = [Path(named)] if named else [here.home / ".pip" / "pip.conf", here.config / "pip" / "pip.conf"]  # a named one stands for one's own
    files = [here.etc / "pip.conf", here.etc / "xdg" / "pip" / "pip.conf", *own, Path(here.python).parent.parent / "pip.conf"]
    for file in files if named != os.devnull else []:  # pip's way to say: no file at all
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(here.text(file))
        except configparser.Error:
            continue
        for section in parser.sections():
            yield from ((key, parser[section][key], str(file)) for key in PIP_KEYS if key in parser[section])


def _uv_settings(here: Here) -> Settings:
    named = here.environ.get("UV_CONFIG_FILE")
    files = [Path(named)] if named else [here.config / "uv" / "uv.toml", here.etc / "uv" / "uv.toml", here.etc / "xdg" / "uv" / "uv.toml"]
    for file in files:
        try:
            settings = tomllib.loads(here.text(file))
        except tomllib.TOMLDecodeError:
            continue
        yield from ((key, value, str(file)) for key, value in _uv_addresses(settings))


def _uv_addresses(settings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Those of `[[index]]`, and those under pip's names, at the top or in `[pip]`."""
    for index in _items(settings.get("index")):
        if isinstance(index, dict):
            yield "index-url" if index.get("default") else "extra-index-url", str(index.get("url", ""))
    for table in (settings, settings.get("pip")):
        if isinstance(table, dict):
            yield from ((key, str(value)) for key in PIP_KEYS if key in table for value in _items(table[key]) if value)


def _built_in_index() -> tuple[str, ...]:
    """The index that pip uses when nobody sets one, and the host that its files come from; empty without pip."""
    try:
        index = importlib.import_module("pip._internal.models.index").PyPI  # imported late: pip is optional, and this is its own
        return index.url, f"https://{index.file_storage_domain}"
    except (ImportError, AttributeError):  # no pip, or one that keeps it elsewhere
        return ()


def conda_addresses(here: Here) -> list[Address]:
    """The channels that conda would ask, from conda itself or from its files."""
    printed = here.output(here.environ.get("CONDA_EXE") or "conda", "config", "--show", *CONDA_KEYS, "--json")
    with contextlib.suppress(json.JSONDecodeError):  # nothing, or words around it: then its files tell
        return list(_channels(json.loads(printed), "conda config"))
    merged: dict[str, Any] = {}
    source = ""
    for file in _condarc_files(here):
        try:
            settings = yaml.safe_load(here.text(file))
        except yaml.YAMLError:
            continue
        if isinstance(settings, dict) and any(key in settings for key in CONDA_KEYS):
            merged, source = {**merged, **{key: settings[key] for key in CONDA_KEYS if key in settings}}, str(file)
    return list(_channels(merged, source))


def _condarc_files(here: Here) -> list[Path]:
    """From what counts least to what counts most."""
    own = [here.home / ".conda" / ".condarc", here.home / ".condarc", here.config / "conda" / ".condarc"]
    prefixes = [Path(here.environ[name]) / ".condarc" for name in ("CONDA_ROOT", "MAMBA_ROOT_PREFIX", "CONDA_PREFIX") if here.environ.get(name)]
    named = [Path(here.environ["CONDARC"])] if here.environ.get("CONDARC") else []
    return [here.etc / "conda" / ".condarc", here.etc / "conda" / "condarc", *prefixes, *own, *named]


def _channels(settings: Mapping[str, Any], source: str) -> Iterator[Address]:
    """Where each channel lies: an address, one of conda's defaults, one with a place of its own, else below the alias."""
    custom = settings.get("custom_channels")
    custom = custom if isinstance(custom, dict) else {}
    for channel in _items(settings.get("channels", ["defaults"] if settings else [])):
        name = str(channel)
        places: Iterable[Any]
        if "://" in name:
            places = [name]
        elif name == "defaults":
            places = _items(settings.get("default_channels"))
        else:
            places = [custom.get(name) or custom.get(name.partition("/")[0]) or settings.get("channel_alias")]
        yield from (Address(url, source) for place in places for url in [_channel_url(place)] if url)


def _channel_url(place: Any) -> str:
    """A channel is text in files, and `{scheme, location, …}` in conda's JSON."""
    if isinstance(place, dict):
        return f"{place.get('scheme') or 'https'}://{place.get('location')}" if place.get("location") else ""
    return str(place) if place and "://" in str(place) else ""


def git_addresses(here: Here) -> list[Address]:
    """Hosts that git rewrites to, or has settings or credentials for; a project's own remotes don't count."""
    found = []
    for entry in here.output("git", "config", "--list", "--null").split("\0"):
        key = entry.partition("\n")[0]
        match = GIT_KEY.fullmatch(key)
        if match:
            found.append(Address(match["base"] or match["url"], f"git's {key.partition('.')[0]}.*.{key.rpartition('.')[2]}"))
    return [address for address in found if place_of(address.url)]


def model_addresses(here: Here) -> list[Address]:
    """The hub that Hugging Face's clients are set to, or have built in."""
    if here.environ.get("HF_ENDPOINT"):
        return [Address(here.environ["HF_ENDPOINT"], "HF_ENDPOINT")]
    try:
        endpoint = importlib.import_module("huggingface_hub.constants").ENDPOINT  # imported late: it is optional
    except (ImportError, AttributeError):
        return []
    return [Address(str(endpoint), "huggingface_hub's built-in hub")]


SOURCES: Mapping[str, Callable[[Here], Sequence[Address]]] = {
    "python": python_addresses,
    "conda": conda_addresses,
    "git-https": git_addresses,
    "models": model_addresses,
}


def place_of(url: str) -> tuple[str, int] | None:
    """Host and port of an http(s) address, without user and password; None for anything else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return (host, port or PORTS[parts.scheme]) if host and parts.scheme in PORTS else None


def _items(value: Any) -> Iterable[Any]:
    """A list's items, or the one value."""
    return value if isinstance(value, list) else [] if value is None else [value]
