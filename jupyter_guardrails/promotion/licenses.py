"""Licences as packages name them, and whether a list of denied ones leaves any to choose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

# What classifiers of the Python Package Index and free texts call them, in small letters -> SPDX (https://spdx.org/licenses)
SPDX = {
    "mit license": "MIT",
    "the mit license": "MIT",
    "bsd license": "BSD-3-Clause",
    "bsd": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd-3-clause license": "BSD-3-Clause",
    "modified bsd license": "BSD-3-Clause",
    "apache software license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "isc license (iscl)": "ISC",
    "isc license": "ISC",
    "python software foundation license": "PSF-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "the unlicense (unlicense)": "Unlicense",
    "gnu general public license (gpl)": "GPL",
    "gnu general public license v2 (gplv2)": "GPL-2.0-only",
    "gnu general public license v2 or later (gplv2+)": "GPL-2.0-or-later",
    "gnu general public license v3 (gplv3)": "GPL-3.0-only",
    "gnu general public license v3 or later (gplv3+)": "GPL-3.0-or-later",
    "gplv2": "GPL-2.0-only",
    "gplv3": "GPL-3.0-only",
    "gplv3+": "GPL-3.0-or-later",
    "gnu lesser general public license v2 or later (lgplv2+)": "LGPL-2.0-or-later",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "gnu lesser general public license v3 or later (lgplv3+)": "LGPL-3.0-or-later",
    "gnu library or lesser general public license (lgpl)": "LGPL",
    "gnu affero general public license v3": "AGPL-3.0-only",
    "gnu affero general public license v3 or later (agplv3+)": "AGPL-3.0-or-later",
    "agplv3": "AGPL-3.0-only",
}
TOKEN = re.compile(r"\(|\)|[^\s()]+")


def spdx(said: str) -> str:
    """The SPDX name of what a package says of itself; as it is where nobody here knows better."""
    return SPDX.get(said.strip().lower(), said.strip())


def is_denied(said: str, denied: Sequence[str]) -> bool:
    """Whether no choice that `MIT OR (GPL-3.0-only AND BSD-3-Clause)` leaves is free of the denied ones; patterns in any case."""
    name = spdx(said)
    if not re.search(r"\b(AND|OR|WITH)\b", name):
        return _matches(name, denied)
    tokens = TOKEN.findall(name)
    return all(any(_matches(part, denied) for part in choice) for choice in _either(iter([*tokens, ")"])))


def _either(tokens: Iterator[str]) -> list[frozenset[str]]:
    """Up to the closing bracket: each choice with all the licences that it brings."""
    choices: list[frozenset[str]] = []
    current: list[frozenset[str]] = [frozenset()]
    for token in tokens:
        if token == ")":
            break
        if token == "OR":
            choices, current = [*choices, *current], [frozenset()]
        elif token == "WITH":
            next(tokens, "")  # an exception gives more, and takes nothing
        elif token != "AND":
            added = _either(tokens) if token == "(" else [frozenset({token})]
            current = [one | other for one in current for other in added][:64]
    return [*choices, *current]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)
