"""Published data from a kernel to its readers: what it inherits, who decides, who reads, and everything that somebody may try instead."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from channel_world import CLIENT, Served
from data_world import Loop
from publishing_world import CSV, POLICY, PublishingWorld
from test_control_datasets import OPENAPI

from jupyter_guardrails.catalog.labels import Input
from jupyter_guardrails.cli import data_publications
from jupyter_guardrails.cli.main import main
from jupyter_guardrails.control import channel_operations, labels, outside, publishing
from jupyter_guardrails.control.channel_operations import Arguments, Name
from jupyter_guardrails.control.interface.messages import DatasetShow, DatasetsSearch, RequestCreate
from jupyter_guardrails.control.interface.publishing import (
    DataImport,
    PublicationDiscard,
    PublicationShow,
    PublicationsList,
    PublicationSubmit,
    PublicationWithdraw,
)
from jupyter_guardrails.control.service import OPERATIONS
from jupyter_guardrails.errors import BadRequest, Conflict, LimitReached, NotFound, Refused
from jupyter_guardrails.records import publications

STELLA = POLICY.replace("data: {reviewers: {owner: true}}", "data: {reviewers: {users: [stella], owner: true}}")


@pytest.fixture
def world(tmp_path):
    world = PublishingWorld(tmp_path)
    yield world
    world.close()


def search(world, person, q=""):
    return {row["name"]: row for row in world.ask(person, DatasetsSearch(q=q))["datasets"]}


def label(world, person="ana", **kernel):
    live = world.in_workspace(person, **kernel)
    return asyncio.run(channel_operations.carried(world.state(person), live, Arguments())).result


def test_a_private_one_is_its_authors_alone_in_any_of_their_kernels(world):
    made = world.publish()
    assert (made["state"], made["version"], made["classification"], made["rows"]) == ("private", 1, "internal", 2)
    assert world.read() == CSV
    assert world.read(workspace="/somewhere/else") == CSV
    for other in ("ben", "dana", "carol"):
        with pytest.raises(NotFound):
            world.read(person=other)
        assert "team/churn" not in search(world, other)


def test_it_is_listed_found_and_shown_with_author_and_label(world):
    world.publish(description="monthly scores")
    for words in ("", "churn", "monthly sco", "customer", "ana"):
        assert "team/churn" in search(world, "ana", words), words
    assert "team/churn" not in search(world, "ana", "nothing")
    row = search(world, "ana")["team/churn"]
    assert (row["owner"], row["classification"], row["status"], row["format"]) == ("ana", "internal", "granted", "csv")
    found = world.ask("ana", DatasetShow(name="team/churn"))
    jsonschema.validate(found, {"$ref": "#/components/schemas/DatasetDetail", "components": OPENAPI["components"]})
    assert (found["path"], found["preview"]["rows"][0]) == (None, ["1", "0.5"])
    assert str(world.root) not in str(found)


def test_its_path_says_how_to_open_it(world):
    world.publish()
    answer = asyncio.run(channel_operations.path(world.state(), world.in_workspace(), Name(name="team/churn"))).result
    assert (answer["readable"], answer["next_step"]) == (False, "guarded.open('team/churn')")


def test_from_author_over_the_owner_of_its_input_to_the_group(world):
    world.carry()
    made = world.publish()
    assert (made["classification"], [item["name"] for item in made["inputs"]]) == ("confidential", ["hr/headcount"])
    proposed = world.propose()
    assert (proposed["state"], proposed["waits_for"], proposed["deciders"]) == ("proposed", ["hr/headcount"], ["dana"])
    assert [row["name"] for row in world.ask("dana", PublicationsList(review=True))["publications"]] == ["team/churn"]
    assert world.approve("dana")["state"] == "published"
    assert world.ask("dana", PublicationsList(review=True))["publications"] == []
    assert world.read(person="ben") == CSV
    assert label(world, "ben")["classification"] == "confidential", "its reader's workspace carries it on"
    with pytest.raises(NotFound):
        world.read(person="erin")
    steps = [row["action"] for action in ("create", "propose", "approve") for row in world.audited(f"publication.{action}")]
    assert steps == ["publication.create", "publication.propose", "publication.approve"]
    (read,) = [row for row in world.audited("data.read") if row["principal"] == "ben" and row["allowed"]]
    assert read["reason"].startswith("version 1: team/churn was published by ana to the group team")


def test_nobody_decides_about_their_own(world):
    made = world.publish()
    assert world.propose()["deciders"] == ["an admin (carol)"]
    with pytest.raises(Refused, match="another person"):
        world.approve("ana", digest=made["digest"])
    assert [row["allowed"] for row in world.audited("publication.approve")] == [False]
    assert world.approve("carol")["state"] == "published", "an admin, where nobody owns an input"


def test_who_does_not_decide_about_its_inputs_does_not_even_see_it(world):
    world.carry()
    world.publish()
    world.propose()
    for other in ("ben", "erin", "carol"):
        with pytest.raises(NotFound):
            world.approve(other)
    assert world.approve("dana")["state"] == "published"


def test_whoever_the_policy_names_decides_too(tmp_path):
    world = PublishingWorld(tmp_path, STELLA)
    world.carry()
    world.publish()
    assert world.propose()["deciders"] == ["dana", "stella"]
    assert world.approve("stella")["state"] == "published"
    world.close()


def test_only_what_was_looked_at_is_approved(world):
    world.publish()
    world.propose()
    seen = world.ask("carol", PublicationShow(name="team/churn"))["digest"]
    world.publish(data=CSV + b"3,0.1\n")
    world.propose()
    with pytest.raises(Conflict, match="not what was looked at"):
        world.approve("carol", digest=seen)
    assert world.approve("carol")["version"] == 2
    assert world.read(person="ben") == CSV + b"3,0.1\n"


def test_another_group_is_another_digest(world):
    world.publish()
    first = world.propose(group="team")["digest"]
    world.approve("carol", decision="send_back", reason="to the leads, please")
    assert world.propose(group="leads")["digest"] != first
    with pytest.raises(Conflict):
        world.approve("carol", digest=first)


def test_sent_back_it_is_private_again_with_the_reason(world):
    world.publish()
    world.propose()
    with pytest.raises(BadRequest):
        world.approve("carol", decision="send_back")
    back = world.approve("carol", decision="send_back", reason="say which month")
    assert (back["state"], back["decisions"][-1]["reason"]) == ("private", "say which month")
    with pytest.raises(NotFound):
        world.read(person="carol")
    assert world.read() == CSV


def test_several_owners_agree_each_about_theirs(world):
    world.dataset("fin/sales", "internal", team={"name": "fin", "members": [{"username": "fred", "role": "owner"}]})
    world.carry("hr/headcount")
    world.carry("fin/sales")
    world.publish()
    world.propose()
    half = world.approve("dana")
    assert (half["state"], half["waits_for"]) == ("proposed", ["fin/sales"])
    with pytest.raises(NotFound):
        world.read(person="ben")
    assert world.approve("fred")["state"] == "published"


def test_lowering_a_label_is_for_whoever_decides_about_every_input(world):
    world.dataset("fin/sales", "internal", team={"name": "fin", "members": [{"username": "fred", "role": "owner"}]})
    world.carry("hr/headcount")
    world.carry("fin/sales")
    world.publish()
    world.propose()
    with pytest.raises(Refused, match="hr/headcount"):
        world.approve("fred", classification="public", reason="only sums are left")
    assert [row["allowed"] for row in world.audited("publication.declassify")] == [False]


def test_a_reviewed_declassification_lowers_it_and_needs_a_reason(world):
    world.carry()
    world.publish()
    world.propose()
    with pytest.raises(BadRequest, match="needs a reason"):
        world.approve("dana", classification="internal")
    lowered = world.approve("dana", classification="internal", reason="only sums by month are left")
    assert (lowered["classification"], lowered["inherited"]) == ("internal", "confidential")
    world.read(person="ben")
    assert label(world, "ben")["classification"] == "internal"
    assert label(world, "ana")["classification"] == "confidential", "the author's workspace still holds what it was made of"
    assert "label internal (inherited confidential)" in world.audited("publication.approve")[-1]["reason"]


def test_a_label_may_be_raised_by_any_reviewer(world):
    world.publish()
    world.propose()
    assert world.approve("carol", classification="restricted")["classification"] == "restricted"
    with pytest.raises(Refused, match="restricted"):
        world.read(person="ben")


def test_a_second_version_takes_the_place_of_the_first(world):
    world.publish()
    world.propose()
    world.approve("carol")
    world.publish(data=CSV + b"3,1\n")
    assert (world.read(person="ben"), world.read()) == (CSV, CSV + b"3,1\n")
    world.propose()
    world.approve("carol")
    assert world.read(person="ben") == CSV + b"3,1\n"
    assert len(world.files()) == 1
    states = [row["state"] for row in world.ask("ana", PublicationsList())["publications"]]
    assert sorted(states) == ["published", "superseded"]


def test_a_version_that_was_not_published_goes_for_the_next(world):
    world.publish()
    world.publish(data=CSV + b"3,1\n")
    assert len(world.files()) == 1
    assert sorted(row["state"] for row in world.ask("ana", PublicationsList())["publications"]) == ["private", "withdrawn"]


def test_withdrawn_it_is_gone_for_everybody(world):
    world.publish()
    world.propose()
    world.approve("carol")
    with pytest.raises(Refused, match="ana's"):
        world.ask("ben", PublicationWithdraw(name="team/churn"))
    assert world.read(person="ben") == CSV
    assert world.ask("ana", PublicationWithdraw(name="team/churn", reason="wrong month"))["state"] == "withdrawn"
    for person in ("ben", "ana"):
        with pytest.raises(NotFound):
            world.read(person=person)
    assert world.files() == []


def test_an_admin_may_withdraw_what_they_may_not_read(world):
    world.publish()
    with pytest.raises(NotFound):
        world.read(person="carol")
    assert world.ask("carol", PublicationWithdraw(name="team/churn", reason="a leak"))["state"] == "withdrawn"


def test_it_ends_with_the_first_grant_of_its_author_to_an_input(world):
    world.carry()
    world.publish()
    world.propose()
    world.approve("dana")
    assert world.read(person="ben") == CSV
    world.pass_time(days=6)
    for person in ("ben", "ana"):
        with pytest.raises(Refused, match="inherits the end of a grant"):
            world.read(person=person)


def test_the_policy_is_asked_at_each_read(world):
    world.publish()
    world.propose()
    world.approve("carol")
    assert world.read(person="ben") == CSV
    document = yaml.safe_load(POLICY)
    del document["rules"][1]["publish"], document["rules"][2]["publish"]
    world.policy_file.write_text(yaml.safe_dump(document))
    world.state().policies.refresh()
    with pytest.raises(NotFound):
        world.read(person="ben")
    assert world.read() == CSV


def test_without_review_where_the_policy_asks_for_none(world):
    world.publish("leads/plan", person="lea")
    with pytest.raises(Refused, match="nobody would review leads/plan") as refused:
        world.ask("lea", PublicationSubmit(name="leads/plan", group="team"))
    assert "data propose leads/plan --to team" in refused.value.next_step
    assert world.propose("leads/plan", person="lea")["state"] == "published"
    assert world.read("leads/plan", person="ben") == CSV
    with pytest.raises(Refused, match="the group team reads leads/plan") as refused:
        world.ask("lea", PublicationDiscard(name="leads/plan"))
    assert "data withdraw leads/plan" in refused.value.next_step
    assert world.ask("lea", PublicationWithdraw(name="leads/plan"))["state"] == "withdrawn"


def test_what_nobody_else_reads_is_proposed_and_taken_back_without_a_decision(world):
    world.publish()
    assert world.ask("ana", PublicationSubmit(name="team/churn", group="team"))["state"] == "proposed"
    with pytest.raises(Refused, match="team/churn is ana's"):
        world.ask("carol", PublicationDiscard(name="team/churn"))  # an admin, who could withdraw it
    assert world.ask("ana", PublicationDiscard(name="team/churn"))["state"] == "withdrawn"
    assert not {"publications.submit", "publications.discard"} & outside.DECIDING
    assert {"publications.propose", "publications.withdraw", "publications.decide"} <= outside.DECIDING


def test_to_groups_of_the_policy_only(world):
    world.publish()
    with pytest.raises(Refused, match="to: team, leads"):
        world.propose(group="everyone")
    assert world.propose(group="leads")["state"] == "proposed"


def test_who_may_not_publish_may_not_and_nothing_is_kept(world):
    with pytest.raises(Refused, match="no rule lets erin publish"):
        world.publish(person="erin")
    assert world.files() == []
    assert world.audited("publication.create")[0]["allowed"] is False


def test_purposes_without_a_common_one_are_no_purpose(world):
    for name, purpose in (("hr/one", "churn"), ("hr/two", "audit")):
        world.dataset(name, own={"purposes": [purpose]})
    live = world.in_workspace()
    given = [Input("hr/one", "1", "internal", ("churn",)), Input("hr/two", "1", "internal", ("audit",))]
    fields = world.state().audit_fields("data.read", "hr/one", allowed=True)
    asyncio.run(labels.record_read(world.state(), live, given, fields, allowed=True))
    world.publish()
    with pytest.raises(Conflict, match="no purpose in common"):
        world.propose()


@pytest.mark.parametrize("name", ["nyc/flights", "hr/headcount"])
def test_a_name_of_the_catalogue_is_not_given_to_anybody_else(world, name):
    with pytest.raises(Conflict, match="taken"):
        world.publish(name)
    assert world.files() == []


def test_a_name_of_somebody_elses_is_not_either_and_nobody_learns_whose(world):
    world.publish(person="ben")
    with pytest.raises(Conflict) as told:
        world.publish(person="ana")
    assert "ben" not in str(told.value)
    assert world.publish("team/mine")["version"] == 1


@pytest.mark.parametrize(
    "name", ["churn", "Team/churn", "team/../hr/x", "team//x", "/etc/passwd", "team/ch urn", "team/сhurn", "team/x\x1b", "t/" + "x" * 250]
)
def test_names_are_plain(world, name):
    with pytest.raises((BadRequest, ValueError)):
        world.publish(name)
    assert world.files() == []


def test_what_people_write_is_kept_as_text(world):
    words = "<img src=x onerror=alert(1)> é 日本 \u202e \x1b[2J"
    made = world.publish(description=words)
    assert made["description"].startswith("<img src=x")
    with pytest.raises(BadRequest):
        world.publish("team/other", description="   ")


def test_columns_keep_the_class_that_they_have_in_an_input(world):
    columns = [{"name": "Origin", "logicalType": "string", "classification": "pii"}, {"name": "delay", "logicalType": "integer"}]
    world.dataset("hr/headcount", "confidential", path=world.data / "hr/headcount.parquet", schema=[{"name": "headcount", "properties": columns}])
    world.carry()
    made = world.publish(data=b"origin,total\nJFK,1\n")
    assert {column["name"]: column["classification"] for column in made["columns"]} == {"origin": "pii", "total": ""}


def test_personal_data_that_is_found_raises_the_label(world):
    made = world.publish(data=b"mail,n\nana@example.com,1\nben@example.com,2\n")
    assert made["classification"] == "confidential"
    assert made["scan"]["findings"] == [{"column": "mail", "kind": "email address", "count": 2}]
    assert [column["classification"] for column in made["columns"]] == ["pii", ""]
    assert "ana@example.com" not in str(made)


def labelled(world, name, **kernel):
    return world.publish(name, **kernel)["classification"]


def test_no_way_around_the_label(world):
    """A second kernel in the folder, a terminal, a folder inside it, a copy in it, a person who shares it; the twin is a fresh folder."""
    world.carry(workspace="/w/lab")
    assert labelled(world, "team/a", workspace="/w/lab") == "confidential"
    assert labelled(world, "team/b", workspace="/w/lab", kind="terminal") == "confidential"
    assert labelled(world, "team/c", workspace="/w/lab/sub") == "confidential"
    assert labelled(world, "team/d", workspace="/w") == "confidential"
    assert labelled(world, "team/e", workspace="/w/lab", person="ben") == "confidential"
    assert labelled(world, "team/f", workspace="/w/fresh") == "internal"


def test_published_and_read_again_it_is_not_lighter(world):
    world.carry()
    world.publish()
    world.read(workspace="/w/fresh")
    again = world.publish("team/again", workspace="/w/fresh")
    assert again["classification"] == "confidential"
    assert {item["name"] for item in again["inputs"]} == {"hr/headcount", "team/churn"}
    assert world.propose("team/again")["waits_for"] == ["hr/headcount"]


def test_a_clean_run_publishes_nothing(world):
    with pytest.raises(Refused, match="clean run"):
        world.publish(kind="clean_run")


def bring(world, person="uma", data=CSV, name="uma/own"):
    file = world.root / "own.csv"
    file.write_bytes(data)
    request = DataImport(name=name, description="my own", format="csv")
    fd = os.open(file, os.O_RDONLY)
    try:
        return asyncio.run(publishing.import_file(world.state(person), request, [fd]))
    finally:
        os.close(fd)


def test_an_own_file_gets_the_policys_label(world):
    row = bring(world)
    assert (row["classification"], row["state"], row["inputs"]) == ("internal", "private", [])


def test_an_own_file_of_somebody_who_was_given_data_inherits_that(world):
    world.carry(person="uma")
    assert bring(world)["classification"] == "confidential"


def test_uploads_are_bounded_and_for_whom_the_policy_says(world):
    with pytest.raises(BadRequest, match="at most 1048576"):
        bring(world, data=b"a,b\n" + b"1,2\n" * (1 << 18))
    with pytest.raises(Refused, match=r"uploads\.max_size"):
        bring(world, person="erin")
    assert world.files() == []


def test_kinds_of_files_are_those_of_the_policy(world):
    with pytest.raises(Refused, match="write one of csv, parquet"):
        world.publish(data=b'{"n": 1}\n', form="json")
    assert world.publish(data=b'{"n": 1}\n', form="json", person="ben")["format"] == "json", "no rule of ben's says which"


def test_all_of_a_person_together_are_bounded(world, monkeypatch):
    monkeypatch.setattr(publishing, "MOST_LIVE", 2)
    world.publish("team/a")
    world.publish("team/b")
    with pytest.raises(LimitReached, match="withdraw"):
        world.publish("team/c")
    world.ask("ana", PublicationWithdraw(name="team/a"))
    assert world.publish("team/c")["version"] == 1


def test_one_file_of_a_person_at_a_time(world):
    with publishing._one_at_a_time("ana"), pytest.raises(LimitReached):
        world.publish()
    assert world.publish()["state"] == "private"


def test_requests_for_what_is_hidden_look_like_requests_for_nothing(world):
    world.publish()
    with pytest.raises(NotFound):
        world.ask("erin", RequestCreate(dataset="team/churn", purpose="curious"))


def test_its_readers_do_not_learn_names_that_they_may_not_know(world):
    world.dataset("secret/plan", "internal")
    world.policy_file.write_text(
        POLICY.replace("  - name: uploads", "  - {name: ana, for: {users: [ana]}, data: {read: ['secret/*']}}\n  - name: uploads")
    )
    world.state().policies.refresh()
    asyncio.run(channel_operations.path(world.state(), world.in_workspace(), Name(name="secret/plan")))
    made = world.publish()
    assert [item["name"] for item in made["inputs"]] == ["secret/plan"]
    world.propose()
    assert [item["name"] for item in world.ask("dana", PublicationShow(name="team/churn"))["inputs"]] == ["secret/plan"], "she decides about it"
    world.approve("dana")
    world.read(person="ben")
    shown = [world.ask("ben", PublicationShow(name="team/churn")), label(world, "ben")]
    assert [[item["name"] for item in one["inputs"] if item["name"] != "team/churn"] for one in shown] == [[labels.UNKNOWN]] * 2
    assert "secret/plan" not in str(shown)


def test_what_a_killed_control_left_is_removed_and_what_lives_is_not(world):
    world.publish()
    kept = world.files()
    (world.root / "publications" / "p-0123456789abcdef.csv").write_text("half of a f")
    asyncio.run(publishing.tidy(world.state()))
    assert world.files() == kept
    assert world.read() == CSV


def test_two_who_decide_at_once_decide_once(world):
    """The second of two reviewers hears that it was changed, or that it is published; never is it published twice."""
    world.publish()
    world.propose()
    row = world.records.read_sync(publications.of_name, "team/churn")[0]
    state = world.state("carol")
    fields = publishing.fields(state, row, "approve", "fine")
    world.records.write_sync(publications.move, row, "published", fields=fields, now=world.now)
    with pytest.raises(Conflict, match="changed meanwhile"):
        world.records.write_sync(publications.move, row, "published", fields=fields, now=world.now)


@pytest.fixture
def served(world):
    loop = Loop()
    served = Served(world, loop)
    served.live.workspace = "/w/ana"
    yield served
    loop.close()


def run_client(served, code):
    environment = {"PYTHONPATH": str(CLIENT), "GUARDRAILS_CHANNEL": f"@{served.name}", "PATH": os.environ["PATH"]}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=120)


CODE = """
import guarded, pandas, pyarrow
table = pyarrow.table({"n": [1, 2]})
print(guarded.publish(table, "team/arrow", description="from pyarrow"))
print(guarded.publish(table.to_pandas(), "team/pandas", description="from pandas").version)
print(guarded.open("team/pandas").to_pandas()["n"].sum())
print(guarded.labels().inputs[0]["name"])
try:
    guarded.publish(object(), "team/x", description="nothing")
except guarded.GuardedError as error:
    print(error.message)
"""


def test_the_client_hands_tables_over_on_a_real_channel(served):
    done = run_client(served, CODE)
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert first.startswith("team/arrow version 1: private, internal")
    assert lines[-4:] == ["1", "3", "team/pandas", "a object can't be published"]


def test_a_descriptor_with_another_question_is_closed_and_harmless(world, served):
    kernel = served.connect()
    read_end, write_end = os.pipe()
    assert kernel.ask("hello", fds=[write_end])[0]["person"] == "ana"
    os.close(write_end)
    assert os.read(read_end, 1) == b"", "control closed its copy"
    os.close(read_end)
    error, _ = kernel.ask("datasets.publish", name="team/x", description="nothing came", format="csv")
    assert error["code"] == "bad_request"


def test_a_channel_with_a_pipe_in_place_of_a_file_is_answered_and_others_go_on(world, served):
    read_end, write_end = os.pipe()
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(served.connect().ask("datasets.publish", fds=[read_end], name="team/x", description="a pipe", format="csv")[0])
    )
    asking.start()
    assert served.connect().result("hello")["person"] == "ana"
    asking.join(60)
    assert "not a regular file" in answers[0]["message"]
    os.close(read_end)
    os.close(write_end)


def test_a_wide_table_goes_through_the_channel(world, served, tmp_path):
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({f"c{n}": [n] for n in range(1500)}), path)
    fd = os.open(path, os.O_RDONLY)
    answer, _ = served.connect().ask("datasets.publish", fds=[fd], name="team/wide", description="wide", format="parquet")
    os.close(fd)
    assert (answer["state"], len(answer["columns"])) == ("private", 1500)


def test_the_scientists_guide_is_true(served, tmp_path):
    """Every line of its block on publishing runs, where a notebook has pandas and `guarded`."""
    guide = Path(__file__).parents[2] / "docs" / "scientists.md"
    section = guide.read_text().partition("### Publish what you made")[2]
    block = section.partition("```python\n")[2].partition("```")[0]
    done = run_client(served, f"import os, guarded, pandas as pd\nos.chdir({str(tmp_path)!r})\n{block}\nprint(made.name, guarded.labels().text)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("team/churn ")


@pytest.fixture
def command(world, monkeypatch, capsys):
    """`command(person, words…)` runs the command as that person, over the world's operations."""

    class Client:
        def __init__(self, person):
            self.person = person

        def call(self, request, fds=()):
            return asyncio.run(OPERATIONS[type(request)](world.state(self.person), request, list(fds)))

    def run(person, *words):
        monkeypatch.setattr(data_publications, "connected", lambda environ: contextlib.nullcontext(Client(person)))
        code = main(["data", *words])
        return code, capsys.readouterr()

    return run


def test_the_commands_from_import_to_withdrawal(world, command, tmp_path):
    file = tmp_path / "own.csv"
    file.write_bytes(b"mail,n\numa@example.com,1\n")
    code, said = command("ana", "import", str(file), "team/own", "--description", "my \x1b[2J own")
    assert code == 0, said.err
    assert "email address in 1 cells of mail" in said.out
    assert "\x1b" not in said.out
    assert "uma@example.com" not in said.out
    assert command("ana", "propose", "team/own", "--to", "team")[0] == 0
    listed = json.loads(command("carol", "publications", "--review", "--json")[1].out)["publications"]
    digest = listed[0]["digest"]
    code, said = command("carol", "approve", "team/own", "--digest", "0" * 12)
    assert (code, "not 000000000000" in said.err) == (1, True)
    assert command("carol", "approve", "team/own", "--digest", digest[:11])[0] == 2
    code, said = command("carol", "send-back", "team/own", "--digest", digest[:12], "--reason", "without mails")
    assert (code, "state:         private" in said.out) == (0, True)
    assert command("ana", "propose", "team/own", "--to", "team")[0] == 0
    code, said = command("carol", "approve", "team/own", "--digest", digest[:12])
    assert (code, "published, group team" in said.out) == (0, True), said.err
    assert "team/own" in command("ana", "publications")[1].out
    assert "withdrawn" in command("ana", "withdraw", "team/own", "--reason", "done")[1].out
    assert command("ana", "publications", "team/own")[0] == 1


def test_import_of_what_is_no_file_is_one_sentence(command, tmp_path):
    code, said = command("ana", "import", str(tmp_path / "none.csv"), "team/own", "--description", "x")
    assert (code, "can't be opened" in said.err) == (1, True)
    os.mkfifo(tmp_path / "fifo.csv")
    code, said = command("ana", "import", str(tmp_path / "fifo.csv"), "team/own", "--description", "x")
    assert (code, "not a regular file" in said.err) == (2, True)
