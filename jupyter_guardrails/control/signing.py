"""Packages and approvals as control's own keys vouch for them: what lies in the store is read back and verified, each approval is signed."""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jupyter_guardrails.control.state import ControlState
from jupyter_guardrails.errors import PackageError
from jupyter_guardrails.package import archive, manifest, signatures
from jupyter_guardrails.package.manifest import Digests
from jupyter_guardrails.package.verify import Verified, verify_archive
from jupyter_guardrails.records.columns import iso

KEPT = 64  # packages whose verification is remembered while their file stays the same


def keys_of(state: ControlState) -> Path:
    """Where control's signing key is, and the public keys that it trusts."""
    return state.settings.state_dir / "keys"


def kept(state: ControlState, row: Any) -> Verified:
    """A submission's package, read back whole; PackageError unless it has the digests of its row and a trusted signature. Blocks."""
    path = Path(row["package_path"])
    try:
        status, keys = path.stat(), keys_of(state)
        trusted = tuple(sorted((str(file), file.stat().st_mtime_ns) for file in keys.glob(f"*{signatures.PUBLIC_SUFFIX}")))
    except OSError as error:
        raise PackageError(f"its package can't be read: {os.strerror(error.errno or 0)}", next_step="submit it again") from error
    found = _verified(path, (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns), trusted)
    problems = list(found.problems)
    if (found.digests.content, found.digests.evidence) != (row["content_digest"], row["evidence_digest"]):
        problems.append("its package has other digests than its submission")
    if problems or not found.trusted:
        raise PackageError(f"its package is not what was kept: {'; '.join(problems) or 'nobody trusted signed it'}", next_step="submit it again")
    return found


def digests_of(state: ControlState, row: Any) -> Digests:
    """Those of a submission's package; without that of its manifest where the file can't be read any more. Blocks."""
    try:
        return kept(state, row).digests
    except PackageError:
        return Digests(row["content_digest"], row["evidence_digest"], "")


@functools.lru_cache(KEPT)
def _verified(path: Path, stamp: tuple[int, ...], trusted: tuple[tuple[str, int], ...]) -> Verified:
    """By the very file: another inode, size or time of change (which no program sets), and it is read again."""
    return verify_archive(path, [key for file, _ in trusted for key in signatures.read_trust(Path(file))])


def data_of(verified: Verified) -> dict[str, str]:
    """Dataset -> classification of all that a job inherits from and reads, as control signed it."""
    found = {entry.name: "" for entry in verified.job.inputs}
    for one in verified.vouched:
        if one.predicate_type == signatures.PROVENANCE:
            inputs = one.predicate.get("buildDefinition", {}).get("resolvedDependencies", [])
            found |= {entry["name"]: entry.get("annotations", {}).get("classification", "") for entry in inputs if "name" in entry}
    return found


def attach(state: ControlState, row: Any, approvals: Sequence[Any]) -> None:
    """Put the signed approvals into the package that lies in the store, in place of those before: the same digests, read back. Blocks."""
    before, path = kept(state, row).digests, Path(row["package_path"])
    with tempfile.TemporaryDirectory(prefix="approvals-", dir=path.parent) as scratch:
        folder, fresh = Path(scratch, "package"), Path(scratch, "fresh")
        archive.unpack(path, folder)
        for old in (folder / manifest.ATTESTATIONS).glob("approval-*.dsse.json"):
            old.unlink()
        for said in approvals:
            name = f"approval-{hashlib.sha256(said['reviewer'].encode()).hexdigest()[:16]}.dsse.json"
            (folder / manifest.ATTESTATIONS / name).write_text(said["attestation"], encoding="utf-8")
        archive.pack(folder, fresh)
        found = verify_archive(fresh, signatures.read_trust(keys_of(state)))
        if not found.trusted or found.digests != before:
            raise PackageError(f"the package with its approvals does not verify: {'; '.join(found.problems)}", next_step="submit it again")
        os.replace(fresh, path)


def approval(state: ControlState, row: Any, digests: Digests, said: dict[str, Any], now: datetime) -> str:
    """The envelope in which control says that this person approved these digests. Blocks."""
    return signatures.sign(signatures.open_signer(keys_of(state)), digests, signatures.APPROVAL, _predicate(row, said, now))


def _predicate(row: Any, said: Any, now: datetime) -> dict[str, Any]:
    terms = {"conditions": said["conditions"], "expiresAt": iso(said["expires_at"]) if said["expires_at"] else None}
    whose = {"reviewer": said["reviewer"], "asReviewer": said["as_reviewer"], "datasets": list(said["datasets"])}
    return {"submission": row["id"], "job": f"{row['name']}-{row['version']}", "approvedAt": iso(now), "rule": said["rule"]} | whose | terms


def problem_of(state: ControlState, row: Any, said: Any, digests: Digests) -> str:
    """Why a recorded approval is not what control signed; empty where it is."""
    if not said["attestation"]:
        return "control has not signed it"
    try:
        vouched = signatures.verify_envelope(said["attestation"], digests, signatures.read_trust(keys_of(state)))
    except PackageError as error:
        return error.message
    same = vouched.predicate_type == signatures.APPROVAL and vouched.predicate == _predicate(row, said, said["decided_at"])
    return "" if same else "it is not what control signed"
