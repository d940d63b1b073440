"""What a package index says of packages, from metadata alone: their licence, and advisories against them. Standard library only.

Runs in the sandbox. Nothing of a package is unpacked or run: of a wheel its METADATA is read, by ranges where the index answers them.
`index_facts.py FILE`, with {packages: [{name, version, wheel}], api}; prints {name: {license, advisories}}, null for what nobody tells.
"""

from __future__ import annotations

import concurrent.futures
import email.parser
import io
import json
import sys
import time
import urllib.error
import urllib.request
import zipfile

REQUEST_S = 10.0
ALL_S = 60.0  # then what is missing stays unknown
METADATA_BYTES = 1 << 20
ANSWER_BYTES = 16 << 20
WHOLE_BYTES = 32 << 20  # of a wheel, where the index gives no ranges
AT_ONCE = 8
UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile, NotImplementedError)


class Ranges(io.RawIOBase):
    """A file behind HTTP, read by ranges; seekable, as zipfile needs it."""

    def __init__(self, url: str, size: int) -> None:
        self._url, self._size, self._at = url, size, 0

    def readable(self) -> bool:
        """Called by io."""
        return True

    def seekable(self) -> bool:
        """Called by zipfile."""
        return True

    def tell(self) -> int:
        """Called by zipfile."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Called by zipfile."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Called by io.BufferedReader."""
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        status, data = fetch(self._url, end - self._at, headers={"Range": f"bytes={self._at}-{end - 1}"})
        if status != 206:
            raise OSError("the index stopped to give ranges")
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def fetch(url: str, limit: int, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body; OSError for one of more than `limit` bytes."""
    if not url.startswith(("https://", "http://")):
        raise OSError(f"{url.partition(':')[0]} is not read here")
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=REQUEST_S) as answer:
        data = answer.read(limit + 1)
        if len(data) > limit:
            raise OSError("the answer is too long")
        return answer.status, data


def opened(url: str) -> io.BufferedIOBase:
    """A wheel to read from."""
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=0-0"}), timeout=REQUEST_S) as answer:
        if answer.status == 206:
            return io.BufferedReader(Ranges(url, int(answer.headers["Content-Range"].rpartition("/")[2])), 1 << 16)
        data = answer.read(WHOLE_BYTES + 1)
    if len(data) > WHOLE_BYTES:
        raise OSError("the index gives no ranges, and this wheel is too big to be looked into")
    return io.BytesIO(data)


def license_of(url: str) -> str | None:
    """As the wheel's METADATA says it: an expression, a name, or its classifiers."""
    with zipfile.ZipFile(opened(url)) as wheel:
        name = next(name for name in wheel.namelist() if name.count("/") == 1 and name.endswith(".dist-info/METADATA"))
        with wheel.open(name) as member:
            said = email.parser.BytesParser().parsebytes(member.read(METADATA_BYTES), headersonly=True)
    named = [said.get("License-Expression", ""), said.get("License", "")]
    kinds = [line.rpartition("::")[2].strip() for line in said.get_all("Classifier", []) if line.startswith("License ::")]
    short = [" ".join(str(text).split()) for text in (*named, ", ".join(kinds)) if text and len(str(text)) <= 200]
    return next((text for text in short if text and text.upper() != "UNKNOWN"), None)


def advisories_of(api: str, name: str, version: str) -> list[dict[str, object]]:
    """Those of the index's JSON API that were not withdrawn."""
    _, body = fetch(f"{api}/{name}/{version}/json", ANSWER_BYTES)
    found = [one for one in json.loads(body)["vulnerabilities"] if not one.get("withdrawn")]
    return [
        {"id": str(one["id"]), "aliases": [str(name) for name in one.get("aliases") or ()], "fixed_in": list(map(str, one.get("fixed_in") or ()))}
        for one in found
    ]


def facts_of(package: dict[str, str], api: str, until: float) -> dict[str, object]:
    """What of one package is known."""
    found: dict[str, object] = {"license": None, "advisories": None}
    for key, ask in (
        ("license", lambda: license_of(package["wheel"])),
        ("advisories", lambda: advisories_of(api, package["name"], package["version"])),
    ):
        if time.monotonic() < until and (api or key != "advisories"):
            try:
                found[key] = ask()
            except UNREADABLE as error:  # an index is anybody's program: whatever is not as it should be is not known
                print(f"{package['name']}: {key}: {type(error).__name__}: {error}", file=sys.stderr)
            except StopIteration:
                print(f"{package['name']}: its wheel has no METADATA", file=sys.stderr)
    return found


def main() -> None:
    """Called as a program."""
    with open(sys.argv[1], encoding="utf-8") as file:
        asked = json.load(file)
    until = time.monotonic() + ALL_S
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda package: facts_of(package, asked["api"], until), asked["packages"])
        print(json.dumps({package["name"]: facts for package, facts in zip(asked["packages"], found, strict=True)}))


if __name__ == "__main__":
    main()
