"""`jupyter guardrails job approve|send-back|reject`: a reviewer's word on exactly what they looked at, given outside of JupyterLab."""

from __future__ import annotations

import argparse
import os
from typing import Any

from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.cli.printing import line, print_json
from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.decisions import SubmissionDecide, SubmissionDecisions
from jupyter_guardrails.control.interface.messages import SubmissionShow
from jupyter_guardrails.errors import BadRequest, Conflict

SHORTEST = 12  # digits of a digest that name one
DECISIONS = {
    "approve": ("approve", "approve what was reviewed; in production only when enough reviewers have"),
    "send-back": ("send_back", "ask for changes, in words that its author reads"),
    "reject": ("reject", "reject for good, in words that its author reads"),
}


def add_parsers(commands: Any) -> None:
    """Below `job`."""
    for name, (_, text) in DECISIONS.items():
        parser = commands.add_parser(name, help=text, description=text)
        parser.add_argument("id", help="as `job list --review` shows it")
        parser.add_argument("--digest", required=True, help=f"content digest of what you reviewed, {SHORTEST} digits or more")
        parser.add_argument("--evidence", help="evidence digest, likewise (default: that of what is in review now)")
        parser.add_argument("--reason", default="", required=name != "approve", help="your words")
        if name == "approve":
            parser.add_argument("--condition", default="", help="on which condition, in words that whoever deploys it reads")
            parser.add_argument("--days", type=int, help="for so many days; then it has to be approved anew")
        parser.add_argument("--json", action="store_true")
        parser.set_defaults(run=run, condition="", days=None)


def run(arguments: argparse.Namespace) -> int:
    """0 when the decision was taken; a self-test says so."""
    with connected(os.environ) as client:
        found = _named(client, arguments)
        said = {"content_digest": found["content_digest"], "evidence_digest": found["evidence_digest"], "words": arguments.reason}
        said |= {"conditions": arguments.condition, "days": arguments.days}
        word = DECISIONS[arguments.job_command][0]
        answer = client.call(SubmissionDecide.model_validate({"id": arguments.id, "decision": word} | said))
    if arguments.json:
        print_json(answer)
        return 0
    print(f"{line(answer['submission']['name'])}-{answer['submission']['version']}: {answer['label']}")
    print("\n".join(decision_lines(answer)))
    return 0


def _named(client: ControlClient, arguments: argparse.Namespace) -> dict[str, Any]:
    """What is in review, if it is what the reviewer names."""
    found = client.call(SubmissionShow(id=arguments.id))
    for key, given in (("content_digest", arguments.digest), ("evidence_digest", arguments.evidence)):
        if given is None:
            continue
        digits = given.lower()
        if len(digits) < SHORTEST:
            raise BadRequest(f"a digest is named by {SHORTEST} digits or more", next_step=f"jupyter guardrails job show {arguments.id}")
        if not found[key].startswith(digits):
            what = key.replace("_", " ")
            raise Conflict(f"the {what} in review is {found[key] or '(none)'}, not {digits}", next_step="review what is there now, then decide")
    return found


def decisions_of(client: ControlClient, id: str) -> list[str]:
    """The decisions on a submission, for `job show`."""
    return decision_lines(client.call(SubmissionDecisions(id=id)))


def decision_lines(answer: dict[str, Any]) -> list[str]:
    """Who said what under which conditions, how many approvals there are, and what is missing or stands against production now."""
    counted = [f"  approvals: {answer['approvals']} of {answer['needed']}"] if answer["decisions"] else []
    lines = [*map(_decision_line, answer["decisions"]), *counted, *(f"  missing: {line(one)}" for one in answer["missing"])]
    if answer["objections"] is None:
        return lines
    against = [f"  can't be deployed: {line(one['reason'])}\n    next: {line(one['next_step'])}" for one in answer["objections"]]
    return [*lines, *(against or ["  may be deployed now"])]


def _decision_line(said: dict[str, Any]) -> str:
    label = " (self-test, not approved)" if said["self_test"] else ""
    label += f" for {', '.join(map(line, said['datasets']))}" if said["datasets"] else ""
    terms = f"; if {line(said['conditions'])}" if said["conditions"] else ""
    terms += f"; until {said['ends_at'][:10]}" if said["ends_at"] else ""
    words = f": {line(said['words'])}" if said["words"] else ""
    return f"  {said['decided_at'][:16]}  {line(said['reviewer'])}: {said['decision'].replace('_', ' ')}{label}{words}{terms}"
