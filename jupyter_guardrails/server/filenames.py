"""Which names a new file or folder may have: those that show what they are, and that every program and system can take. Pure."""

from __future__ import annotations

import unicodedata

MAX_NAME_BYTES = 255  # NAME_MAX of Linux filesystems
MAX_PATH_BYTES = 4095  # PATH_MAX without its NUL
DIRECTION = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}  # embeddings, overrides, isolates: `a<U+202E>gpj.exe` is shown as `aexe.jpg`
LINES = {0x2028, 0x2029}


def unusable(path: str) -> str:
    """Why the system itself can't take a path with such a part, as a sentence; "" when it can."""
    if "\0" in path:
        return f"a name with the character NUL (U+0000) can't be a file: {shown(path)}; leave it out"
    try:
        lengths = [len(part.encode()) for part in path.split("/")]
    except UnicodeEncodeError as error:
        return f"{_named(path[error.start])} is half a character and can't be in a name: {shown(path)}; leave it out"
    if max(lengths) > MAX_NAME_BYTES:
        return f"a name has {max(lengths)} bytes, at most {MAX_NAME_BYTES} are possible: {shown(path)}; choose a shorter one"
    return f"the path has more than {MAX_PATH_BYTES} bytes; use fewer or shorter folders" if sum(lengths) + len(lengths) > MAX_PATH_BYTES else ""


def misleading(name: str) -> str:
    """Why nothing new may be called `name` (the last part of a path), as a sentence with what to do; "" when it may."""
    for character in name:
        kind = _kind(ord(character))
        if kind:
            return f"the name {shown(name)} has {kind}, {_named(character)}: leave it out"
    if name != name.strip():
        return f"the name {shown(name)} begins or ends with a blank, which nobody sees: leave it out"
    if name.endswith("."):
        return f"the name {shown(name)} ends with a dot, which other systems drop: leave it out"
    return ""


def shown(name: str) -> str:
    """The name with everything that could mislead written out, shortened."""
    text = "".join(f"\\u{ord(c):04x}" if _kind(ord(c)) or 0xD800 <= ord(c) < 0xE000 else c for c in name)
    return repr(text if len(text) <= 60 else text[:57] + "...").replace("\\\\", "\\")


def _kind(code: int) -> str:
    if code in LINES or unicodedata.category(chr(code)) == "Cc":
        return "a control character"
    return "a character that changes the direction of text" if code in DIRECTION else ""


def _named(character: str) -> str:
    """`U+202E RIGHT-TO-LEFT OVERRIDE`; control characters have no names."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()
