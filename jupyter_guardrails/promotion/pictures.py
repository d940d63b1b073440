"""How large a picture in an output is, read from its first bytes: nothing is decoded, since a picture is the notebook's word."""

from __future__ import annotations

import base64
import binascii
import re
import struct

HEAD_CHARACTERS = 64 << 10  # of base64: a JPEG's size may stand behind its thumbnail
PNG, GIF, JPEG = b"\x89PNG\r\n\x1a\n", (b"GIF87a", b"GIF89a"), b"\xff\xd8"
SIZES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})  # JPEG's start-of-frame markers
SVG_LENGTH = r"\b{name}\s*=\s*[\"']([^\"']{{1,40}})[\"']"


def size_of(kind: str, data: str) -> str:
    """`640x480`, an SVG's own lengths, or "" for a picture that doesn't say; `data` as a notebook holds it."""
    if kind == "image/svg+xml":
        return _svg(data)
    try:
        text = "".join(data[:HEAD_CHARACTERS].split())
        head = base64.b64decode(text[: len(text) // 4 * 4])
    except (binascii.Error, ValueError):
        return ""
    found = _png(head) or _gif(head) or _jpeg(head)
    return f"{found[0]}x{found[1]}" if found else ""


def _png(head: bytes) -> tuple[int, int] | None:
    width_height: tuple[int, int] | None = struct.unpack(">II", head[16:24]) if head.startswith(PNG) and len(head) >= 24 else None
    return width_height


def _gif(head: bytes) -> tuple[int, int] | None:
    width_height: tuple[int, int] | None = struct.unpack("<HH", head[6:10]) if head.startswith(GIF) and len(head) >= 10 else None
    return width_height


def _jpeg(head: bytes) -> tuple[int, int] | None:
    """Along its segments to the first that starts a frame."""
    at = 2 if head.startswith(JPEG) else len(head)
    while at + 9 <= len(head) and head[at] == 0xFF:
        if head[at + 1] in SIZES:
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        at += 2 + struct.unpack(">H", head[at + 2 : at + 4])[0]
    return None


def _svg(text: str) -> str:
    tag = re.search(r"<svg\b[^>]{0,4000}>", text[:HEAD_CHARACTERS])
    lengths = [re.search(SVG_LENGTH.format(name=name), tag.group()) for name in ("width", "height")] if tag else []
    return "x".join(length.group(1) for length in lengths if length)
