"""SQL of a person over a kernel's channel, against a real PostgreSQL: as their own account there, recorded, cancelled, refused with what to do."""

import hashlib
import os

import psycopg
import pytest
from channel_world import Served
from data_world import POLICY, DataWorld, Loop
from scan_world import Kernel, guarded

from jupyter_guardrails.control.credentials import CredentialsFile
from tests.records.conftest import fresh_database, postgres  # noqa: F401 - a fixture

SETUP = """
create role s_ana login; create role s_ben login;
create table salaries (name text, region text, pay integer);
insert into salaries select 'person ' || i, case i % 2 when 0 then 'north' else 'south' end, i from generate_series(1, 100) i;
create view by_region as select region, pay from salaries; grant select on by_region to s_ana;
"""
QUESTION = "select region, sum(pay) as pay from by_region group by 1 order by 1"
SECRET = "hunter2-of-ana"


@pytest.fixture(scope="module")
def url(postgres):  # noqa: F811 - the fixture
    found = fresh_database(postgres)
    with psycopg.connect(found, autocommit=True) as connection:
        connection.execute(SETUP)
    yield found
    with psycopg.connect(found, autocommit=True) as connection:
        connection.execute("drop owned by s_ana, s_ben; drop role s_ana, s_ben")


@pytest.fixture
def world(tmp_path, url):
    os.chmod(tmp_path, 0o700)
    policy = POLICY.replace("mode: enforce", "mode: enforce\naudit: {cells: code}")
    world = DataWorld(tmp_path, policy)
    contract(world, "nyc/warehouse", url, {"sql": "per-person"})
    contract(world, "nyc/closed", url, {})
    contract(world, "nyc/masked", url, {"sql": "per-person"}, mask=True)
    contract(world, "nyc/rows", url, {"sql": "per-person", "rowFilter": "region = 'north'"})
    contract(world, "nyc/bound", url, {"sql": "per-person", "purposes": ["planning"]})
    name = url.partition("@/")[2].partition("?")[0]
    file = tmp_path / "credentials.yaml"
    file.write_text(f"sources:\n- {{for: 'postgresql:///{name}', user: records, roles: {{ana: {{user: s_ana, password: '{SECRET}'}}}}}}\n")
    file.chmod(0o600)
    world.state()
    world._state.credentials = CredentialsFile(file, shared_account=False)  # what `state` answers with are copies of this one
    yield world
    world.close()


def contract(world, name, url, own, *, mask=False):
    server = {"server": "dwh", "type": "postgres", "host": url.partition("host=")[2], "database": url.partition("@/")[2].partition("?")[0]}
    columns = [{"name": "region", "logicalType": "string"} | ({"classification": "pii"} if mask else {}), {"name": "pay", "logicalType": "integer"}]
    last = name.partition("/")[2]
    schema = [{"name": last, "physicalName": "by_region", "properties": columns}]
    server["schema"] = "public" if last == "warehouse" else last  # two contracts may not share a place, and none of these tables is read
    world.dataset(name, path="/", servers=[server], schema=schema, own=own)


@pytest.fixture
def loop(world):
    loop = Loop()
    yield loop
    loop.run(world.state().brokers.stop())
    loop.close()


@pytest.fixture
def served(world, loop):
    return Served(world, loop)


def refusal(served, **asked):
    said, fds = Kernel(served.name).ask("datasets.sql", **{"name": "nyc/warehouse", "sql": QUESTION} | asked)
    assert not fds
    assert SECRET not in str(said)
    return said


def test_a_person_s_question_is_answered_as_their_own_account(served):
    program = f"import guarded; print(guarded.sql('nyc/warehouse', {QUESTION!r}).read_all().to_pylist())"
    assert guarded(served.name, program) == "[{'region': 'north', 'pay': 2550}, {'region': 'south', 'pay': 2500}]\n"
    said = guarded(served.name, "import guarded; print(guarded.sql('nyc/warehouse', 'select session_user').read_pandas().iloc[0, 0])")
    assert said == "s_ana\n"


def test_what_their_account_may_not_read_the_database_refuses_by_name(served):
    program = """
        import guarded
        try:
            guarded.sql('nyc/warehouse', 'select * from salaries').read_all()
        except guarded.GuardedError as error:
            print(error)
    """
    assert "the database says: permission denied for table salaries" in guarded(served.name, program)


def test_it_is_recorded_with_its_digest_and_text(world, served):
    guarded(served.name, f"import guarded; guarded.sql('nyc/warehouse', {QUESTION!r}).read_all()")
    (row,) = world.audited("data.read")
    digest = hashlib.sha256(QUESTION.encode()).hexdigest()
    assert (row["resource"], row["allowed"], row["cell_digest"], row["code"]) == ("nyc/warehouse", True, digest, QUESTION)
    assert f"SQL {digest[:12]}" in row["reason"]


def test_the_text_stays_out_of_the_record_where_cells_do(world, served):
    world.policy_file.write_text(world.policy_file.read_text().replace("cells: code", "cells: digest"))
    guarded(served.name, f"import guarded; guarded.sql('nyc/warehouse', {QUESTION!r}).read_all()")
    (row,) = world.audited("data.read")
    assert (row["cell_digest"], row.get("code")) == (hashlib.sha256(QUESTION.encode()).hexdigest(), None)


def test_who_closes_the_reader_cancels_it_in_the_database(world, served, url):
    kernel = Kernel(served.name)
    said, fds = kernel.ask("datasets.sql", name="nyc/warehouse", sql="select pg_sleep(55)")
    os.close(fds[0])
    ended, _ = kernel.ask("datasets.scan_end", scan=said["scan"])
    assert "reader has gone" in ended["message"]
    with psycopg.connect(url) as connection:
        busy = "select count(*) from pg_stat_activity where usename = 's_ana' and state = 'active'"
        assert connection.execute(busy).fetchone() == (0,)


@pytest.mark.parametrize(
    ("asked", "words", "step"),
    [
        ({"name": "nyc/closed"}, "nyc/closed takes no SQL: nobody has opened it for that", "guarded.open('nyc/closed')"),
        ({"name": "nyc/masked"}, "is masked or filtered for you here, and SQL in the database would go round that", "guarded.open"),
        ({"name": "nyc/rows"}, "is masked or filtered for you here", "guarded.open"),
        ({"name": "nyc/bound"}, "may be used for planning only", "purpose='planning'"),
        ({"name": "hr/nothing"}, "there is no dataset", ""),
    ],
)
def test_what_is_refused_before_the_database_is_asked(world, served, asked, words, step):
    said = refusal(served, **asked)
    assert words in said["message"]
    assert step in said["next_step"]
    assert not [row for row in world.audited("data.read") if row["allowed"]]


def test_a_purpose_opens_what_is_bound_to_it(served):
    program = "import guarded; print(guarded.sql('nyc/bound', 'select 1 as one', purpose='planning').read_all().num_rows)"
    assert guarded(served.name, program) == "1\n"


def test_who_has_no_account_there_hears_whom_to_ask(world, loop):
    file = world.root / "credentials.yaml"
    file.write_text(file.read_text().replace("roles: {ana:", "roles: {eve:"))
    told = refusal(Served(world, loop))
    assert told["message"].startswith("ana has no account in the database of nyc/warehouse")
    assert "roles" in told["next_step"]


def test_control_s_own_account_is_never_used_for_it(world, served):
    """Nor does a scan hear of people's passwords."""
    place = world.state().catalogs.current.contracts["nyc/warehouse"].place
    held = world.state().credentials
    assert held.for_person(place, "ana") == {"user": "s_ana", "password": SECRET, "options": {}}
    assert held.for_place(place)["user"] == "records"
    assert SECRET not in str(held.for_place(place))
    assert SECRET not in repr(held)
