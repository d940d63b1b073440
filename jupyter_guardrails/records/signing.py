"""Control's own key for the audit log: it signs anchors, and its successor. A public key is 64 hexadecimal digits (ed25519)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from jupyter_guardrails.errors import GuardrailsError

PRIVATE_KEY = "keys/audit-key.pem"  # in the folder that backups leave out unless they are asked for keys
PUBLIC_KEY = "audit-key.public"
NEXT_KEY = "keys/audit-key.pem.next"
ANCHOR = "jupyter-guardrails audit anchor"
KEY = "jupyter-guardrails audit key"
PUBLIC = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class AuditKey:
    """A private key and its public half."""

    private: Ed25519PrivateKey
    public: str

    def sign(self, kind: str, *parts: object) -> str:
        """Hexadecimal signature over these parts; `kind` keeps one sort of statement from passing for another."""
        return self.private.sign(_statement(kind, parts)).hex()


def open_key(folder: Path) -> AuditKey:
    """The key of a state directory, made at the first call (0600); its public half lies beside it in `audit-key.public`."""
    path = folder / PRIVATE_KEY
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        _write(path, _pem(Ed25519PrivateKey.generate()))
    key = _load(path)
    public = folder / PUBLIC_KEY
    if not public.exists() or public.read_text().strip() != key.public:
        _write(public, f"{key.public}\n".encode())
    return key


def prepare_next(folder: Path) -> AuditKey:
    """A fresh key beside the folder's own, which stays in force until `adopt_next`."""
    path = folder / NEXT_KEY
    _write(path, _pem(Ed25519PrivateKey.generate()))
    return _load(path)


def adopt_next(folder: Path, announced: str | None) -> None:
    """Put the fresh key in force if the log announced it, else forget it: also after a crash between the two steps of an exchange."""
    path = folder / NEXT_KEY
    if not path.exists():
        return
    if _load(path).public == announced:
        os.replace(path, folder / PRIVATE_KEY)
    else:
        path.unlink()


def holds(public: str, signature: str, kind: str, *parts: object) -> bool:
    """Whether the owner of this public key signed these parts."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), _statement(kind, parts))
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _statement(kind: str, parts: tuple[object, ...]) -> bytes:
    return "\n".join((kind, *map(str, parts))).encode()


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _write(path: Path, data: bytes) -> None:
    """A file of mode 0600, there whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def _load(path: Path) -> AuditKey:
    try:
        loaded = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise _unusable(path, str(error)) from error
    if not isinstance(loaded, Ed25519PrivateKey):
        raise _unusable(path, "it is not an ed25519 key")
    return AuditKey(loaded, loaded.public_key().public_bytes_raw().hex())


def _unusable(path: Path, why: str) -> GuardrailsError:
    step = "restore it from a backup; without it, move it away: a new key begins, and `audit verify` says from where on"
    return GuardrailsError(f"{path} can't be used to sign the audit log: {why}", next_step=step)
