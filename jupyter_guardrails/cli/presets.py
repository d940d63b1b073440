"""The presets of a starter policy: rules that open what one kind of client needs, active or as examples, with hosts found or named."""

from __future__ import annotations

import asyncio
import json
import re
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import yaml

from jupyter_guardrails.cli.preset_sources import SOURCES, Address, Here, place_of
from jupyter_guardrails.control import addresses
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy.hosts import NetworkEntry, bracketed, parse_entry

PURPOSES = {
    "python": "for pip and uv. An approved index is also a way out: prefer a mirror that only answers GET.",
    "conda": "for conda and mamba. An approved index is also a way out: prefer a mirror that only answers GET.",
    "git-https": "for git over https. A host that takes pushes is also a way out: prefer a mirror that takes none.",
    "models": "for model hubs. One that takes uploads is also a way out: prefer a mirror that only answers GET.",
}
EXAMPLE = "packages.example.com"
RESOLVE_S = 10.0
COLUMNS = 120
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*|[0-9]+(\.[0-9]+){3}(/[0-9]+)?")  # with `true` and the like: what YAML takes for text, in {} too


@dataclass(frozen=True, slots=True)
class Wish:
    """A `--preset`: its name, and the host that was named with it, if any."""

    name: str
    entry: NetworkEntry | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    """A rule that opens `entries`; an example as long as it is not `active`. `notes` are sentences about what was left out."""

    name: str
    entries: tuple[NetworkEntry, ...]
    sources: tuple[str, ...]
    active: bool
    notes: tuple[str, ...] = ()


def parse_wish(text: str) -> Wish:
    """`python`, `python=HOST` or `python=HOST:PORT`; BadRequest for anything else. Without a port it is 443."""
    name, given, host = text.partition("=")
    if name not in PURPOSES:
        raise BadRequest(f"there is no preset {name!r}", next_step=f"presets are {', '.join(PURPOSES)}")
    if not given:
        return Wish(name)
    if "@" in host:
        raise BadRequest(f"--preset {name} takes HOST or HOST:PORT, without user and password")
    with_port = host if re.search(r"\]:|^[^\[\]:]*:[^:]*$", host) or "/" in host else f"{host}:443"
    try:
        return Wish(name, parse_entry(with_port))
    except ValueError as error:
        raise BadRequest(f"--preset {name} takes HOST or HOST:PORT: {error}") from error


def make_presets(wishes: Sequence[Wish], here: Here) -> list[Preset]:
    """All presets: active where wished for, with the hosts that were named, else with those that clients on this machine are set to."""
    asked = [_asked(name, [wish for wish in wishes if wish.name == name], here) for name in PURPOSES]
    places = dict.fromkeys(entry for preset in asked for entry in preset.entries)
    reach = dict(zip(places, asyncio.run(_reach_all(places)), strict=True))
    return [_reachable(preset, reach) for preset in asked]


def _asked(name: str, wishes: Sequence[Wish], here: Here) -> Preset:
    """A preset before anybody looked where its hosts lead."""
    named = tuple(dict.fromkeys(wish.entry for wish in wishes if wish.entry))
    if named and all(wish.entry for wish in wishes):
        return Preset(name, named, ("--preset",), active=True)
    found = SOURCES[name](here)
    entries = {address: entry for address in found if (entry := _entry(address))}
    sources = dict.fromkeys([*(["--preset"] if named else []), *(address.source for address in entries)])
    return Preset(name, tuple(dict.fromkeys([*named, *entries.values()])), tuple(sources), bool(wishes), tuple(_left_out(found)))


def _entry(address: Address) -> NetworkEntry | None:
    place = place_of(address.url)
    try:
        return parse_entry(f"{bracketed(place[0])}:{place[1]}") if place else None
    except ValueError:
        return None


def _left_out(found: Iterable[Address]) -> Iterable[str]:
    """What was set and names no host, without repeating it: an address may hold a password."""
    for address in found:
        if address.url.startswith(("file:", "/", ".", "~")):
            yield f"{address.source} also names a folder of this machine: kernels read it where paths: {{read: [...]}} names it"
        elif _entry(address) is None:
            yield f"{address.source} holds an address that this can't read: name its host with --preset"


Reach = tuple[NetworkEntry | None, str]  # with the private ranges that the name leads to; None where no kernel gets; and what to know


async def _reach_all(entries: Iterable[NetworkEntry]) -> list[Reach]:
    return list(await asyncio.gather(*(_reach(entry) for entry in entries)))


async def _reach(entry: NetworkEntry) -> Reach:
    """Where a host leads from here, by the rules of the proxy that kernels will go through."""
    if "*" in entry.host:
        return entry, ""
    try:
        found = await addresses.resolve(entry.host, entry.port or 443, timeout_s=RESOLVE_S)
    except (OSError, TimeoutError):
        return entry, f"{entry.host} can't be resolved now: if it leads to private addresses, name their range"
    return _judged(entry, dict.fromkeys(addresses.unwrapped(address) for address in found))


def _judged(entry: NetworkEntry, unwrapped: Collection[addresses.Address]) -> Reach:
    if not all(addresses.objection(address) for address in unwrapped):
        return entry, ""
    ranges = {f"{address}/{address.max_prefixlen}": address for address in unwrapped}
    refused = {text: objection for text, address in ranges.items() if (objection := addresses.objection(address, (text,)))}
    if len(refused) < len(ranges):
        return NetworkEntry(entry.host, entry.port, tuple(text for text in ranges if text not in refused)), ""
    why = "; ".join(f"{ranges[text]}, which is {objection}" for text, objection in refused.items())
    return None, f"{entry.text} is left out: it leads to {why}, where no kernel gets whatever a policy says"


def _reachable(preset: Preset, reach: Mapping[NetworkEntry, Reach]) -> Preset:
    """With private ranges, and without the hosts that the proxy never connects to."""
    looked = [reach[entry] for entry in preset.entries]
    kept = tuple(entry for entry, _ in looked if entry)
    notes = dict.fromkeys([*preset.notes, *(note for _, note in looked if note)])
    return replace(preset, entries=kept, active=preset.active and bool(kept), notes=tuple(notes))


def block(preset: Preset) -> str:
    """The preset as lines of the starter: a rule under comments, behind `#` where it is an example."""
    texts = [_entry_text(entry) for entry in preset.entries or (NetworkEntry(EXAMPLE, 443),)]
    allow = f"    network: {{allow: [{', '.join(texts)}]}}"
    lines = [f"  - name: preset-{preset.name}", "    for: everyone"]
    lines += [allow] if len(allow) <= COLUMNS else ["    network:", "      allow:", *(f"        - {text}" for text in texts)]
    shown = lines if preset.active else [f"  #{line[2:]}" for line in lines]
    return "\n".join([*(line for text in _prose(preset) for line in _comment(text)), *shown, ""])


def _prose(preset: Preset) -> Iterator[str]:
    yield f"Preset {preset.name}: {PURPOSES[preset.name]}"
    if not preset.entries:
        yield f"No host is known here: write yours (at the start, init --preset {preset.name}=HOST does it)."
    else:
        yield f"Hosts from {', '.join(preset.sources)}{'.' if preset.active else ': take the # away to allow them.'}"
    if any(entry.private for entry in preset.entries):
        yield "private is where the name leads now; a wider range, like 10.0.0.0/8, may stand there."
    yield from (f"Note: {note}." for note in preset.notes)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, initial_indent="  # ", subsequent_indent="  # ", break_long_words=False, break_on_hyphens=False)


def _entry_text(entry: NetworkEntry) -> str:
    if not entry.private:
        return json.dumps(entry.text)
    port, ranges = entry.port or json.dumps("*"), ", ".join(plain(text) for text in entry.private)
    return f"{{host: {plain(entry.host)}, port: {port}, private: {ranges if len(entry.private) == 1 else f'[{ranges}]'}}}"


def plain(text: str) -> str:
    """Text as YAML reads it back, in quotes only where it needs them."""
    return text if PLAIN.fullmatch(text) and yaml.safe_load(text) == text else json.dumps(text, ensure_ascii=False)


def rows(preset: Preset) -> str:
    """What an active preset opens, as lines of the table of tests."""
    places = [entry.text for entry in preset.entries if preset.active and "*" not in entry.text]
    row = "  - {{who: zoe, action: network.connect, resource: {place}, expect: allow, rule: preset-{name}}}\n"
    return "".join(row.format(place=json.dumps(place), name=preset.name) for place in places)
