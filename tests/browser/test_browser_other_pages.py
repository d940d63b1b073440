"""A page of another origin in the browser of somebody who is logged in: it reads, writes and frames nothing of ours (WEB-02, 07, 10)."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from conftest import opened
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]
READ = """async address => {
  const answer = await fetch(address, { credentials: 'include' });
  return [answer.status, (await answer.text()).length > 0];
}"""
WRITE = """async ([address, method, type, mode]) => {
  const told = { credentials: 'include', method, mode, body: '{"profile": "large"}', headers: { 'Content-Type': type } };
  return (await fetch(address, told)).status;
}"""
SOCKET = """address => new Promise(resolve => {
  const socket = new WebSocket(address.replace('http', 'ws'));
  socket.onopen = () => { socket.close(); resolve('open'); };
  socket.onerror = () => resolve('refused');
})"""
FRAME = """address => new Promise(resolve => {
  const frame = document.createElement('iframe');
  frame.onload = () => resolve();
  frame.src = address;
  document.body.append(frame);
})"""
SCRIPT = """address => new Promise(resolve => {
  const script = document.createElement('script');
  script.onload = () => resolve('taken');
  script.onerror = () => resolve('refused');
  script.src = address;
  document.head.append(script);
})"""
BLOCKED = "chrome-error://chromewebdata/"  # what Chromium shows in a frame that may not be
ROUTES = ("guardrails/me", "guardrails/datasets", "guardrails/submissions", "guardrails/audit")


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and tells nobody."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Iterator[str]:
    """The address of a server of somebody else's, on this very host: to a browser the same site, so that our cookies go along."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "index.html").write_text("<!doctype html><title>A page</title><body>A page of somebody else's")
    (folder / "script.js").write_text("1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def logged_in(chromium, governed) -> Iterator[Page]:
    """A tab of somebody who has our JupyterLab open beside it."""
    with opened(chromium, governed) as lab:
        lab.open()
        yield lab.page


@pytest.fixture
def page(logged_in, elsewhere) -> Iterator[Page]:
    """The other page, in that browser."""
    tab = logged_in.context.new_page()
    tab.goto(elsewhere)
    yield tab
    tab.close()


def tried(page: Page, script: str, told: object) -> object:
    """What a script of a page came to; "refused" where the browser gives it no answer."""
    return page.evaluate(f"async told => {{ try {{ return await ({script})(told); }} catch {{ return 'refused'; }} }}", told)


@pytest.mark.parametrize("path", ROUTES)
def test_it_reads_nothing(page, logged_in, governed, elsewhere, path):
    assert tried(page, READ, governed.url + path) == "refused"
    assert tried(page, READ, elsewhere) == [200, True], "the probe reads"
    assert tried(logged_in, READ, governed.url + path) == [200, True], "with the same cookie, from our own page"


@pytest.mark.parametrize("path", ROUTES)
def test_it_takes_no_answer_for_a_script(page, governed, elsewhere, path):
    assert tried(page, SCRIPT, governed.url + path) == "refused"
    assert tried(page, SCRIPT, f"{elsewhere}script.js") == "taken"


def test_it_writes_nothing(page, logged_in, governed):
    """Neither as a form might, whose answer it can't see, nor in a way for which a browser asks first; XSRF token and cookie of our own page do."""
    address = f"{governed.url}guardrails/profile"
    chosen = lambda: requests.get(f"{governed.url}guardrails/me", headers={"Authorization": f"token {governed.token}"}, timeout=30).text  # noqa: E731
    before = chosen()
    for way in ((address, "POST", "text/plain", "no-cors"), (address, "POST", "text/plain", "cors"), (address, "PUT", "application/json", "cors")):
        assert tried(page, WRITE, way) in (0, "refused"), way  # 0: sent, and nothing is said of its answer
    assert chosen() == before
    own = """async address => {
      const headers = { 'X-XSRFToken': document.cookie.match('_xsrf=([^;]*)')[1] };
      return (await fetch(address, { method: 'PUT', body: '{"profile": "small"}', headers })).status;
    }"""
    assert logged_in.evaluate(own, address) == 200


def test_it_opens_no_websocket(page, logged_in, governed):
    address = f"{governed.url}api/events/subscribe"
    assert tried(page, SOCKET, address) == "refused"
    assert tried(logged_in, SOCKET, address) == "open"


@pytest.mark.parametrize("path", ["lab", *ROUTES[:1]])
def test_it_frames_nothing(page, governed, elsewhere, path):
    page.evaluate(FRAME, governed.url + path)
    assert page.frames[-1].url == BLOCKED
    page.evaluate(FRAME, elsewhere)
    assert page.frames[-1].url == elsewhere, "the probe frames"


def test_a_link_of_it_opens_our_lab_and_it_sees_nothing_of_that(page, governed):
    """Whoever opens a window holds a hand on it: the address and what is in it stay the other origin's."""
    with page.expect_popup() as popup:
        page.evaluate("address => { window.opened = window.open(address); }", f"{governed.url}lab?reset")
    expect(popup.value.locator("#jp-main-dock-panel")).to_be_visible(timeout=60_000)
    assert tried(page, "() => window.opened.location.href", None) == "refused"
    assert tried(page, "() => window.opened.document.title", None) == "refused"
