"""Data that a person publishes, over HTTP: brought along, listed, proposed, withdrawn; what leads out of the workspace is not taken."""

import json

import pytest
from test_server_api import check

CSV = "customer,mail\n1,ada@example.com\n2,bob@example.com\n"


def bring(server, file, name, **more):
    return server.rest("POST", "guardrails/publications", json={"file": file, "name": name, "description": "our own survey", **more})


def act(server, name, what, **body):
    return server.rest("POST", f"guardrails/publications/{name.replace('/', '%2F')}/{what}", json=body)


def listed(server):
    found = server.rest("GET", "guardrails/publications").json()
    check("Publications", found)
    return found


@pytest.fixture
def survey(server):
    file = server.workspace / "survey.csv"
    file.write_text(CSV)
    yield file.name
    file.unlink()


def test_a_file_of_the_workspace_becomes_a_private_publication_that_is_proposed_and_withdrawn(server, survey):
    made = bring(server, survey, "team/survey")
    assert made.status_code == 201, made.text
    check("Publication", made.json())
    assert (made.json()["state"], made.json()["rows"], made.json()["format"]) == ("private", 2, "csv")
    found = listed(server)
    assert (found["groups"], found["reviewed"], found["imports"], found["to_review"]) == (["team"], True, True, [])
    assert found["publications"][0]["digest"] == made.json()["digest"]
    proposed = act(server, "team/survey", "propose", group="team")
    assert proposed.status_code == 200, proposed.text
    check("Publication", proposed.json())
    assert (proposed.json()["state"], proposed.json()["group"], proposed.json()["author"]) == ("proposed", "team", found["person"])
    assert proposed.json()["deciders"], "somebody else decides"
    assert found["person"] not in proposed.json()["deciders"]
    gone = act(server, "team/survey", "withdraw", reason="wrong month")
    assert (gone.status_code, gone.json()["state"]) == (200, "withdrawn")
    assert server.rest("GET", "guardrails/publications/team%2Fsurvey").status_code == 404


def test_what_is_proposed_to_a_group_that_the_policy_does_not_name_is_refused_with_its_rule(server, survey):
    assert bring(server, survey, "team/refused").status_code == 201
    refused = act(server, "team/refused", "propose", group="everyone-else")
    assert refused.status_code == 403, refused.text
    check("Error", refused.json())
    assert "everyone-starts-small" in refused.json()["rule"]
    assert server.rest("GET", "guardrails/publications/team%2Frefused").json()["state"] == "private"


@pytest.mark.parametrize("file", ["../elsewhere/secret.txt", "out.csv", "/etc/passwd", "no-such.csv", "a\x00b.csv"])
def test_a_path_that_leads_out_or_nowhere_is_not_found_and_says_so(server, file):
    link = server.workspace / "out.csv"
    link.symlink_to(server.secret / "secret.txt")
    try:
        answer = bring(server, file, "team/stolen")
    finally:
        link.unlink()
    assert answer.status_code == 404, answer.text
    check("Error", answer.json())
    assert "in the workspace" in answer.json()["message"]
    assert "not for kernels" not in json.dumps(listed(server))


@pytest.mark.parametrize(("name", "file"), [("Team Survey", "survey.csv"), ("team/survey2", "folder"), ("team/survey3", "survey.exe")])
def test_what_can_not_be_taken_is_a_400_that_says_what_can(server, survey, name, file):
    (server.workspace / "folder").mkdir(exist_ok=True)
    (server.workspace / "survey.exe").write_text(CSV)
    answer = bring(server, file, name)
    assert answer.status_code == 400, answer.text
    check("Error", answer.json())
    assert answer.json()["next_step"]
