"""The evidence of a submission as one static page: no script, nothing from elsewhere, all that an author wrote is text."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from jupyter_guardrails.review.evidence import Evidence
from jupyter_guardrails.review.shortened import LeftOut, left_out
from jupyter_guardrails.review.signs import SIGNS
from jupyter_guardrails.review.wording import compared, cost_lines, data_lines

CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
FRAME_CSP = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'self'; form-action 'none'"
IN_A_FRAME = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"  # what a meta element can say
PICTURES = ("image/png", "image/jpeg", "image/gif")  # kinds that hold no script
NO_RUN = "<p class=muted>There is none.</p>"
IN_THE_PACKAGE = "it is in the saved package"
CLOSING = "</body></html>\n"
MOST_TEXT = 20_000  # characters of one output
STYLE = """
:root { color-scheme: light dark; --line: #8885; --good: #1a7f37; --bad: #cf222e; --new: #2da44e22; --old: #cf222e22; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; border-bottom: 1px solid var(--line); }
pre, code { font: 13px/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .6rem; border: 1px solid var(--line); border-radius: 4px; margin: .3rem 0; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; }
.failed { color: var(--bad); font-weight: 600; } .passed { color: var(--good); } .muted { opacity: .7; }
.add { background: var(--new); display: block; } .del { background: var(--old); display: block; }
img { max-width: 100%; } label { display: block; margin: .5rem 0 .1rem; }
input[type=text], textarea { width: 100%; box-sizing: border-box; font: inherit; }
"""


def page(evidence: Evidence, *, decide: str = "") -> str:
    """The whole page; `decide`: the form of a page that is served, as HTML."""
    found = evidence.submission
    title = f"{found['name']}-{found['version']}"
    digests = f"<p>content <code>{escape(found['content_digest'])}</code><br>evidence <code>{escape(found['evidence_digest'])}</code></p>"
    head = f"<h1>{escape(title)}</h1><p class=muted>of {escape(found['person'])}: {escape(found['label'])}</p>{digests}"
    parts = [
        head,
        _section("Checks", _checks(found["checks"]) + _reason(found)),
        _section(compared(evidence), _changes(evidence)),
        _section("Data", _pre(data_lines(evidence))),
        _section("Its clean run used", _pre(cost_lines(evidence))),
        *_clean_runs(evidence.content.clean_runs if evidence.content else {}),
        _section("Decisions", _decisions(evidence.decisions)),
        decide or _section("Decide", _commands(found)),
    ]
    return document(title, "".join(parts))


def document(title: str, body: str) -> str:
    """A page around a body that is HTML already."""
    return f"{_opening(title, CSP)}{body}{CLOSING}"


def clean_run_page(title: str, runs: Iterable[tuple[str, Mapping[str, Any]]], *, theme: str) -> Iterator[str]:
    """The clean runs of a job as a page of its own for a `light` or `dark` frame, cell by cell: one of its notebooks is held at a time."""
    yield _opening(title, IN_A_FRAME)
    yield f"<style>:root {{ color-scheme: {theme}; }} body {{ margin: 0 auto; }}</style>"
    for name, notebook in runs:
        yield f"<h2>{escape(name)}</h2>"
        yield from _cells(notebook)
    yield CLOSING


def _opening(title: str, csp: str) -> str:
    head = f'<meta charset=utf-8><meta name=viewport content="width=device-width"><meta http-equiv=Content-Security-Policy content="{csp}">'
    return f"<!doctype html><html lang=en><head>{head}<title>{escape(title)}</title><style>{STYLE}</style></head><body>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _clean_runs(runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A section for each notebook, with its name where there are several."""
    named = {f"Clean run of {name}" if len(runs) > 1 else "Clean run": notebook for name, notebook in runs.items()}
    return [_section(title, _notebook(notebook)) for title, notebook in (named or {"Clean run": {}}).items()]


def _pre(lines: Iterable[str]) -> str:
    return f"<pre>{escape(chr(10).join(text.strip() for text in lines))}</pre>"


def _checks(checks: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for check in checks:
        findings = "".join(f"<br>{escape(_finding(one))}" for one in check["findings"])
        said = f"<b>{escape(check['title'])}</b> {escape(check['detail'])}{findings}"
        rows.append(f"<tr><td class={check['state']}>{escape(SIGNS[check['state']])}</td><td>{said}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


def _reason(found: Mapping[str, Any]) -> str:
    """Why it should go on in spite of warnings."""
    return f"<p><b>{escape(found['person'])} on its warnings:</b> {escape(found['reason'])}</p>" if found["reason"] else ""


def _finding(one: Mapping[str, Any]) -> str:
    cell, line = f"cell {one['cell'] + 1}" if one.get("cell") is not None else "", f"line {one['line']}" if one.get("line") else ""
    place = ", ".join(part for part in (one.get("notebook"), cell, line) if part)
    fix = f" (fix: {one['fix']})" if one.get("fix") else ""
    return f"{place}{': ' if place else ''}{one['message']}{fix}"


def _changes(evidence: Evidence) -> str:
    if evidence.changes is None:
        return "<p class=muted>There is nothing to compare with.</p>"
    if not evidence.changes:
        return "<p>None: what runs is the same, byte for byte.</p>"
    return "".join(f"<p><b>{escape(one.what)}</b></p><pre>{''.join(map(_changed, one.lines))}</pre>" for one in evidence.changes)


def _changed(line: str) -> str:
    kind = {"+": "add", "-": "del"}.get(line[:1])
    return f"<span class={kind}>{escape(line)}</span>" if kind else f"{escape(line)}\n"


def _notebook(notebook: Mapping[str, Any]) -> str:
    return "".join(_cells(notebook))


def _cells(notebook: Mapping[str, Any]) -> Iterator[str]:
    """What is missing, then cell by cell."""
    missing = left_out(notebook)
    if missing:
        words = "is 1 of its outputs" if len(missing) == 1 else f"are {len(missing)} of its outputs"
        yield f"<p class=failed>Not shown {words}, {_mebibytes(sum(one.bytes for one in missing))} in all: {IN_THE_PACKAGE}</p>"
    yield from (_cell(number, cell) for number, cell in enumerate(notebook.get("cells", []), 1))
    yield "" if notebook.get("cells") else NO_RUN


def _cell(number: int, cell: Mapping[str, Any]) -> str:
    outputs = "".join(map(_output, cell.get("outputs", [])))
    return f"<p class=muted>cell {number}, {escape(str(cell.get('cell_type')))}</p><pre>{escape(_text(cell.get('source')))}</pre>{outputs}"


def _output(output: Mapping[str, Any] | LeftOut) -> str:
    """As a picture that holds no script, else as text; of HTML and the like, and of what is too large, only that it is there."""
    if isinstance(output, LeftOut):
        return f"<p class=failed>An output of {_mebibytes(output.bytes)} is not shown here: {IN_THE_PACKAGE}</p>"
    if output.get("output_type") == "error":
        said = f"{output.get('ename')}: {output.get('evalue')}"
        return f"<pre class=failed>{escape(said)}</pre>"
    data = output.get("data", {"text/plain": output.get("text", "")})
    for kind in PICTURES:
        if kind in data and (picture := _picture(_text(data[kind]))):
            return f'<img alt="output of the cell" src="data:{kind};base64,{picture}">'
    text = _text(data.get("text/plain", ""))
    cut = f"\n… and {len(text) - MOST_TEXT} characters more" if len(text) > MOST_TEXT else ""
    others = ", ".join(sorted(set(data) - {"text/plain", *PICTURES}))
    note = f"<p class=muted>{escape(others)} is not shown here</p>" if others else ""
    return f"<pre>{escape(text[:MOST_TEXT] + cut)}</pre>{note}"


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"


def _picture(text: str) -> str:
    """Base64 of its bytes, made anew: nothing else of what was said stands in the page."""
    try:
        return base64.b64encode(base64.b64decode("".join(text.split()), validate=True)).decode()
    except (binascii.Error, ValueError):
        return ""


def _text(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _decisions(answer: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><td>{escape(one['decided_at'][:16])}</td><td>{escape(_decision(one))}</td></tr>" for one in answer["decisions"])
    missing = "".join(f"<p class=failed>Missing: {escape(one)}</p>" for one in answer["missing"])
    against = "".join(f"<p class=failed>Can't be deployed: {escape(one['reason'])}</p>" for one in answer["objections"] or [])
    table = f"<table>{rows}</table>" if rows else "<p class=muted>None yet.</p>"
    return f"{table}<p>{answer['approvals']} of {answer['needed']} approvals</p>{missing}{against}"


def _decision(one: Mapping[str, Any]) -> str:
    test = " (self-test, not approved)" if one["self_test"] else ""
    terms = f"; if {one['conditions']}" if one["conditions"] else ""
    terms += f"; until {one['ends_at'][:10]}" if one["ends_at"] else ""
    return f"{one['reviewer']}: {one['decision'].replace('_', ' ')}{test}: {one['words']}{terms}"


def _commands(found: Mapping[str, Any]) -> str:
    """This page decides nothing: how it is done in a shell."""
    digest = found["content_digest"][:12]
    texts = [f"jupyter guardrails job approve {found['id']} --digest {digest}"]
    texts += [f"jupyter guardrails job {word} {found['id']} --digest {digest} --reason '…'" for word in ("send-back", "reject")]
    return f"<p>In a shell, outside of JupyterLab:</p>{_pre(texts)}"
