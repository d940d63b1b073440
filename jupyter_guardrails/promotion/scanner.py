"""The secret scanner behind one function: detect-secrets with its own rules, without the ones that only measure randomness."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from detect_secrets.core.scan import scan_line
from detect_secrets.settings import default_settings, get_settings, transient_settings

# Hashes, cell ids and pictures are random too; public addresses are no secret.
LEFT_OUT = frozenset({"Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector"})
MAX_LINE = 20_000

Scan = Callable[[str], list[tuple[str, int]]]


@contextlib.contextmanager
def open_scanner() -> Iterator[Scan]:
    """A function from a text to (kind, line counted from 1) of each possible secret in it."""
    with default_settings():
        plugins = [{"name": name} for name in get_settings().plugins if name not in LEFT_OUT]
    with transient_settings({"plugins_used": plugins}):
        get_settings().disable_filters("detect_secrets.filters.allowlist.is_line_allowlisted")  # an author can't wave a secret through by a comment
        yield _scan


def _scan(text: str) -> list[tuple[str, int]]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        pieces = [line[start : start + MAX_LINE] for start in range(0, len(line), MAX_LINE)]
        kinds = {secret.type for piece in pieces for secret in scan_line(piece)}
        found += [(kind, number) for kind in sorted(kinds)]
    return found
