"""The plain review page: what a reviewer's browser asks, answered as HTML. No script, no cookie; decisions are repeated in their terminal.

Every address begins with a secret of this run, which no other origin knows (a cookie would go to a Jupyter server on the same host, too). A
decision needs the digest, typed, and then a code that only the terminal shows, beside what it is a code for: a page that imitates this one,
or a script in another tab, can't decide.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import quote

from jupyter_guardrails.cli.job_review import SHORTEST, decision_lines
from jupyter_guardrails.cli.printing import line
from jupyter_guardrails.control.interface import ControlClient
from jupyter_guardrails.control.interface.decisions import SubmissionDecide, SubmissionsQueue
from jupyter_guardrails.errors import BadRequest, Conflict, GuardrailsError, NotFound, Refused
from jupyter_guardrails.review import evidence as review_evidence
from jupyter_guardrails.review import page as review_page

CODE_S = 300.0
TRIES = 3
WORDS = {"approve": "approve", "send_back": "send back", "reject": "reject"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What the browser gets."""

    status: int
    body: str


@dataclass
class Pending:
    """A decision that waits for its code."""

    request: SubmissionDecide
    job: str
    code: str
    until: float
    tries: int = TRIES


class Site:
    """Answers requests of one reviewer; `say` prints a line in their terminal, `clock` counts seconds."""

    def __init__(self, client: ControlClient, *, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self.key = secrets.token_urlsafe(24)
        self._client, self._say, self._clock = client, say, clock
        self._pending: dict[str, Pending] = {}
        self._lock = threading.Lock()

    def get(self, path: str) -> Reply:
        """The list of what waits, or one submission with its form."""
        return self._answer(path, self._show)

    def post(self, path: str, form: Mapping[str, str]) -> Reply:
        """A decision, or the code for one; the caller has looked that it comes from a page of this origin."""
        return self._answer(path, lambda rest: self._decide(rest, form))

    def _answer(self, path: str, handle: Callable[[list[str]], str]) -> Reply:
        key, *rest = path.strip("/").split("/")
        try:
            if not hmac.compare_digest(key.encode(), self.key.encode()):
                raise NotFound("there is nothing here", next_step="use the whole address that the command printed")
            return Reply(200, handle(rest))
        except GuardrailsError as error:
            body = f"<h1>{escape(error.message)}</h1><p>{escape(error.next_step or '')}</p><p class=muted>{escape(error.rule or '')}</p>"
            return Reply(error.status, review_page.document("Not done", body))

    def _show(self, rest: list[str]) -> str:
        if rest in ([], [""]):
            return self._queue()
        if len(rest) != 1:
            raise NotFound("there is nothing here")
        evidence = review_evidence.gather(self._client, rest[0])
        return review_page.page(evidence, decide=self._form(evidence.submission))

    def _queue(self) -> str:
        rows = self._client.call(SubmissionsQueue())["submissions"]
        items = "".join(
            f'<li><a href="/{self.key}/{quote(row["id"])}">{escape(row["name"])}-{row["version"]}</a> of {escape(row["person"])}: '
            f"{escape(row['label'])}</li>"
            for row in rows
        )
        body = f"<ul>{items}</ul>" if items else "<p>Nothing waits for your review.</p>"
        return review_page.document("Review", f"<h1>What waits for your review</h1>{body}")

    def _form(self, found: Mapping[str, Any]) -> str:
        choices = "".join(f"<label><input type=radio name=decision value={key} required> {text}</label>" for key, text in WORDS.items())
        fields = f"<label for=digest>The content digest of what you reviewed, {SHORTEST} digits or more</label>"
        fields += "<input type=text id=digest name=digest required>"
        fields += "<label for=words>Your words, which its author reads</label><textarea id=words name=words rows=3></textarea>"
        fields += "<label for=conditions>An approval's condition</label><input type=text id=conditions name=conditions>"
        fields += "<label for=days>It ends after so many days</label><input type=text id=days name=days inputmode=numeric>"
        action = f"/{self.key}/{quote(found['id'])}"
        return f'<section><h2>Decide</h2><form method=post action="{action}">{choices}{fields}<p><button>Next</button></p></form></section>'

    def _decide(self, rest: list[str], form: Mapping[str, str]) -> str:
        if len(rest) != 1:
            raise NotFound("there is nothing here")
        with self._lock:
            return self._confirmed(rest[0], form["code"]) if "code" in form else self._asked(rest[0], form)

    def _asked(self, id: str, form: Mapping[str, str]) -> str:
        """Hold the decision, and say in the terminal what the code is for."""
        found = review_evidence.gather(self._client, id).submission
        request, job = _request(found, form), f"{found['name']}-{found['version']}"
        code = f"{secrets.randbelow(10**6):06}"
        self._pending[id] = Pending(request, job, code, self._clock() + CODE_S)
        words = WORDS[request.decision]
        self._say(f"{words} {line(job)} of {line(found['person'])}, content {found['content_digest']}: code {code[:3]} {code[3:]}")
        body = f"<h1>{escape(words)} {escape(job)}?</h1><p>content <code>{escape(found['content_digest'])}</code></p>"
        body += f"<p>{escape(request.words) or 'no words'}</p>" + (f"<p>if {escape(request.conditions)}</p>" if request.conditions else "")
        body += "<p>Your terminal shows a code beside this very decision. Type it here; if it shows another decision, don't.</p>"
        field = "<label for=code>Code</label><input type=text id=code name=code required autocomplete=off inputmode=numeric>"
        body += f'<form method=post action="/{self.key}/{quote(id)}">{field}<p><button>{escape(words)}</button></p></form>'
        return review_page.document("Code", body)

    def _confirmed(self, id: str, code: str) -> str:
        held = self._pending.get(id)
        if held is None or held.until < self._clock():
            self._pending.pop(id, None)
            raise Conflict("no decision waits for a code, or it waited for too long", next_step="decide again")
        if not hmac.compare_digest("".join(code.split()).encode(), held.code.encode()):
            held.tries -= 1
            if held.tries <= 0:
                del self._pending[id]
            raise Refused("that is not the code", next_step="look into the terminal, and go back" if held.tries > 0 else "decide again")
        del self._pending[id]
        answer = self._client.call(held.request)
        self._say(f"done: {WORDS[held.request.decision]} {line(held.job)}: {answer['label']}")
        lines = "\n".join(text.strip() for text in decision_lines(answer))
        body = f'<h1>{escape(held.job)}: {escape(answer["label"])}</h1><pre>{escape(lines)}</pre><p><a href="/{self.key}/">What else waits</a></p>'
        return review_page.document("Done", body)


def _request(found: Mapping[str, Any], form: Mapping[str, str]) -> SubmissionDecide:
    """The decision about what is in review, if that is what the reviewer names."""
    digits, days = form.get("digest", "").strip().lower(), form.get("days", "").strip()
    if len(digits) < SHORTEST or not found["content_digest"].startswith(digits):
        raise Conflict(f"the content digest in review is {found['content_digest']}, not {digits[:64]}", next_step="review what is there now")
    if form.get("decision") not in WORDS or (days and not (days.isascii() and days.isdigit() and 1 <= int(days[:6]) <= 3650)):
        raise BadRequest("choose a decision; days are a number from 1 to 3650", next_step="go back and mend it")
    said = {"decision": form["decision"], "words": form.get("words", "")[:4000], "conditions": form.get("conditions", "")[:2000]}
    digests = {key: found[key] for key in ("content_digest", "evidence_digest")}
    return SubmissionDecide.model_validate({"id": found["id"], "days": int(days) if days else None} | said | digests)
