"""A language in which every string of ours stands in brackets and is 40 % longer: what has no brackets then was never given to the translator.

It is a language pack's answer in JupyterLab's format, made of all strings in labextension/src; JupyterLab's own strings stay as they are.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, Route

SOURCES = Path(__file__).parents[2] / "labextension" / "src"
CALL = re.compile(r"\.(__|_n)\(\s*")
LITERAL = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\"""")
NEXT = re.compile(r"\s*,\s*")
LONGER = 0.4
LANGUAGE = {"domain": "jupyter_guardrails", "language": "eo", "plural_forms": "nplurals=2; plural=(n != 1);", "version": "1.0"}
WORDS = r"""([root, theirs]) => {
    const SAME = /\d [KMGT]?i?B(?=[\s,;)]|$)|[\w-]+\.ipynb/g;  // units, and notebooks, which people name
    const rest = text => {
        for (let before = ''; before !== text; ) { before = text; text = text.replace(/⟦[^⟦⟧]*⟧/g, ' '); }  // brackets within brackets
        return text.replace(SAME, '');
    };
    const bare = text => /\p{L}{2}/u.test(rest(text)) || /[⟦⟧]/.test(rest(text));
    const of = element => theirs.length > 0 && element.closest(theirs) !== null;
    const found = [];
    for (const element of [root, ...root.querySelectorAll('*')]) {
        const seen = element.getClientRects().length || element.tagName === 'OPTION';
        if (!seen || of(element)) { continue; }
        for (const name of ['aria-label', 'title', 'placeholder', 'alt', 'aria-valuetext']) {
            const text = element.getAttribute(name);
            if (text && bare(text)) { found.push(`${name}=${text}`); }
        }
        const own = [...element.childNodes].filter(one => one.nodeType === Node.TEXT_NODE).map(one => one.data).join('');
        if (bare(own)) { found.push(`${element.tagName.toLowerCase()}.${element.className} ${own.trim()}`); }
    }
    return found;
}"""
CUT = """root => {
    const scrolls = element => element.closest('.jp-Guardrails-tableFrame, pre, .jp-Guardrails-srOnly') !== null;
    const right = root.getBoundingClientRect().right + 1;
    const cut = one => {
        const style = getComputedStyle(one), hides = style.overflowX !== 'visible' && style.overflowX !== 'auto';
        return one.getBoundingClientRect().right > right || (hides && one.textContent.includes('⟦') && one.scrollWidth > one.clientWidth + 1);
    };
    const seen = [...root.querySelectorAll('*')].filter(one => one.getClientRects().length && !scrolls(one));
    return seen.filter(cut).map(one => one.outerHTML.slice(0, 200));
}"""


def strings() -> list[tuple[str, ...]]:
    """Each string of the front end, a plural one with its form for many; a call whose string is no literal is an error."""
    found: list[tuple[str, ...]] = []
    for path in sorted(SOURCES.rglob("*.ts*")):
        if "__tests__" not in path.parts:
            text = path.read_text()
            found += [_string(text, call, path.name) for call in CALL.finditer(text)]
    return found


def _string(text: str, call: re.Match[str], file: str) -> tuple[str, ...]:
    one = LITERAL.match(text, call.end())
    assert one is not None, f"{file}: no catalogue can have {text[call.start() : call.end() + 60]!r}"
    if call[1] == "__":
        return (ast.literal_eval(one[0]),)
    comma = NEXT.match(text, one.end())
    many = comma and LITERAL.match(text, comma.end())
    assert many, f"{file}: no form for many in {text[call.start() : one.end() + 60]!r}"
    return ast.literal_eval(one[0]), ast.literal_eval(many[0])


def bracketed(text: str) -> str:
    """The same, longer; a single word stays one, as in languages that put words together."""
    missing = "ẃ" * max(1, round(LONGER * len(text)))
    if " " in text:
        missing = " " + " ".join(missing[at : at + 9] for at in range(0, len(missing), 9))
    return f"⟦{text}{missing}⟧"


def catalogue() -> dict[str, Any]:
    """What the server answers to a page that asks for its language."""
    messages = {forms[0]: [bracketed(form) for form in forms] for forms in strings()}
    return {"data": {"jupyter_guardrails": {"": LANGUAGE} | messages}, "message": ""}


def speak(page: Page) -> None:
    """Pages that load from now on are in this language."""
    said = catalogue()

    def answer(route: Route) -> None:
        route.fulfill(json=said)

    page.route("**/lab/api/translations/*", answer)


def untranslated(part: Locator, theirs: dict[str, str]) -> list[str]:
    """Text and names of what can be seen that have letters outside of brackets, but for `theirs`: selectors of what is not ours, and why."""
    found: list[str] = part.evaluate(f"(root, theirs) => ({WORDS})([root, theirs])", ", ".join(theirs))
    return sorted(set(found))


def cut(part: Locator) -> list[str]:
    """What leaves its part at the side, or hides the end of a string."""
    found: list[str] = part.evaluate(CUT)
    return found
