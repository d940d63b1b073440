"""Who vouches for a package: in-toto statements about its digests in DSSE envelopes, ed25519 by securesystemslib.

The keys that count come from a trust store outside the package; a package that vouches for itself is not trusted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import FormatError, VerificationError
from securesystemslib.signer._crypto_signer import CryptoSigner
from securesystemslib.signer._key import Key, SSlibKey

from jupyter_guardrails.errors import PackageError
from jupyter_guardrails.package import canonical
from jupyter_guardrails.package.manifest import ATTESTATIONS, MANIFEST, Digests

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
APPROVAL = "https://guardrails.jupyter.org/approval/v1"
PRIVATE_KEY = "signing.pem"
PUBLIC_SUFFIX = ".public.json"


@dataclass(frozen=True, slots=True)
class Vouched:
    """One envelope that holds: who signed it, and what it says."""

    keyid: str
    predicate_type: str
    predicate: dict[str, Any]


def open_signer(keys: Path) -> CryptoSigner:
    """The signer of this directory (0700), its ed25519 key made at the first call; the public half lies beside it for trust stores."""
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    private = keys / PRIVATE_KEY
    if not private.exists():
        _write_new_key(private)
    loaded = serialization.load_pem_private_key(private.read_bytes(), None)
    signer = CryptoSigner(loaded, SSlibKey.from_crypto(loaded.public_key()))
    public = keys / f"{signer.public_key.keyid}{PUBLIC_SUFFIX}"
    if not public.exists():
        public.write_text(canonical.dumps({"keyid": signer.public_key.keyid, **signer.public_key.to_dict()}))
    return signer


def read_trust(directory: Path) -> list[Key]:
    """The public keys of a trust store: each `*.public.json` in it, or the one file it is."""
    files = sorted(directory.glob(f"*{PUBLIC_SUFFIX}")) if directory.is_dir() else [directory]
    keys: list[Key] = []
    for file in files:
        try:
            body = canonical.loads(file.read_text())
            keys.append(SSlibKey.from_dict(body.pop("keyid"), body))
        except (OSError, KeyError, ValueError, AttributeError) as error:
            raise PackageError(f"{file} holds no public key: {error}", next_step="name a *.public.json file from control's keys directory") from error
    return keys


def sign(signer: CryptoSigner, digests: Digests, predicate_type: str, predicate: Mapping[str, Any]) -> str:
    """The text of an envelope in which the signer says `predicate` about the package with these digests."""
    statement = {"_type": STATEMENT_TYPE, "subject": _subjects(digests), "predicateType": predicate_type, "predicate": dict(predicate)}
    envelope = Envelope(canonical.dumps(statement).encode(), PAYLOAD_TYPE, {})
    envelope.sign(signer)
    return canonical.dumps(envelope.to_dict())


def verify(folder: Path, digests: Digests, trusted: Iterable[Key]) -> tuple[list[Vouched], list[str]]:
    """The envelopes of a package that hold for these digests under a trusted key, and what is wrong with the others."""
    vouched, problems = [], []
    for file in sorted((folder / ATTESTATIONS).glob("*.dsse.json")):
        try:
            vouched.append(verify_envelope(file.read_bytes(), digests, list(trusted)))
        except PackageError as error:
            problems.append(f"{file.name}: {error.message}")
    return vouched, problems


def verify_envelope(text: str | bytes, digests: Digests, trusted: list[Key]) -> Vouched:
    """What one envelope says about the package with these digests; PackageError unless a trusted key signed it."""
    try:
        envelope = Envelope.from_dict(canonical.loads(text))
        keys = envelope.verify(trusted, 1) if trusted else {}
    except (VerificationError, FormatError, KeyError, TypeError, ValueError) as error:
        raise PackageError("it is not signed by a key that is trusted here") from error
    if not keys:
        raise PackageError("no key is trusted here")
    statement = canonical.loads(envelope.payload)
    if envelope.payload_type != PAYLOAD_TYPE or statement.get("_type") != STATEMENT_TYPE or statement.get("subject") != _subjects(digests):
        raise PackageError("it speaks about another package")
    return Vouched(next(iter(keys)), str(statement.get("predicateType")), dict(statement.get("predicate") or {}))


def _subjects(digests: Digests) -> list[dict[str, Any]]:
    named = {"content": digests.content, "evidence": digests.evidence, MANIFEST: digests.manifest}
    return [{"name": name, "digest": {"sha256": digest}} for name, digest in named.items()]


def _write_new_key(path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
