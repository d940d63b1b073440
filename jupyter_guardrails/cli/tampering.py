"""What people can change outside of any sandbox, of all that decides what is enforced; and what the real boundary then is."""

from __future__ import annotations

import fnmatch
import functools
import os
import shlex
import stat
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jupyter_core.paths import ENV_CONFIG_PATH, SYSTEM_CONFIG_PATH

from jupyter_guardrails.catalog.contracts import contract_files
from jupyter_guardrails.control.interface import Settings, machine
from jupyter_guardrails.control.interface.settings import ADMIN_DIR
from jupyter_guardrails.sandbox.permissions import Account, Seen, Way, look, ways_to

POLICY, CATALOGUE, CONFIGURATION, INSTALLATION, STATE = "policy", "catalogue", "server configuration", "installation", "state directory"
SOCKET, SETTINGS = "place of control", "settings of this machine"
SYSTEM_CONFIGURATION = tuple(Path(folder) for folder in SYSTEM_CONFIG_PATH)
MOST_NAMED = 3  # places in a next step
Changeable = Sequence[tuple[Path, list[Way]]]


@dataclass(frozen=True, slots=True)
class Warned:
    """A thing that matters and that the account can change."""

    what: str
    path: str
    how: str
    next_step: str


def warnings(settings: Settings, account: Account) -> list[Warned]:
    """One for each kind of thing that the account can change, however many files it has."""
    cached = functools.cache(look)
    found = {what: [(path, ways) for path in paths if (ways := ways_to(path, account, cached))] for what, paths in things(settings)}
    return [_warning(what, changeable, settings) for what, changeable in found.items() if changeable]


def things(settings: Settings) -> Iterator[tuple[str, list[Path]]]:
    """What matters, with its files; a folder comes before what is in it."""
    yield POLICY, [settings.policy_path, *_held_in(settings.policy_path, "*.yaml")]
    yield CATALOGUE, [settings.catalog_path, *contract_files(settings.catalog_path)]
    yield CONFIGURATION, list(_configuration(SYSTEM_CONFIGURATION))
    code = (sys.prefix, sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), Path(__file__).resolve().parents[1], sys.executable)
    yield INSTALLATION, [*(Path(part) for part in code), *_configuration(Path(folder) for folder in ENV_CONFIG_PATH)]
    yield STATE, [settings.state_dir]
    if settings.service:
        yield SOCKET, [settings.control_socket.parent, settings.token_file]
        yield SETTINGS, [ADMIN_DIR / machine.NAME]


def boundary(settings: Settings, account: Account, found: Sequence[Warned]) -> str:
    """What holds people to the policy here, given what can be changed: one sentence for the reader."""
    names = [warning.what for warning in found if warning.what != STATE or settings.service]
    if settings.self_chosen:
        return (
            "Self-chosen policy: nobody else approves. It binds kernels that are started here, and is advice to yourself: "
            f"what you start in another way is not held. An admin makes it binding by putting it into {ADMIN_DIR}."
        )
    if names:
        return (
            f"An account that can write the {' and the '.join(names)} can change what is enforced: until that is mended, the boundary is "
            "who may write there, and not what the admin wrote."
        )
    who = "No account but root can" if account.uid is None else "This account can't"
    if settings.service:
        return (
            f"{who} change the policy, the catalogue, the server configuration, the installation or where control is found. Control runs as an "
            "account of its own, which alone has records, keys and packages; programs that somebody starts in another way are not held "
            "(docs/security.md)."
        )
    return (
        f"{who} change the policy, the catalogue, the server configuration or the installation. Control runs under the account of whoever starts "
        "it: kernels that are started with it are held, programs that somebody starts in another way are not (docs/security.md)."
    )


def _warning(what: str, changeable: Changeable, settings: Settings) -> Warned:
    path, ways = changeable[0]
    others = {nearest.place.path for _, (nearest, *_) in changeable if not nearest.place.path.is_relative_to(ways[0].place.path)}
    places = {way.place.path: way for _, ways in changeable for way in ways}
    more = f" ({len(others)} more like it)" if others else ""
    return Warned(what, str(path), _sentence(path, ways[0]) + more, _next_step(what, list(places.values()), settings))


def _sentence(path: Path, way: Way) -> str:
    if way.place.path == path:
        return way.how.format("it")
    if not path.is_relative_to(way.place.path):
        return way.how.format(f"{way.place.path} (where a link leads)")
    missing = "" if os.path.lexists(path) else "it does not exist yet, and "
    return missing + way.how.format(f"its folder {way.place.path}")


def _next_step(what: str, ways: list[Way], settings: Settings) -> str:
    if settings.service and what in (STATE, SOCKET):
        return _for_the_service_alone(what, settings)
    if what == STATE:
        return "control writes there as this account: changes to records show, and are not prevented; for more it needs an account of its own"
    if what == INSTALLATION and any(way.owned for way in ways):
        return "install it as root, where no other account may write: into /opt, for example"
    if what in (POLICY, CATALOGUE) and settings.self_chosen:
        return f"if it shall bind: an admin puts it into {ADMIN_DIR}"
    places = [way.place for way in ways]
    return _command(places) if all(map(_is_roots, places)) else f"keep it in {ADMIN_DIR} itself, in folders that belong to root, not behind a link"


def _for_the_service_alone(what: str, settings: Settings) -> str:
    folder, mode = (settings.state_dir, 700) if what == STATE else (settings.control_socket.parent, 755)
    return f"it is for the service's account alone: chown -R jupyter-guardrails: {folder} && chmod {mode} {folder}"


def _command(places: list[Seen]) -> str:
    """Gives the places to root; what lies in a folder of the configuration together with that folder."""
    tops = _topmost(places)
    names = shlex.join(str(place.path) for place in tops[:MOST_NAMED])
    if len(tops) < len(places) and all(_is_beneath(place.path, (ADMIN_DIR, *SYSTEM_CONFIGURATION)) for place in tops):
        return f"chown -R root:root {names} && chmod -R u=rwX,go=rX {names}" + _again(len(tops))
    mode = 644 if all(stat.S_ISREG(place.mode) for place in tops) else 755
    return f"chown root:root {names} && chmod {mode} {names}" + _again(len(places), done=len(tops))


def _again(there_are: int, *, done: int = MOST_NAMED) -> str:
    return ", then run this again" if there_are > min(done, MOST_NAMED) else ""


def _topmost(places: list[Seen]) -> list[Seen]:
    """Those that lie in none of the others."""
    return [place for place in places if not _is_beneath(place.path, [other.path for other in places if other != place])]


def _is_roots(place: Seen) -> bool:
    """Whether root can be expected to own it, so that no home folder and no /tmp is closed: our folders, and what is above them."""
    roots = (ADMIN_DIR, *SYSTEM_CONFIGURATION, Path(sys.prefix), Path(sys.base_prefix))
    above = any(root.is_relative_to(place.path) for root in roots)
    return not place.mode & stat.S_ISVTX and (above or _is_beneath(place.path, roots))


def _is_beneath(path: Path, folders: Sequence[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _configuration(folders: Iterable[Path]) -> Iterator[Path]:
    """The folders of Jupyter's configuration that exist, and the files in them that tell servers what to load."""
    for folder in folders:
        yield from [folder] if os.path.isdir(folder) else []
        yield from _held_in(folder, "jupyter_*config*")
        yield from _held_in(folder / "jupyter_server_config.d", "*.json")


def _held_in(folder: Path, pattern: str) -> list[Path]:
    """What a folder holds, in the order of names; nothing where this account can't list it."""
    with suppress(OSError):
        return [folder / name for name in sorted(fnmatch.filter(os.listdir(folder), pattern))]
    return []
