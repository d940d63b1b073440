"""What the panel says, and asks, while its server is missing, killed, back, slow or silent; and that it keeps nobody awake."""

from __future__ import annotations

import functools
import os
import signal
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from conftest import opened
from governed_lab import TOKEN, running
from lab_page import START_MS
from plain_lab import plain_lab
from playwright.sync_api import expect
from ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OURS = "**/guardrails/**"
KEEP_WORDS = """panel => {
  window.words = [];
  const keep = () => window.words.push(...[...panel.querySelectorAll('.jp-Guardrails-connection')].map(one => one.textContent));
  new MutationObserver(keep).observe(panel, { subtree: true, childList: true, characterData: true });
}"""


def keep_words(lab):
    """Write down what is said about the connection from now on: it goes by."""
    lab.panel.root.evaluate(KEEP_WORDS)


def expect_words(lab, words):
    """Until it was said."""
    lab.page.wait_for_function("words => window.words.includes(words)", arg=words, timeout=START_MS)


def test_a_server_without_our_part_is_told_in_a_sentence_and_one_that_comes_back_is_followed(chromium, governed):
    port = free_port()
    with plain_lab(port=port, token=TOKEN) as plain, opened(chromium, plain) as lab:
        said = []
        lab.page.on("console", lambda message: said.append(message.text))
        limits = lab.open().panel.limits
        expect(limits).to_contain_text("Guardrails does not run on this server")
        expect(limits).to_contain_text("start it with jupyter guardrails lab")
        assert [text for text in said if "uardrails" in text] == []
        assert lab.violations() == []
        lab.page.get_by_role("menuitem", name="File", exact=True).click()  # the rest works as usual
        lab.page.keyboard.press("Escape")
        plain.kill()
        limits.get_by_role("button", name="Try again").dispatch_event("click")  # JupyterLab's own dialog may stand before it
        expect(limits).to_contain_text("The server cannot be reached", timeout=START_MS)
        keep_words(lab)
        with running(jupyter_path=governed.jupyter_path, port=port):
            expect(limits).to_contain_text("Nothing is running", timeout=START_MS)
            expect_words(lab, "The server answers again.")


def test_a_server_that_stands_still_is_waited_for_and_said_so(lab, governed):
    lab.open()
    limits = lab.panel.limits
    expect(limits).to_contain_text("Running now")
    keep_words(lab)
    os.kill(governed.process.pid, signal.SIGSTOP)
    try:
        expect_words(lab, "Still waiting for the server…")
        expect(limits).to_contain_text("Running now")
    finally:
        os.kill(governed.process.pid, signal.SIGCONT)
    expect(limits).not_to_contain_text("Still waiting for the server", timeout=START_MS)


INSTEAD = (
    ({"status": 500, "json": {"message": "Unhandled error"}}, "The server failed at this"),
    ({"status": 403, "json": {"message": "Forbidden"}}, "You are signed out"),
    ({"status": 200, "body": "<html>log in</html>", "content_type": "text/html"}, "You are signed out"),
    ({"status": 502, "body": "<html>bad gateway</html>", "content_type": "text/html"}, "The server cannot be reached"),
)


def fulfil(answer, route):
    route.fulfill(**answer)


def test_what_comes_in_place_of_an_answer_is_told_in_every_part(lab):
    lab.open()
    for answer, words in INSTEAD:
        lab.page.unroute_all()
        lab.page.route(OURS, functools.partial(fulfil, answer))
        for part in ("production", "data", "limits"):  # each reads when it comes to the front
            expect(getattr(lab.panel, part)).to_contain_text(words)
    assert lab.violations() == []
    keep_words(lab)
    lab.page.unroute_all()
    expect(lab.panel.limits).to_contain_text("Running now", timeout=START_MS)
    expect_words(lab, "The server answers again.")
    expect(lab.panel.limits).not_to_contain_text("cannot be reached")


def test_a_server_part_of_another_version_says_so(lab):
    def newer(route):
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"version": "9.9.9", "weather": "fine"})

    lab.page.route("**/guardrails/me*", newer)
    lab.open()
    expect(lab.panel.limits).to_contain_text("The server part is version 9.9.9")
    expect(lab.panel.limits).to_contain_text("Running now")


def activity(governed, path):
    """`last_activity` of the server or its kernels, asked for in a way that is none itself."""
    answer = requests.get(f"{governed.url}{path}", params={"no_track_activity": "1"}, headers={"Authorization": f"token {TOKEN}"}, timeout=30)
    found = answer.json()
    return [one["last_activity"] for one in found] if isinstance(found, list) else found["last_activity"]


def test_what_the_panel_reads_is_no_activity_of_server_or_kernel(lab, governed):
    asked = []
    lab.page.on("request", lambda request: asked.append(request) if "/guardrails/" in request.url else None)
    lab.open("good.ipynb")
    for part in ("limits", "data", "production"):
        with lab.page.expect_response(OURS):
            getattr(lab.panel, part)
    kernels = activity(governed, "api/kernels")
    lab.panel.section("Limits")
    for _ in range(2):
        with lab.page.expect_response("**/guardrails/kernels*", timeout=START_MS):
            pass
    assert activity(governed, "api/kernels") == kernels
    read = {request.url for request in asked if request.method == "GET"}
    assert len(read) >= 6
    assert [url for url in read if parse_qs(urlsplit(url).query).get("no_track_activity") != ["1"]] == []
    lab.page.goto("about:blank")  # JupyterLab's own requests are activity
    ask = {"headers": {"Authorization": f"token {TOKEN}"}, "timeout": 30}
    before, last = activity(governed, "api/status"), None
    while before != last:  # what the page asked for as it was left may still be answered
        time.sleep(0.3)
        before, last = activity(governed, "api/status"), before
    for url in sorted(read):
        assert requests.get(url, **ask).status_code == 200, url
    assert activity(governed, "api/status") == before
    requests.get(f"{governed.url}guardrails/me", **ask).raise_for_status()
    assert activity(governed, "api/status") > before, "the probe works"
