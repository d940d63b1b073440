"""Reading a package that came from anywhere: unpack safely, recompute, compare, and say who vouches for it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from securesystemslib.signer._key import Key

from jupyter_guardrails.package import archive, manifest, signatures
from jupyter_guardrails.package.job import Job, read_job

REQUIRED = ("run.py", "env/pylock.kernel.toml", "env/pylock.runner.toml", "evidence/checks.json")
APPROVAL = {"reviewer": "reviewer", "approved_at": "approvedAt", "expires_at": "expiresAt", "conditions": "conditions"}  # as shown, as signed


@dataclass(frozen=True, slots=True)
class Verified:
    """What a package is and whether a trusted key vouches for exactly these bytes."""

    job: Job
    version: int
    digests: manifest.Digests
    vouched: tuple[signatures.Vouched, ...]
    problems: tuple[str, ...]

    @property
    def trusted(self) -> bool:
        """Nothing was changed and at least one trusted key signed its provenance."""
        return not self.problems and any(one.predicate_type == signatures.PROVENANCE for one in self.vouched)

    @property
    def approvals(self) -> list[signatures.Vouched]:
        """The approvals of this very package that a trusted key signed, oldest first."""
        found = [one for one in self.vouched if one.predicate_type == signatures.APPROVAL]
        return sorted(found, key=lambda one: (str(one.predicate.get("approvedAt")), str(one.predicate.get("reviewer"))))

    def to_json(self) -> dict[str, Any]:
        """The answer of control's `package.verify`."""
        return {
            "name": self.job.name,
            "version": self.version,
            "content_digest": self.digests.content,
            "evidence_digest": self.digests.evidence,
            "signed_by": sorted({one.keyid for one in self.vouched}),
            "approvals": [{name: one.predicate.get(key) for name, key in APPROVAL.items()} for one in self.approvals],
            "trusted": self.trusted,
            "problems": list(self.problems),
        }


def verify_folder(folder: Path, trusted: Iterable[Key]) -> Verified:
    """Verify an unpacked package; PackageError when it can't be read at all."""
    digests, problems = manifest.check(folder)
    problems += [f"{name} is missing" for name in REQUIRED if not (folder / name).is_file()]
    job = read_job(folder)
    problems += [f"its notebook {name} is not in src/" for name in job.notebooks if not _is_within(folder / "src", name)]
    vouched, unsigned = signatures.verify(folder, digests, trusted)
    problems += unsigned or ([] if vouched else ["nobody that is trusted here signed it"])
    return Verified(job, _version(vouched), digests, tuple(vouched), tuple(problems))


def _is_within(source: Path, name: str) -> bool:
    return (source / name).resolve().is_relative_to(source.resolve()) and (source / name).is_file()


def verify_archive(path: Path | IO[bytes], trusted: Iterable[Key]) -> Verified:
    """Verify a zip without keeping what it unpacks."""
    with tempfile.TemporaryDirectory(prefix="guardrails-verify-") as folder:
        archive.unpack(path, folder)
        return verify_folder(Path(folder), trusted)


def _version(vouched: Iterable[signatures.Vouched]) -> int:
    """The version that the signer gave; 0 when nobody who is trusted gave one."""
    for one in vouched:
        external = one.predicate.get("buildDefinition", {}).get("externalParameters", {})
        if re.fullmatch(r"\d+", str(external.get("version", ""))):
            return int(external["version"])
    return 0
