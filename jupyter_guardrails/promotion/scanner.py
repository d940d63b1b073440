"""The secret scanner behind one function: detect-secrets with its own rules, without the ones that only measure randomness."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from detect_secrets.core.scan import scan_line
from detect_secrets.settings import default_settings, get_settings, transient_settings

from jupyter_guardrails.promotion.sieve import Sieve

# Hashes, cell ids and pictures are random too; public addresses are no secret.
LEFT_OUT = frozenset({"Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector"})
MAX_LINES = 20_000  # different lines of one notebook that look like a secret: each costs some 0.2 ms

# Each rule of detect-secrets needs one of these (tests/promotion/test_promotion_secrets.py has an example of every rule).
SIGNS = Sieve(
    words=(b"key", b"pass", b"pwd", b"secret", b"contrase", b"token", b"private", b"xox", b"eyj", b"hooks.slack", b"cloudant", b"softlayer"),
    pairs=((b"://", b"@"),),
    exact=(b"AKC", b"AP"),
    run=20,
    harmless_run=re.compile(rb"[0-9a-f-]+|[0-9_-]+|[-_]+[A-Za-z0-9]{0,16}[-_]+"),  # digests, UUIDs, long numbers, ruled lines
)


class TooMuch(Exception):
    """More lines look like a secret than are looked at."""


class Scanner:
    """Kinds of possible secrets in texts. Raises TooMuch after MAX_LINES lines that had to be looked at."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, ...]] = {}

    def scan(self, text: bytes) -> list[tuple[str, int]]:
        """(kind, line counted from 1) of each possible secret in it."""
        found: dict[tuple[str, int], None] = {}
        at, line = 0, 1
        for start, end in SIGNS.places(text):
            line += text.count(b"\n", at, start) if start >= at else -text.count(b"\n", start, at)
            at = start
            found |= dict.fromkeys((kind, line) for kind in self._kinds(text[start:end]))
        return list(found)

    def _kinds(self, line: bytes) -> tuple[str, ...]:
        if line not in self._known:
            if len(self._known) >= MAX_LINES:
                raise TooMuch
            self._known[line] = tuple(sorted({secret.type for secret in scan_line(line.decode("utf-8", "replace"))}))
        return self._known[line]


@contextlib.contextmanager
def open_scanner() -> Iterator[Scanner]:
    """A scanner with these rules, for as long as the context lasts."""
    with default_settings():
        plugins = [{"name": name} for name in get_settings().plugins if name not in LEFT_OUT]
    with transient_settings({"plugins_used": plugins}):
        get_settings().disable_filters("detect_secrets.filters.allowlist.is_line_allowlisted")  # an author can't wave a secret through by a comment
        yield Scanner()
