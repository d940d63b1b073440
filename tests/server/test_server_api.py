"""The HTTP API against openapi.yaml: what it answers has the shape of the file; test_server_routes.py looks who may ask."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
import yaml

import jupyter_guardrails
from jupyter_guardrails.server import handlers

API = yaml.safe_load((Path(handlers.__file__).parent / "openapi.yaml").read_text())
MARK = "x" * 40


def schema(reference):
    """A schema of the file with everything that it refers to."""
    return {"$ref": f"#/components/schemas/{reference}", "components": API["components"]}


def check(reference, value):
    jsonschema.validate(value, schema(reference), format_checker=jsonschema.FormatChecker())


ANSWERS = {
    "me": "Me",
    "kernels": "Kernels",
    "budget": "Budget",
    "usage": "Usage",
    "usage?since=7d&by=notebook": "Usage",
    "datasets": "Datasets",
    "datasets?q=flights&scope=granted": "Datasets",
    "datasets?order=usable&limit=1000&offset=0": "Datasets",
    "datasets/nyc%2Fflights": "DatasetDetail",
    "requests": "Requests",
    "publications": "Publications",
    "submissions": "Submissions",
    "submissions?q=nothing&limit=1": "Submissions",
    "reviews": "Reviews",
    "audit": "Audit",
    "audit?after=1": "Audit",
    "audit?last=5&action=policy.reload": "Audit",
}


@pytest.mark.parametrize("path", ANSWERS)
def test_an_answer_has_the_shape_of_the_file(server, path):
    answer = server.rest("GET", f"guardrails/{path}")
    assert answer.status_code == 200, answer.text
    check(ANSWERS[path], answer.json())


def test_a_shape_that_is_wrong_is_found():
    with pytest.raises(jsonschema.ValidationError):
        check("Budget", {"cpu_hours": {"used": "much"}})


def test_a_running_kernel_is_listed_with_live_use(kernel, server):
    kernel.run("kept = b'x' * (200 << 20)")
    deadline = time.monotonic() + 40
    while (found := listed(server, kernel))["memory_bytes"] <= 200 << 20:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)  # the watch looks twice a second
    check("Kernel", found)
    assert {"files", "network"} <= set(found["enforced"])


def listed(server, kernel):
    return next(k for k in server.rest("GET", "guardrails/kernels").json()["kernels"] if k["id"] == kernel.id)


def test_the_history_of_a_kernel_begins_with_its_first_beat(kernel, server):
    deadline = time.monotonic() + 40
    while (answer := server.rest("GET", f"guardrails/kernels/{kernel.id}/history")).status_code == 404:
        check("Error", answer.json())
        assert time.monotonic() < deadline
        time.sleep(0.5)
    check("History", answer.json())
    assert answer.json()["samples"][0]["memory_bytes"] > 1 << 20


def test_the_last_records_of_one_action(kernel, server):
    records = server.rest("GET", "guardrails/audit?last=1&action=kernel.start").json()["records"]
    assert [(record["action"], record["kernel"]) for record in records] == [("kernel.start", kernel.id)]
    assert len(server.rest("GET", "guardrails/audit?last=2").json()["records"]) == 2
    assert server.rest("GET", "guardrails/audit?last=0").status_code == 400


@pytest.mark.parametrize("query", ["since=soon", "since=1m", "since=99999w", "by=colour", "since=-1d", "surprise=1"])
def test_use_that_can_not_be_asked_for_is_refused_in_a_sentence(server, query):
    answer = server.rest("GET", f"guardrails/usage?{query}")
    assert answer.status_code == 400
    check("Error", answer.json())
    assert "the query is not as expected" in answer.json()["message"]


def test_a_profile_is_chosen_and_one_that_is_not_allowed_is_refused(server):
    chosen = server.rest("PUT", "guardrails/profile", json={"profile": "tiny", "notebook": "chosen.ipynb"})
    assert chosen.status_code == 200, chosen.text
    check("ProfileChoice", chosen.json())
    refused = server.rest("PUT", "guardrails/profile", json={"profile": "huge"})
    assert refused.status_code in (400, 403, 404)
    check("Error", refused.json())


def test_access_is_asked_for(server):
    answer = server.rest("POST", "guardrails/requests", json={"dataset": "hr/salaries", "purpose": "a test of the form"})
    assert answer.status_code == 201, answer.text
    check("AccessRequest", answer.json())
    assert answer.json()["id"] in [r["id"] for r in server.rest("GET", "guardrails/requests").json()["requests"]]


DIGESTS = {"content_digest": "a" * 64, "evidence_digest": "b" * 64}
DECISIONS = {
    "requests/r-1/decision": ({"decision": "grant"}, "jupyter guardrails data grant r-1"),
    "publications/team%2Fchurn/decision": (
        {"decision": "send_back", "digest": "c" * 64},
        "jupyter guardrails data send-back team/churn --digest cccccccccccc",
    ),
    "submissions/s-1/decision": ({"decision": "approve", **DIGESTS}, "jupyter guardrails job approve s-1"),
}


@pytest.mark.parametrize("path", DECISIONS)
def test_no_decision_is_made_from_jupyterlabs_origin(server, path):
    """JavaScript of a trusted notebook acts as its person: whoever they are, the answer is the command for a shell outside."""
    body, command = DECISIONS[path]
    answer = server.rest("POST", f"guardrails/{path}", json=body)
    assert answer.status_code == 403, answer.text
    check("Error", answer.json())
    assert command in answer.json()["next_step"]


def test_the_page_hears_the_version_of_the_server_part(server):
    assert server.rest("GET", "guardrails/me").json()["version"] == jupyter_guardrails.__version__


def test_more_is_asked_for_and_what_one_may_ask_for_is_listed(server):
    (kernels,) = [item for item in server.rest("GET", "guardrails/me").json()["more"] if item["resource"] == "kernels.max"]
    body = {"kind": "more", "resource": "kernels.max", "amount": kernels["limit"] + 2, "until": in_a_day(), "purpose": "a workshop"}
    answer = server.rest("POST", "guardrails/requests", json=body)
    assert answer.status_code == 201, answer.text
    check("AccessRequest", answer.json())
    assert (answer.json()["kind"], answer.json()["amount"], answer.json()["state"]) == ("more", kernels["limit"] + 2, "open")
    assert answer.json()["id"] in [r["id"] for r in server.rest("GET", "guardrails/requests").json()["requests"]]
    refused = server.rest("POST", "guardrails/requests", json=body | {"amount": 1})
    assert refused.status_code == 409
    check("Error", refused.json())


@pytest.fixture
def with_a_list(server):
    """The shared server, while its policy names the packages that jobs may hold."""
    text = server.policy.read_text()
    server.policy.write_text(text + "promotion: {packages: {allow: [pandas]}}\n")
    yield server
    server.policy.write_text(text)


def test_a_package_is_asked_for(with_a_list):
    server = with_a_list
    body = {"kind": "package", "package": "Left.Pad", "purpose": "padding on the left"}
    answer = server.rest("POST", "guardrails/requests", json=body)
    assert answer.status_code == 201, answer.text
    check("AccessRequest", answer.json())
    assert (answer.json()["kind"], answer.json()["package"], answer.json()["days"]) == ("package", "left-pad", 90)
    assert answer.json()["id"] in [r["id"] for r in server.rest("GET", "guardrails/requests").json()["requests"]]
    allowed = server.rest("POST", "guardrails/requests", json=body | {"package": "pandas"})
    assert allowed.status_code == 409
    check("Error", allowed.json())


def in_a_day():
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()


BAD = [
    ("PUT", "profile", {"profile": "small", "surprise": 1}),
    ("PUT", "profile", {}),
    ("PUT", "profile", {"profile": 5}),
    ("POST", "requests", {"dataset": "hr/salaries", "purpose": "x"}),
    ("POST", "requests", {"dataset": "hr/salaries", "purpose": "long enough", "days": 0}),
    ("POST", "requests", {"dataset": "hr/salaries", "purpose": "long enough", "person": "carol"}),
    ("POST", "requests/r-1/decision", {"decision": "perhaps"}),
    ("POST", "submissions/s-1/decision", {"decision": "approve"}),
    ("POST", "requests", {"kind": "more", "resource": "kernels.max", "amount": 20, "purpose": "long enough"}),
    ("POST", "requests", {"kind": "more", "resource": "kernels.max", "amount": 20, "purpose": "long enough", "until": "tomorrow"}),
    ("POST", "requests", {"kind": "more", "resource": "kernels.max", "amount": 20, "purpose": "long enough", "until": "2020-01-01T00:00:00Z"}),
    ("POST", "requests", {"kind": "more", "resource": "kernels.max", "amount": -1, "purpose": "long enough", "until": in_a_day()}),
    ("POST", "requests", {"kind": "more", "resource": "the.moon", "amount": 1, "purpose": "long enough", "until": in_a_day()}),
    ("POST", "requests", {"kind": "other", "dataset": "hr/salaries", "purpose": "long enough"}),
    ("POST", "requests", {"kind": "package", "package": "polars"}),
    ("POST", "requests", {"kind": "package", "package": "polars[all]", "purpose": "long enough"}),
    ("POST", "requests", {"kind": "package", "package": "polars", "purpose": "long enough", "group": "analysts"}),
    ("POST", "requests", {"kind": ["package"], "package": "polars", "purpose": "long enough"}),
    ("POST", "kernels/x/keep", {"surprise": 1}),
    ("POST", "kernels/x/stop", {"surprise": 1}),
    ("POST", "publications", {"file": "a.csv", "name": "team/a"}),
    ("POST", "publications", {"file": "", "name": "team/a", "description": "mine"}),
    ("POST", "publications", {"file": "a.csv", "name": "team/a", "description": "mine", "format": "csv"}),
    ("POST", "publications/team%2Fa/propose", {}),
    ("POST", "publications/team%2Fa/propose", {"group": "team", "for_review": False}),
    ("POST", "publications/team%2Fa/withdraw", {"reason": 5}),
    ("POST", "publications/team%2Fa/decision", {"decision": "approve", "digest": "c" * 12}),
    ("POST", "submissions", {}),
    ("POST", "submissions", {"notebook": "a.ipynb", "workspace": "/etc"}),
    ("POST", "submissions", {"notebook": "a.ipynb", "key": "mine"}),
    ("GET", "datasets?scope=everything", None),
    ("GET", "datasets?q=" + "x" * 201, None),
    ("GET", "datasets?surprise=1", None),
    ("GET", "datasets?order=size", None),
    ("GET", "audit?after=-1", None),
    ("GET", "audit?after=many", None),
]


@pytest.mark.parametrize(("method", "path", "body"), BAD, ids=lambda v: str(v)[:40])
def test_what_makes_no_sense_is_a_400_that_says_why(server, method, path, body):
    answer = server.rest(method, f"guardrails/{path}", json=body)
    assert answer.status_code == 400, answer.text
    check("Error", answer.json())
    assert answer.json()["code"] == "bad_request"


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff"])
def test_a_body_that_is_no_object_is_a_400(server, raw):
    assert server.rest("PUT", "guardrails/profile", data=raw).status_code == 400


MISSING = (
    "datasets/no%2Fsuch",
    "datasets/..%2F..%2Fetc%2Fpasswd",
    "publications/no%2Fsuch",
    f"submissions/{MARK}",
    f"submissions/{MARK}/package",
    f"submissions/{MARK}/production",
    f"reviews/{MARK}",
    f"reviews/{MARK}/content",
)


@pytest.mark.parametrize("path", MISSING)
def test_what_is_not_there_is_a_404(server, path):
    answer = server.rest("GET", f"guardrails/{path}")
    assert answer.status_code == 404, answer.text
    check("Error", answer.json())


@pytest.mark.parametrize("what", ["keep", "stop"])
def test_a_kernel_that_is_not_there_is_neither_kept_nor_stopped(server, what):
    answer = server.rest("POST", f"guardrails/kernels/{MARK}/{what}")
    assert answer.status_code == 404, answer.text
    check("Error", answer.json())


def test_a_key_that_is_too_long_is_a_400(server):
    answer = server.rest("POST", "guardrails/submissions", json={"notebook": "a.ipynb"}, headers={"Idempotency-Key": "k" * 201})
    assert answer.status_code == 400


def test_a_cookie_without_the_xsrf_token_writes_nothing(server):
    import requests

    browser = requests.Session()
    assert browser.get(server.url + "tree", params={"token": "token-of-the-test-server"}, timeout=30).ok or browser.cookies
    assert browser.get(server.url + "guardrails/me", timeout=30).status_code == 200
    refused = browser.put(server.url + "guardrails/profile", json={"profile": "small"}, timeout=30)
    assert refused.status_code == 403
    with_token = browser.put(
        server.url + "guardrails/profile", json={"profile": "small"}, headers={"X-XSRFToken": browser.cookies["_xsrf"]}, timeout=30
    )
    assert with_token.status_code == 200


def test_what_can_not_be_said_about_a_job_is_told_by_its_place(server):
    said = {"schedule": "daily", "secrets": ["lower"], "contact": "ana"}
    answer = server.rest("POST", "guardrails/submissions", json={"notebook": "x.ipynb", "details": said})
    check("Error", answer.json())
    assert (answer.status_code, sorted(answer.json()["fields"])) == (400, ["details.schedule", "details.secrets.0"])
    assert "five fields" in answer.json()["fields"]["details.schedule"]
    assert "fields" not in server.rest("GET", "guardrails/submissions/none").json()
