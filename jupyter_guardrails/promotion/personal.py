"""The finder of personal data behind one class: presidio's recognizers by pattern and check digits, where it is installed.

The catalogue searches what is published with the same recognizers (`catalog/intake_worker.py`).
"""

from __future__ import annotations

import importlib.util
import logging
from functools import cached_property
from typing import Any

from jupyter_guardrails.promotion.sieve import Sieve

MAX_LINES = 5_000  # different lines that are looked at: each costs some 0.5 ms
_BEFORE = (b" ", b"\n", b'"', b"'", b">", b":", b"(", b"|", b",", b"\t")  # what stands before a number that is no fraction
SIGNS = Sieve(
    exact=(b"@",),
    shapes=(
        *(before + sign for before in _BEFORE for sign in (b"0" * 13, b"+0")),
        *(b"0000 0000 0000", b"0000-0000-0000", b"0000 000000 0", b"000-00-0000", b"(000) 000"),
        *(b"aa000000", b"aa00 0000", b"aa00aaaa", b"aa00 aaaa"),
    ),
)


def is_there() -> bool:
    """Whether the library is installed beside this process."""
    return importlib.util.find_spec("presidio_analyzer") is not None


class Finder:
    """Kinds of personal data in texts. Raises TooMuch after MAX_LINES lines that had to be looked at."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, ...]] = {}

    def kinds(self, text: bytes) -> list[str]:
        """What is found in it, once for each place."""
        return [kind for start, end in SIGNS.places(text) for kind in self._of_line(text[start:end])]

    def _of_line(self, line: bytes) -> tuple[str, ...]:
        if line not in self._known:
            if len(self._known) >= MAX_LINES:
                raise TooMuch
            text = line.decode("utf-8", "replace")
            self._known[line] = tuple(kind for recognizer in self._recognizers for kind in _found(recognizer, text))
        return self._known[line]

    @cached_property
    def _recognizers(self) -> list[Any]:
        """Loaded when the first line needs them: that takes a second."""
        import tldextract  # an extra
        from presidio_analyzer.predefined_recognizers import CreditCardRecognizer, EmailRecognizer, IbanRecognizer, PhoneRecognizer, UsSsnRecognizer

        logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
        # it would ask the network for the list of top-level domains; the one that comes with it will do
        tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
        return [EmailRecognizer(), IbanRecognizer(), CreditCardRecognizer(), UsSsnRecognizer(), PhoneRecognizer()]


class TooMuch(Exception):
    """More lines look like personal data than are looked at."""


def _found(recognizer: Any, text: str) -> list[str]:
    kinds = list(recognizer.supported_entities)
    found = recognizer.analyze(text, kinds, None) or ()
    return [str(one.entity_type).lower().replace("_", " ") for one in found if _is_meant(one, text)]


def _is_meant(found: Any, text: str) -> bool:
    """Not the digits of a fraction, nor just any number that could be dialled: those with a country or an area in brackets."""
    before, first = text[max(0, found.start - 1) : found.start], text[found.start : found.start + 1]
    if found.entity_type == "PHONE_NUMBER":
        return first in ("+", "(") or before in ("+", "(")
    return found.entity_type != "CREDIT_CARD" or before not in (".", "-", "e", "+")
