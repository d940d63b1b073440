"""`jupyter guardrails job list|show|save|verify|trust|run|approve|send-back|reject`: packages, for reviewers and operators who need no JupyterLab."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

from jupyter_guardrails.cli import (
    job_deploy,
    job_evidence,
    job_fix,
    job_lifecycle,
    job_page,
    job_publish,
    job_reopen,
    job_review,
    job_run,
    job_share,
    job_start,
    job_trust,
)
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.cli.submit import check_line, finding_lines, summary
from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.decisions import SubmissionsQueue
from jupyter_guardrails.control.interface.messages import SubmissionPackage, SubmissionShow, SubmissionsList
from jupyter_guardrails.errors import NotFound
from jupyter_guardrails.package import revocations
from jupyter_guardrails.package.signatures import read_trust
from jupyter_guardrails.package.verify import verify_archive


def add_parser(subparsers: Any) -> None:
    """`job` and its own commands."""
    parser = subparsers.add_parser("job", help="list, show, verify and run job packages")
    commands = parser.add_subparsers(dest="job_command", required=True, metavar="COMMAND")
    listing = _command(commands, "list", _list, "your submissions, newest first")
    listing.add_argument("--review", action="store_true", help="what waits for your review, oldest first")
    _command(commands, "show", _show, "one submission with its checks").add_argument("id")
    save = _command(commands, "save", _save, "write a submission's package to a file")
    save.add_argument("id")
    save.add_argument("--to", default=".", help="a folder or a file (default: here)")
    verify = _command(commands, "verify", _verify, "whether a package is unchanged and who vouches for it")
    verify.add_argument("package", type=Path, help="a .job.zip file")
    verify.add_argument("--trust", type=Path, metavar="PATH", help="a *.public.json file or a folder of them, instead of control's own keys")
    job_run.add_parser(commands)
    job_fix.add_parser(commands)
    job_review.add_parsers(commands)
    job_evidence.add_parser(commands)
    job_page.add_parser(commands)
    job_deploy.add_parsers(commands)
    job_publish.add_parser(commands)
    job_reopen.add_parser(commands)
    job_lifecycle.add_parsers(commands)
    job_start.add_parser(commands)
    job_trust.add_parser(commands)
    job_share.add_parser(commands)


def _command(commands: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text)
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)
    return parser


def _list(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = client.call(SubmissionsQueue() if arguments.review else SubmissionsList())
    none = "nothing waits for your review" if arguments.review else "no submissions yet: `jupyter guardrails submit NOTEBOOK`"
    rows = [f"{row['id']}  {row['name']}-{row['version']:<4} {row['label']:<42} {row['updated_at']}" for row in found["submissions"]]
    print(json.dumps(found, indent=1) if arguments.json else "\n".join(rows) or none)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    with connected(os.environ) as client:
        found = client.call(SubmissionShow(id=arguments.id))
        decided = job_review.decisions_of(client, arguments.id)
        deployed = job_deploy.drift_of(client, arguments.id)
    if arguments.json:
        print(json.dumps(found, indent=1))
        return 0
    print(summary(found))
    for check in found["checks"]:
        print(check_line(check))
        for finding in check["findings"]:
            print("\n".join(finding_lines(finding)))
    if lines := [*decided, *deployed]:
        print("\n".join(lines))
    return 0


def _save(arguments: argparse.Namespace) -> int:
    target = Path(arguments.to)
    with connected(os.environ) as client:
        said, fds = client.call_with_fds(SubmissionPackage(id=arguments.id))
    path = target / said["name"] if target.is_dir() else target
    with open(fds[0], "rb") as source, path.open("xb") as sink:
        shutil.copyfileobj(source, sink)
    print(json.dumps(said | {"path": str(path)}, indent=1) if arguments.json else path)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    """1 unless a trusted key vouches for exactly these bytes."""
    if arguments.trust:
        trusted = read_trust(arguments.trust)
        verified = verify_archive(_existing(arguments.package), trusted)
        found = verified.to_json()
        if revoked := revocations.problems(arguments.trust, verified.digests, trusted):
            found |= {"trusted": False, "problems": [*found["problems"], *revoked]}
    else:
        with connected(os.environ) as client:
            found = verified_by(client, arguments.package)
    print(json.dumps(found, indent=1) if arguments.json else verdict(found))
    return 0 if found["trusted"] else 1


def verified_by(client: ControlClient, package: Path) -> dict[str, Any]:
    """Control's word on a package file."""
    with _existing(package).open("rb") as file:
        return client.verify(file)


def verdict(found: dict[str, Any]) -> str:
    """Trusted or not, and by whom."""
    head = f"{found['name']} version {found['version'] or 'unknown'}: {'unchanged and signed' if found['trusted'] else 'NOT trusted'}"
    lines = [head, f"  content: {found['content_digest']}", f"  evidence: {found['evidence_digest']}"]
    nobody = "self-test: nobody else has approved this" if found.get("self_test") else "nobody has approved this"
    label = "" if found.get("approvals") else f" ({nobody})"
    lines += [f"  signed by: {', '.join(found['signed_by'])}{label}"] if found["signed_by"] else []
    lines += [f"  approved by: {_approval(one)}" for one in found.get("approvals", [])]
    return "\n".join([*lines, *(f"  problem: {problem}" for problem in found["problems"])])


def _approval(said: dict[str, Any]) -> str:
    """`rita on 2026-03-01, until 2026-06-01, if only for March`, as its signer says."""
    until = f", until {line(str(said['expires_at']))[:10]}" if said["expires_at"] else ""
    terms = f", if {line(str(said['conditions']))}" if said["conditions"] else ""
    return f"{line(str(said['reviewer']))} on {line(str(said['approved_at']))[:10]}{until}{terms}"


def _existing(package: Path) -> Path:
    if not package.is_file():
        raise NotFound(f"there is no file {package}", next_step="`jupyter guardrails job list`, then `job save ID`")
    return package
