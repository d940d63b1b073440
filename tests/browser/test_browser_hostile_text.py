"""Texts of notebooks, catalogue and people that are HTML: the panel shows them, letter by letter, and runs none of it (XSS-01, 02, 03, 07)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import requests
import yaml
from conftest import SHOTS
from governed_lab import CONTRACT
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SOON_MS = 60_000
HTML = "<img src=x onerror='window.hurt=1'><svg onload='window.hurt=1'><b>bold</b></svg>"
LINK = "javascript:window.hurt=1"
NOTEBOOK = "<img src=x onerror=window.hurt=1>.ipynb"
DATASETS = ("nyc/hostile", "hr/hostile")


def contract(name: str, path: str) -> str:
    """Of a dataset whose every text is HTML or a link that runs something."""
    domain, _, title = name.partition("/")
    told = {"id": f"{domain}-{title}", "name": title, "domain": domain, "purpose": "x", "path": path, "classification": "internal"}
    found = yaml.safe_load(CONTRACT.format(**told))
    found["description"] = {"purpose": f"{HTML} [docs]({LINK})", "limitations": HTML, "usage": HTML}
    found["authoritativeDefinitions"] = [{"type": "documentation", "url": LINK}, {"type": "page", "url": f"data:text/html,{HTML}"}]
    found["team"] = {"name": HTML, "members": [{"username": HTML, "role": "owner"}]}
    for column in found["schema"][0]["properties"]:
        column["description"] = HTML
    return yaml.safe_dump(found)


@pytest.fixture(scope="module")
def hostile(governed) -> Iterator[None]:
    """The shared server, while its catalogue and its workspace hold these."""
    files = [governed.catalog / f"{name.replace('/', '_')}.odcs.yaml" for name in DATASETS]
    for name, file in zip(DATASETS, files, strict=True):
        data = governed.root / "data" / f"{file.name}.csv"
        data.write_text(f'carrier,flights\n"{HTML}",3\n')
        file.write_text(contract(name, str(data)))
    governed.add_notebook(NOTEBOOK, f"raise ValueError({HTML!r})")
    until_listed(governed, DATASETS)
    yield
    for file in (*files, governed.workspace / NOTEBOOK):
        file.unlink()
    until_listed(governed, ())


def until_listed(governed, names) -> None:
    """The catalogue follows its files within seconds."""
    deadline = time.monotonic() + 60
    while True:
        headers = {"Authorization": f"token {governed.token}"}
        answer = requests.get(f"{governed.url}guardrails/datasets?q=hostile", headers=headers, timeout=30).json()
        if {one["name"] for one in answer["datasets"]} == set(names):
            return
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)  # the HTTP API has no event to wait for


def assert_unhurt(lab) -> None:
    """Nothing ran, nothing of it became an element, and no link of the panel leads elsewhere."""
    assert lab.page.evaluate("window.hurt") is None
    panel = lab.panel.root
    assert panel.locator("img[src=x], svg[onload], b:text-is('bold')").count() == 0
    links = panel.locator("a").evaluate_all("links => links.map(link => [link.protocol, link.origin === location.origin])")
    assert all(link == ["http:", True] for link in links), links
    SHOTS.mkdir(exist_ok=True)
    lab.page.screenshot(path=SHOTS / "hostile-text.png")


def test_a_catalogue_with_html_and_links_that_run_something_is_text(lab, hostile):
    data = lab.open("good.ipynb").panel.data
    data.get_by_role("searchbox").fill("hostile")
    shown = lab.panel.dataset("nyc/hostile")
    expect(shown).to_contain_text(HTML)
    expect(shown).to_contain_text(f"[docs]({LINK})")
    shown.get_by_role("button", name="nyc/hostile", exact=True).click()
    expect(data.get_by_role("region", name="Columns of nyc/hostile")).to_contain_text(HTML)
    expect(data.get_by_role("region", name="First rows of nyc/hostile")).to_contain_text(HTML)
    assert_unhurt(lab)
    wanted = lab.panel.dataset("hr/hostile")
    wanted.get_by_role("button", name="Request access").click()
    wanted.get_by_label("What do you need it for?").fill(HTML)
    wanted.get_by_role("button", name="Send request").click()
    expect(data.get_by_role("region", name="My requests")).to_contain_text(HTML)
    assert_unhurt(lab)


def test_a_notebook_whose_name_and_errors_are_html_is_text(lab, hostile):
    lab.open(quote(NOTEBOOK))
    expect(lab.panel.limits.get_by_role("article", name=NOTEBOOK)).to_be_visible()
    assert_unhurt(lab)
    production = lab.panel.production
    production.get_by_role("button", name="Check draft").click()
    submission = production.get_by_role("region", name=f"Submission of {NOTEBOOK}")
    expect(submission.get_by_text("checks failed", exact=True)).to_be_visible(timeout=2 * SOON_MS)
    expect(lab.panel.check("A clean run from top to bottom")).to_contain_text(HTML)
    assert_unhurt(lab)


def test_the_probe_finds_html_that_is_taken_for_html(lab):
    """Else the tests above could not fail."""
    lab.open()
    lab.panel.root.evaluate("(panel, text) => panel.insertAdjacentHTML('beforeend', text)", HTML)
    lab.page.wait_for_function("window.hurt === 1")
    with pytest.raises(AssertionError):
        assert_unhurt(lab)


DIGESTS = {"content_digest": "a" * 64, "evidence_digest": "b" * 64}
OUTSIDE = "403 decisions are not made from JupyterLab"
TRIES = (
    ("POST", "guardrails/submissions/any/decision", {"decision": "approve", **DIGESTS}, OUTSIDE),
    ("POST", "guardrails/requests/any/decision", {"decision": "grant"}, OUTSIDE),
    ("POST", "guardrails/publications/any/decision", {"decision": "approve", "digest": "c" * 64}, OUTSIDE),
    ("PUT", "guardrails/profile", {"profile": "small", "notebook": "none.ipynb"}, "200 small"),  # the twin: what this person may do, it does
)
ASK = """
const token = document.cookie.match('_xsrf=([^;]*)')[1];
for (const [method, path, body] of TRIES) {
  const said = { method, body: JSON.stringify(body), headers: { 'X-XSRFToken': token } };
  const answer = await fetch(new URL(path, SERVER), said);
  const { message, profile } = await answer.json();
  element.append(`${answer.status} ${message ?? profile}; `);
}
"""


def test_an_outputs_javascript_acts_as_its_person_and_decides_nothing(lab, governed):
    """XSS-07: it runs in this origin, with the cookie and the XSRF token; no decision is one request from here, whoever that person is."""
    told = {"TRIES": [one[:3] for one in TRIES], "SERVER": governed.url}
    code = "".join(f"const {name} = {json.dumps(value)};" for name, value in told.items()) + f"(async () => {{ {ASK} }})()"
    lab.open("good.ipynb").add_cell(f"from IPython.display import Javascript\nJavascript({code!r})")
    lab.run_active()
    shown = lab.active_cell.locator(".jp-OutputArea")
    for *_, expected in TRIES:
        expect(shown).to_contain_text(expected, timeout=SOON_MS)
    assert shown.inner_text().count(OUTSIDE) == len(TRIES) - 1
