"""Paths that may be suggested: never a secret, never what starts programs, never a whole home; many files of a folder as the folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

SECRET_PARTS = frozenset(
    [
        ".ssh",
        ".aws",
        ".azure",
        ".gnupg",
        ".kube",
        ".docker",
        ".netrc",
        ".pgpass",
        ".my.cnf",
        ".git-credentials",
        ".password-store",
        ".mozilla",
        ".pki",
        ".jupyter",
        ".vault-token",
        ".npmrc",
        ".pypirc",
        ".env",
        ".terraform.d",
        ".boto",
        ".s3cfg",
        ".config/gcloud",
        ".config/google-chrome",
        ".config/chromium",
        ".local/share/keyrings",
        ".local/share/jupyter/runtime",
        ".local/state/jupyter-guardrails",
        ".config/jupyter-guardrails",
    ]
)
SECRET_WORDS = re.compile(
    r"secret|credential|password|passwd|token|private.?key|keyring|keystore|id_(rsa|dsa|ecdsa|ed25519)|\.(pem|key|p12|pfx|jks|kdbx)$", re.I
)
SHUT_TREES = (
    *("/proc", "/sys", "/dev", "/boot", "/root", "/run", "/var/run", "/var/lib/jupyter-guardrails", "/etc/jupyter", "/etc/ssh", "/etc/ssl/private"),
    *("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/sudoers.d", "/etc/krb5.keytab", "/etc/security", "/var/lib/sss", "/var/spool"),
)
STARTS_PROGRAMS = frozenset(
    [
        ".bashrc",
        ".bash_profile",
        ".bash_login",
        ".profile",
        ".zshrc",
        ".zprofile",
        ".inputrc",
        ".gitconfig",
        ".config",
        ".local",
        ".ipython",
        ".pythonrc",
        ".Renviron",
        ".Rprofile",
        "bin",
        ".git",
    ]
)
SYSTEM_TREES = ("/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/boot")  # writable they would let anybody change what others run
HOMES = ("/home", "/Users", "/root", "/export/home")
FEW = 3  # from so many files of one folder on, the folder is what is worked with
SHALLOWEST = 2


def objection(path: str, *, writes: bool, shut: Sequence[str] = ()) -> str:
    """Why a path is never suggested; empty when it may be. `shut`: trees of this machine's own."""
    path = path.replace("{user}", "user")
    place = PurePosixPath(path)
    if not path.startswith("/") or re.search(r"[*?{}\x00-\x1f\x7f]", path) or not path.isprintable() or {".", ".."} & set(path.split("/")):
        return "a policy can't name such a path"
    if any(place.is_relative_to(tree) for tree in (*SHUT_TREES, *shut)) or _is_secret(place):
        return "secrets lie there, or what a kernel must not touch"
    if len(place.parts) - 1 < SHALLOWEST or _is_home(place):
        return "it is too much at once: a whole tree or somebody's home"
    if writes and (any(place.is_relative_to(tree) for tree in SYSTEM_TREES) or STARTS_PROGRAMS & set(place.parts)):
        return "programs are started from there: writable it would be a way out"
    return ""


def folders(paths: Iterable[str], *, writes: bool, shut: Sequence[str] = ()) -> dict[str, str]:
    """Path -> what stands for it: itself, or its folder where several files of that were used and the folder may be suggested."""
    known = sorted(set(paths))
    stands = {path: path for path in known}
    for _ in range(2):  # files of a folder, then folders of a folder
        inside: dict[str, set[str]] = {}
        for one in set(stands.values()):
            inside.setdefault(str(PurePosixPath(one).parent), set()).add(one)
        wide = {parent for parent, children in inside.items() if len(children) >= FEW and not objection(parent, writes=writes, shut=shut)}
        stands = {path: _parent_in(one, wide) for path, one in stands.items()}
    return {path: _widest(one, set(stands.values())) for path, one in stands.items()}


def with_user(path: str, person: str) -> str:
    """The person's own name in it as `{user}`, so that one line is for everybody."""
    return "/".join("{user}" if part == person else part for part in path.split("/"))


def _parent_in(path: str, wide: set[str]) -> str:
    parent = str(PurePosixPath(path).parent)
    return parent if parent in wide else path


def _widest(path: str, chosen: set[str]) -> str:
    """The outermost chosen folder that holds it."""
    return next((str(parent) for parent in reversed(PurePosixPath(path).parents) if str(parent) in chosen), path)


def _is_secret(place: PurePosixPath) -> bool:
    framed = f"/{'/'.join(place.parts[1:])}/"
    return any(f"/{part}/" in framed for part in SECRET_PARTS) or any(SECRET_WORDS.search(part) for part in place.parts[1:])


def _is_home(place: PurePosixPath) -> bool:
    return str(place) in HOMES or str(place.parent) in HOMES
