"""Packages that their signer took back: signed statements that lie beside the keys of a trust store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from securesystemslib.signer._key import Key

from jupyter_guardrails.errors import PackageError
from jupyter_guardrails.package import signatures
from jupyter_guardrails.package.manifest import Digests

REVOCATION = "https://guardrails.jupyter.org/revocation/v1"
SUFFIX = ".revoked.dsse.json"
MAX_BYTES = 100_000


def problems(store: Path, digests: Digests, trusted: Iterable[Key]) -> list[str]:
    """In words, each revocation of this very package that lies in a trust store and that a key trusted there signed."""
    keys, found = list(trusted), []
    for file in sorted(store.glob(f"*{SUFFIX}")) if store.is_dir() else []:
        if file.stat().st_size > MAX_BYTES:
            raise PackageError(f"{file} is too long for a revocation", next_step="get it again from who retired the package")
        for about in (digests, replace(digests, manifest="")):
            found += _of(file.read_bytes(), about, keys)
    return found


def _of(text: bytes, digests: Digests, keys: list[Key]) -> list[str]:
    try:
        said = signatures.verify_envelope(text, digests, keys)
    except PackageError:  # of another package, or of nobody that is trusted here: it says nothing about this one
        return []
    by, on, why = (said.predicate.get(key) for key in ("retiredBy", "retiredAt", "reason"))
    return [f"it was retired by {by} on {str(on)[:10]}: {why}"] if said.predicate_type == REVOCATION else []
