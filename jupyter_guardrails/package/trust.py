"""A trust store: a folder of public keys, each in a file that is called as what it holds. Never inside a package: that can't vouch for itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.signer._key import Key, SSlibKey

from jupyter_guardrails.errors import NotFound, PackageError
from jupyter_guardrails.package import canonical
from jupyter_guardrails.package.signatures import PUBLIC_SUFFIX, read_trust

MAX_KEY_BYTES = 10_000
NAME = "name"  # whose key it is, in the words of whoever trusts it


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """One key of a store; `keyid` is computed from the key, whatever its file says."""

    keyid: str
    name: str
    key: SSlibKey

    def to_json(self) -> dict[str, Any]:
        """As its file says it."""
        return {"keyid": self.keyid, NAME: self.name, **self.key.to_dict()}


def parse_key(text: bytes | str, *, name: str = "") -> TrustedKey:
    """The public key of a `*.public.json`; PackageError unless it is an ed25519 key whose id is its own."""
    if len(text) > MAX_KEY_BYTES:
        raise PackageError("this is too long for a public key", next_step="name the *.public.json of whoever signs")
    try:
        said = dict(canonical.loads(text))
        if said["keytype"] != "ed25519":
            raise ValueError("it is no ed25519 key")
        key = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(said["keyval"]["public"])))
    except (PackageError, KeyError, TypeError, ValueError) as error:
        raise PackageError(f"this is no public key: {error}", next_step="name the *.public.json of whoever signs, not signing.pem") from error
    if said.get("keyid", key.keyid) != key.keyid:
        raise PackageError(f"the key calls itself {str(said['keyid'])[:80]}, and is {key.keyid}", next_step="get it again from its owner")
    return TrustedKey(key.keyid, name or str(said.get(NAME, "")), key)


def add(store: Path, key: TrustedKey) -> TrustedKey:
    """Put a key into the store; one that is there already gets the new name."""
    store.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = store / f".{key.keyid}.new"
    fresh.write_text(canonical.dumps(key.to_json()), encoding="utf-8")
    os.replace(fresh, _file(store, key.keyid))
    return key


def listed(store: Path) -> list[TrustedKey]:
    """The keys of a store by their ids; none where there is no such folder."""
    return [parse_key(file.read_bytes()) for file in sorted(store.glob(f"*{PUBLIC_SUFFIX}"))] if store.is_dir() else []


def remove(store: Path, keyid: str) -> TrustedKey:
    """Take a key out; NotFound for one that is not there."""
    found = next((key for key in listed(store) if key.keyid == keyid), None)
    if found is None:
        raise NotFound(f"no key {keyid[:80]} is in the trust store", next_step="`jupyter guardrails job trust list`")
    _file(store, keyid).unlink()
    return found


def keys(*stores: Path) -> list[Key]:
    """The public keys of several stores, to verify with; those that are not there hold none."""
    return [key for store in stores if store.is_dir() for key in read_trust(store)]


def _file(store: Path, keyid: str) -> Path:
    return store / f"{keyid}{PUBLIC_SUFFIX}"
