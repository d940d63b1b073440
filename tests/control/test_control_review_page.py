"""The plain review page over real HTTP: who gets in, what it takes to decide, and that a page of somebody else's can't."""

import http.client
import re
import threading
from urllib.parse import urlencode

import pytest
from decision_world import POLICY, DecisionWorld
from test_control_evidence import As

from jupyter_guardrails.cli import job_page
from jupyter_guardrails.cli.review_site import CODE_S, TRIES, Site

ONE = POLICY.replace("approvals: 2}", "approvals: 1}")


class Page:
    """A served page of rita's, a browser for it, and what her terminal shows."""

    def __init__(self, world):
        self.world, self.said, self.now = world, [], 0.0
        self.site = Site(As(world, "rita"), say=self.said.append, clock=lambda: self.now)
        self.server = job_page.server(self.site, 0)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def request(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            connection.close()

    def get(self, path="", **headers):
        return self.request("GET", f"/{self.site.key}/{path}", **headers)

    def post(self, path, headers=None, **form):
        own = {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/x-www-form-urlencoded"}
        return self.request("POST", f"/{self.site.key}/{path}", urlencode(form), **own | (headers or {}))

    def code(self):
        return re.search(r"code (\d{3} \d{3})$", self.said[-1])[1]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


@pytest.fixture
def page(tmp_path):
    world = DecisionWorld(tmp_path, ONE)
    world.submission(code="print('<script>alert(1)</script>')")
    found = Page(world)
    yield found
    found.close()
    world.close()


def asked(page, **form):
    said = {"decision": "approve", "digest": page.world.row()["content_digest"][:12], "words": "it is right"}
    return page.post("s1", **said | form)


def test_a_reviewer_finds_reads_and_approves_with_the_code_of_the_terminal(page):
    status, queue, _ = page.get()
    assert (status, f'href="/{page.site.key}/s1"' in queue) == (200, True)
    status, text, _ = page.get("s1")
    assert (status, page.world.row()["content_digest"] in text) == (200, True)
    assert "<script" not in text
    status, _, _ = asked(page, conditions="only for March", days="30")
    assert (status, page.world.row()["state"]) == (200, "in_review"), "not before the code"
    assert page.said[-1].startswith(f"approve report-1 of ana, content {page.world.row()['content_digest']}: code ")
    status, done, _ = page.post("s1", code=page.code())
    assert (status, page.world.row()["state"]) == (200, "approved"), done
    assert "only for March" in done
    assert page.said[-1] == "done: approve report-1: approved"
    assert "Nothing waits for your review" in page.get()[1]


def test_nobody_gets_in_without_the_address(page):
    for path in ("/", "/s1", "/wrong/s1", f"/{page.site.key[:-1]}/s1", f"/{page.site.key}/s1/more", f"/{page.site.key}/nope"):
        assert page.request("GET", path)[0] == 404
    assert page.request("POST", "/wrong/s1", "decision=approve", Origin=f"http://127.0.0.1:{page.port}")[0] == 404


@pytest.mark.parametrize("origin", ["http://evil.example.com", "null", "http://127.0.0.1:1", "http://localhost:{port}", None])
def test_a_form_of_another_page_decides_nothing(page, origin):
    headers = {"Origin": origin.format(port=page.port)} if origin else {}
    form = urlencode({"decision": "approve", "digest": page.world.row()["content_digest"]})
    assert page.request("POST", f"/{page.site.key}/s1", form, **headers)[0] == 403
    assert page.said == []
    assert asked(page)[0] == 200, "the allow twin"


@pytest.mark.parametrize("host", ["evil.example.com", "localhost", "127.0.0.1:1", ""])
def test_a_name_that_was_rebound_to_this_address_gets_nothing(page, host):
    assert page.request("GET", f"/{page.site.key}/", Host=host)[0] == 403


def test_the_code_is_needed_and_is_not_guessed(page):
    assert page.post("s1", code="123456")[0] == 409
    asked(page)
    wrong = "000000" if page.code().replace(" ", "") != "000000" else "111111"
    for _ in range(TRIES):
        assert page.post("s1", code=wrong)[0] == 403
    assert page.post("s1", code=page.code())[0] == 409, "after that not even the right one"
    assert page.world.row()["state"] == "in_review"


def test_a_code_is_good_for_five_minutes_and_once(page):
    asked(page)
    page.now += CODE_S + 1
    assert page.post("s1", code=page.code())[0] == 409
    asked(page)
    code = page.code()
    assert page.post("s1", code=code)[0] == 200
    assert page.post("s1", code=code)[0] == 409


@pytest.mark.parametrize("form", [{"digest": "abc"}, {"digest": "f" * 64}, {"digest": ""}, {"decision": "own"}, {"days": "0"}, {"days": "x"}])
def test_what_names_no_digest_or_no_decision_gets_no_code(page, form):
    assert asked(page, **form)[0] in (400, 409)
    assert page.said == []


def test_what_changed_between_form_and_code_is_not_approved(page):
    asked(page)
    code = page.code()
    page.world.submission("s2")
    assert page.post("s1", code=code)[0] == 409
    assert page.world.row("s2")["state"] == "in_review"


def test_words_are_needed_to_send_back(page):
    asked(page, decision="send_back", words=" ")
    assert page.post("s1", code=page.code())[0] == 400
    asked(page, decision="send_back", words="pin it")
    assert page.post("s1", code=page.code())[0] == 200
    assert page.world.row()["state"] == "changes_requested"


def test_each_answer_forbids_scripts_frames_and_keeping_it(page):
    odd = [page.request(method, "/") for method in ("PUT", "OPTIONS", "<SCRIPT>")]
    assert [(status, "SCRIPT" in text) for status, text, _ in odd] == [(501, False)] * 3
    for answer in (page.get(), page.get("s1"), asked(page), page.request("GET", "/"), page.get(Host="evil.example.com"), *odd):
        headers = answer[2]
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert (headers["X-Frame-Options"], headers["Cache-Control"]) == ("DENY", "no-store")
        assert (headers["X-Content-Type-Options"], headers["Access-Control-Allow-Origin"]) == ("nosniff", None)
        assert headers["Set-Cookie"] is None


def test_a_body_without_end_is_not_read(page):
    headers = {"Origin": f"http://127.0.0.1:{page.port}", "Content-Length": str(1 << 40)}
    assert page.request("POST", f"/{page.site.key}/s1", "x", **headers)[0] == 413
