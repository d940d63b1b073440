"""`jupyter guardrails init`: a first policy that loads, opens nothing by itself and teaches the rest in its comments."""

from __future__ import annotations

import argparse
import contextlib
import importlib.resources
import json
import os
import pwd
import shlex
import string
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli import init_service
from jupyter_guardrails.cli.connection import home_of, settings_from
from jupyter_guardrails.cli.preset_sources import Here
from jupyter_guardrails.cli.presets import PURPOSES, Preset, block, make_presets, parse_wish, plain, rows
from jupyter_guardrails.control.interface.settings import ADMIN_DIR
from jupyter_guardrails.errors import BadRequest, Conflict, Refused
from jupyter_guardrails.policy.fields import is_principal
from jupyter_guardrails.policy.quantities import format_bytes
from jupyter_guardrails.policy.reference import json_schema
from jupyter_guardrails.sandbox.probe import probe_host
from jupyter_guardrails.sandbox.spec import Guarantee

POLICY, SCHEMA, TESTS, CATALOG = "guardrails.yaml", "policy-v1.json", "policy-tests.yaml", "catalog"
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")  # a container's own, where there is one; `max` means none
NICE_BYTES = [factor << shift for shift in range(28, 48) for factor in (2, 3)]  # 512MiB, 768MiB, 1GiB, 1536MiB, 2GiB, 3GiB …
SHARES = {"small": 4, "large": 2, "terminal": 8}  # one part in so many


class Starter(string.Template):
    """A starter file: `@{name}` is filled in, since `$` and `{` mean something in it."""

    delimiter = "@"


@dataclass(frozen=True, slots=True)
class Machine:
    """What a starter is measured to: memory, processors, what was tried, and as whom."""

    memory_bytes: int
    cpus: int
    guarantees: tuple[Guarantee, ...]
    account: str

    @property
    def held(self) -> list[str]:
        """Names of the guarantees that hold."""
        return [guarantee.name for guarantee in self.guarantees if guarantee.held]


def add_parser(subparsers: Any) -> None:
    """`init [DIR] [--preset NAME[=HOST[:PORT]]]… [--admin NAME|group:NAME]…`."""
    summary = "write a first policy: it observes, and its comments teach the rest"
    parser = subparsers.add_parser("init", help=summary, description=summary)
    parser.add_argument("dir", nargs="?", type=Path, metavar="DIR", help=f"default: {ADMIN_DIR} for root, else your own place")
    what = f"open what these clients need: {', '.join(PURPOSES)}; hosts are those that they are set to here, or HOST; may be repeated"
    parser.add_argument("--preset", action="append", default=[], metavar="NAME[=HOST[:PORT]]", help=what)
    parser.add_argument("--admin", action="append", default=[], metavar="NAME|group:NAME", help="instead of you; may be repeated")
    parser.add_argument("--service", action="store_true", help="instead: the units that make control a service of this machine, for all its accounts")
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 and what was written; Conflict, and nothing written, where there is a policy already."""
    if arguments.service:
        return init_service.run(arguments.dir and arguments.dir.absolute(), as_json=arguments.json)
    wishes = [parse_wish(text) for text in arguments.preset]
    admins = parse_admins(arguments.admin or [whoever_asks(os.environ)])
    folder = arguments.dir.absolute() if arguments.dir else default_folder(os.environ, root=os.geteuid() == 0)
    refuse_to_overwrite(folder)
    presets = make_presets(wishes, Here(os.environ, home_of(os.environ)))
    machine = this_machine()
    write(folder, starter(machine, admins, presets), public=os.geteuid() == 0)
    report = _report(folder, machine, admins, presets)
    print(json.dumps(report, indent=2, ensure_ascii=False) if arguments.json else "\n".join(_lines(report, machine)))
    return 0


def default_folder(environ: Mapping[str, str], *, root: bool) -> Path:
    """The admin's folder for root; for others where their own policy is looked for."""
    return ADMIN_DIR if root else settings_from(environ).policy_path.parent


def parse_admins(texts: Sequence[str]) -> dict[str, list[str]]:
    """`ana` and `group:platform` as `{users: [ana], groups: [platform]}`; BadRequest for what can't be a name."""
    found: dict[str, list[str]] = {}
    for text in texts:
        kind, name = ("groups", text.removeprefix("group:")) if text.startswith("group:") else ("users", text)
        if not is_principal(name):
            raise BadRequest(f"{text!r} can't name an admin", next_step="write --admin NAME or --admin group:NAME")
        found.setdefault(kind, []).append(name)
    return found


def whoever_asks(environ: Mapping[str, str]) -> str:
    """The account behind sudo, or the one of this process."""
    return (environ.get("SUDO_USER") if os.geteuid() == 0 else None) or _account()


def _account() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container may run under a number without a name
        return str(os.geteuid())


def refuse_to_overwrite(folder: Path) -> None:
    """Conflict when one of our files is there: it may hold somebody's work."""
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise BadRequest(f"{folder} is not a folder", next_step="name the folder that the policy shall lie in: jupyter guardrails init DIR")
    if present := [str(folder / name) for name in (POLICY, TESTS, SCHEMA) if os.path.lexists(folder / name)]:
        next_step = "move it away, or choose another folder: jupyter guardrails init DIR; a policy that is there: jupyter guardrails policy check"
        raise Conflict(f"{', '.join(present)}: exists already, and init overwrites nothing", next_step=next_step)


def this_machine() -> Machine:
    """What this process may use, and what the probe found."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):  # no limit of its own
        memory_bytes = min(memory_bytes, int(MEMORY_LIMIT.read_text()))
    return Machine(memory_bytes, len(os.sched_getaffinity(0)), probe_host(), _account())


def starter(machine: Machine, admins: Mapping[str, Sequence[str]], presets: Sequence[Preset]) -> dict[str, str]:
    """File name to text; the policy comes last, since it is what takes effect."""
    named = ", ".join(f"{kind}: [{', '.join(plain(name) for name in names)}]" for kind, names in admins.items())
    values = {"account": machine.account, "require": f"[{', '.join(machine.held)}]", "admins": f"{{{named}}}", **_shares(machine)}
    values |= {"presets": "\n".join(block(preset) for preset in presets), "preset_rows": "".join(rows(preset) for preset in presets)}
    schema = json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"
    return {SCHEMA: schema, TESTS: _template(TESTS).substitute(values), POLICY: _template(POLICY).substitute(values)}


def _template(name: str) -> Starter:
    return Starter((importlib.resources.files("jupyter_guardrails") / "cli" / "starter" / name).read_text(encoding="utf-8"))


def _shares(machine: Machine) -> dict[str, str]:
    """Round shares of the machine for each profile, and the machine in words."""
    values = {"memory": format_bytes(nice_bytes(machine.memory_bytes)), "cpus": f"{machine.cpus} processor{'' if machine.cpus == 1 else 's'}"}
    for name, parts in SHARES.items():
        values[f"{name}_memory"] = format_bytes(nice_bytes(machine.memory_bytes / parts))
        values[f"{name}_cpus"] = str(max(1, machine.cpus // parts))
    values["large_cpus"] = str(max(machine.cpus // 2, min(2, machine.cpus)))
    return values


def nice_bytes(size: float) -> int:
    """The nearest of 512MiB, 768MiB, 1GiB, 1536MiB, 2GiB, 3GiB, 4GiB, 6GiB and so on."""
    return min(NICE_BYTES, key=lambda nice: abs(nice - size))


def write(folder: Path, texts: Mapping[str, str], *, public: bool) -> None:
    """All files, each whole, or none.

    `public`: what root writes binds others, whose control reads it under their own accounts. One's own policy concerns nobody else.
    """
    folder_mode, file_mode = (0o755, 0o644) if public else (0o700, 0o600)
    with contextlib.ExitStack() as undo:
        try:
            _make_folder(folder, folder_mode, undo)
            _make_folder(folder / CATALOG, folder_mode, undo)
            for name, text in texts.items():
                _create(folder / name, text, file_mode)
                undo.callback((folder / name).unlink)
        except FileExistsError as error:
            raise Conflict(
                f"{error.filename2 or error.filename} has just been made by somebody else", next_step="look at it, then start again"
            ) from error
        except OSError as error:
            next_step = "write it as root, or choose another folder: jupyter guardrails init DIR"
            raise Refused(f"{folder} can't be written: {error.strerror}", next_step=next_step) from error
        undo.pop_all()


def _make_folder(folder: Path, mode: int, undo: contextlib.ExitStack) -> None:
    """The folder with what lies above it; the mode counts for what is new, whatever the umask."""
    if folder.is_dir():
        return
    _make_folder(folder.parent, mode, undo)
    folder.mkdir()
    undo.callback(folder.rmdir)
    folder.chmod(mode)


def _create(file: Path, text: str, mode: int) -> None:
    """A new file, there whole or not at all; FileExistsError instead of an overwritten one."""
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(temporary, file)  # unlike a rename, it never replaces
    finally:
        os.unlink(temporary)


def _report(folder: Path, machine: Machine, admins: Mapping[str, Sequence[str]], presets: Sequence[Preset]) -> dict[str, Any]:
    """What was written and what it does, as plain values."""
    settings = settings_from(os.environ)
    file, person = folder / POLICY, next(iter(admins.get("users", [])), machine.account)
    return {
        "written": [str(folder / name) for name in (POLICY, SCHEMA, TESTS, CATALOG)],
        "mode": "observe",
        "require": machine.held,
        "not_held": [guarantee.name for guarantee in machine.guarantees if not guarantee.held],
        "admins": admins,
        "presets": [_preset_json(preset) for preset in presets],
        "in_force": settings.policy_path == file,
        "in_force_here": str(settings.policy_path),
        "next": _next_commands(file, person, in_force=settings.policy_path == file, self_chosen=settings.self_chosen),
    }


def _preset_json(preset: Preset) -> dict[str, Any]:
    hosts = [{"host": entry.host, "port": entry.port, "private": list(entry.private)} for entry in preset.entries]
    return {"name": preset.name, "active": preset.active, "hosts": hosts, "sources": list(preset.sources), "notes": list(preset.notes)}


def _next_commands(file: Path, person: str, *, in_force: bool, self_chosen: bool) -> list[str]:
    """Three to type now; with the file's name where another policy, or none, is in force."""
    quoted, who = shlex.quote(str(file)), shlex.quote(person)
    if in_force:
        return ["jupyter guardrails policy check", f"jupyter guardrails policy explain --user {who}", "jupyter guardrails doctor"]
    variables = f"GUARDRAILS_POLICY={quoted} GUARDRAILS_CATALOG={shlex.quote(str(file.with_name(CATALOG)))} " if self_chosen else ""
    named = [f"jupyter guardrails policy check {quoted}", f"jupyter guardrails policy explain --user {who} --policy {quoted}"]
    return [*named, f"{variables}jupyter guardrails doctor"]


def _lines(report: Mapping[str, Any], machine: Machine) -> list[str]:
    policy, schema, tests, catalog = report["written"]
    who = ", ".join([*report["admins"].get("users", []), *(f"group {name}" for name in report["admins"].get("groups", []))])
    lines = [
        f"wrote {policy}",
        f"      mode observe: nothing is refused yet but what its last rule denies. Admin: {who}",
        f"      required, since it holds here: {', '.join(machine.held) or 'nothing'}",
        f"wrote {schema} (editors complete and check the policy by it)",
        f"wrote {tests} (jupyter guardrails policy test {shlex.quote(tests)})",
        f"made  {catalog} (for the contracts of datasets)",
        *(line for preset in report["presets"] for line in _preset_lines(preset)),
    ]
    lines += [f"not held here: {', '.join(report['not_held'])}; jupyter guardrails doctor says why"] if report["not_held"] else []
    lines += [] if report["in_force"] else [f"the policy in force here is another: {report['in_force_here']}"]
    return [*lines, "next:", *(f"  {command}" for command in report["next"])]


def _preset_lines(preset: Mapping[str, Any]) -> list[str]:
    name, hosts = preset["name"], ", ".join(f"{host['host']}:{host['port'] or '*'}" for host in preset["hosts"])
    if not hosts:
        said = f"an example, since no host is known; --preset {name}=HOST names one"
    elif preset["active"]:
        said = f"open: {hosts} ({', '.join(preset['sources'])})"
    else:
        said = f"an example, with {hosts} ({', '.join(preset['sources'])}); --preset {name} opens it"
    return [f"preset {name}: {said}", *(f"      {note}" for note in preset["notes"])]
