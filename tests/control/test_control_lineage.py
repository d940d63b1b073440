"""Lineage: one START, what was read, one end; in the file always, and at a real server, which may be away, slow or wrong for a while."""

import asyncio
import dataclasses
import json
import os
import threading
import uuid
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from data_world import DataWorld
from publishing_world import PublishingWorld

from jupyter_guardrails.control import channel_operations, lifetimes
from jupyter_guardrails.control import lineage as lineage_module
from jupyter_guardrails.control.channel_operations import Name
from jupyter_guardrails.control.interface.machine import read_machine_settings
from jupyter_guardrails.control.lineage import Lineage, Target
from jupyter_guardrails.control.lineage_events import Run
from jupyter_guardrails.errors import PolicyError, Refused

TOKEN = "a-secret-of-the-lineage-server"


class Server:
    """Takes events as an OpenLineage server does; answers the statuses it is given, then 201."""

    def __init__(self):
        self.events, self.tokens, self.statuses = [], [], []
        self.told = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.told:
                    status = outer.statuses.pop(0) if outer.statuses else 201
                    if status == 201:
                        outer.events.append(body)
                    outer.tokens.append(self.headers.get("Authorization"))
                    outer.told.notify_all()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/api/v1/lineage"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def world(tmp_path):
    world = DataWorld(tmp_path)
    world.dataset("nyc/flights")
    world.dataset("nyc/trains")
    world.dataset("hr/heads", "confidential")
    yield world
    world.close()


def conforms(event):
    """What OpenLineage 2-0-2 requires of a run event and of the facets that are used here."""
    assert event["eventType"] in ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER")
    assert datetime.fromisoformat(event["eventTime"]).tzinfo
    assert event["producer"].startswith("https://")
    assert event["schemaURL"].endswith("/OpenLineage.json#/$defs/RunEvent")
    assert uuid.UUID(event["run"]["runId"])
    for item in (event["job"], *event["inputs"], *event["outputs"]):
        assert item["namespace"]
        assert item["name"]
    facets = [*event["run"]["facets"].values(), *(facet for item in event["inputs"] for facet in item["facets"].values())]
    assert all(facet["_producer"].startswith("https://") and facet["_schemaURL"].startswith("https://") for facet in facets)


async def a_session(state, live):
    """Two datasets are read, one of them twice, a third is refused, and the kernel ends."""
    for name in ("nyc/flights", "nyc/flights", "nyc/trains"):
        await channel_operations.path(state, live, Name(name=name))
    with pytest.raises(Refused):
        await channel_operations.path(state, live, Name(name="hr/heads"))
    state.lineage.ended(live.lease, state.clock(), state.spawn)
    await asyncio.gather(*state.tasks)


def lines(file):
    found = [json.loads(line) for line in file.read_text().splitlines()]
    for event in found:
        conforms(event)
    return found


def summary(events):
    return [(event["eventType"], [item["name"] for item in event["inputs"]]) for event in events]


SESSION = [("START", ["nyc/flights"]), ("RUNNING", ["nyc/trains"]), ("COMPLETE", ["nyc/flights", "nyc/trains"])]


def test_a_kernels_reads_are_one_run_in_the_file(world, tmp_path):
    state = world.state()
    state.lineage = Lineage(tmp_path / "lineage.ndjson")
    asyncio.run(a_session(state, world.kernel()))
    events = lines(tmp_path / "lineage.ndjson")
    assert summary(events) == SESSION
    assert len({event["run"]["runId"] for event in events}) == 1
    assert (tmp_path / "lineage.ndjson").stat().st_mode & 0o777 == 0o600
    facets = events[0]["inputs"][0]["facets"]
    assert facets["version"]["datasetVersion"] == "1.2.0"
    assert [field["name"] for field in facets["schema"]["fields"]] == ["origin", "delay"]
    assert "hr/heads" not in (tmp_path / "lineage.ndjson").read_text()


def test_a_kernel_that_read_nothing_is_no_run(world, tmp_path):
    state = world.state()
    state.lineage = Lineage(tmp_path / "lineage.ndjson")
    asyncio.run(lifetimes.sweep(state))
    state.lineage.ended("l-1", state.clock(), state.spawn)
    assert not (tmp_path / "lineage.ndjson").exists()


def with_server(world, tmp_path, server, *, mode=0o600):
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(mode)
    state = world.state()
    state.lineage = Lineage(tmp_path / "lineage.ndjson", Target(server.url, str(token)), back_off_s=(0.01, 0.05))
    return state


def test_a_server_is_told_with_the_token(world, tmp_path, server):
    asyncio.run(a_session(with_server(world, tmp_path, server), world.kernel()))
    assert server.events == lines(tmp_path / "lineage.ndjson")
    assert set(server.tokens) == {f"Bearer {TOKEN}"}


def test_a_server_that_fails_for_a_while_hears_all_of_it_in_order(world, tmp_path, server, caplog):
    server.statuses = [503, 500, 302, 503]
    asyncio.run(a_session(with_server(world, tmp_path, server), world.kernel()))
    assert summary(server.events) == SESSION
    assert "it answered 503" in caplog.text
    assert TOKEN not in caplog.text


def test_an_event_that_is_refused_keeps_no_other_waiting(world, tmp_path, server, caplog):
    server.statuses = [422]
    asyncio.run(a_session(with_server(world, tmp_path, server), world.kernel()))
    assert summary(server.events) == SESSION[1:]
    assert "refuses an event with 422" in caplog.text
    assert summary(lines(tmp_path / "lineage.ndjson")) == SESSION


def test_a_token_that_others_may_read_is_not_sent(world, tmp_path, server, caplog):
    state = with_server(world, tmp_path, server, mode=0o644)

    async def reads_and_mends():
        await channel_operations.path(state, world.kernel(), Name(name="nyc/flights"))
        while "may be read by others" not in caplog.text:
            await asyncio.sleep(0)
        assert server.tokens == []
        os.chmod(tmp_path / "token", 0o600)
        await asyncio.gather(*state.tasks)

    asyncio.run(reads_and_mends())
    assert summary(server.events) == SESSION[:1]


def test_a_read_does_not_wait_for_a_server_that_is_away(world, tmp_path, server, monkeypatch, caplog):
    """Nothing was sent yet when the reads are over; what is too much to keep is in the file."""
    monkeypatch.setattr(lineage_module, "MOST_WAITING", 2)
    server.close()
    state = with_server(world, tmp_path, server)

    async def reads():
        for number in range(5):
            world_kernel = world.kernel()
            world_kernel.lease = f"l-{number}"
            await channel_operations.path(state, world_kernel, Name(name="nyc/flights"))
        assert "is away for too long" in caplog.text
        assert len(lines(tmp_path / "lineage.ndjson")) == 5
        for task in state.tasks:
            task.cancel()

    asyncio.run(reads())


@pytest.mark.parametrize(
    "wrong", ["lineage.example.com", "ftp://lineage.example.com/", "https://ana@lineage.example.com/", "https://l.example.com/?key=1"]
)
def test_an_address_that_cannot_be_or_holds_a_secret_is_a_mistake(tmp_path, wrong):
    (tmp_path / "settings.yaml").write_text(f"control: service\nlineage_url: {wrong}\n")
    with pytest.raises(PolicyError):
        read_machine_settings(tmp_path)


def test_an_address_and_its_token_file_are_settings(tmp_path):
    (tmp_path / "settings.yaml").write_text("control: service\nlineage_url: https://l.example.com/api/v1/lineage\nlineage_token_file: /etc/token\n")
    found = read_machine_settings(tmp_path)
    assert (found.lineage_url, found.lineage_token_file) == ("https://l.example.com/api/v1/lineage", "/etc/token")


def test_what_a_kernel_publishes_is_an_output_with_all_that_it_inherits_from(tmp_path):
    """Also from what another kernel read in its workspace before."""
    world = PublishingWorld(tmp_path)
    world.state().lineage.file = file = tmp_path / "lineage.ndjson"
    world.carry()
    world.state().lineage.ended("l-1", world.now, world.state().spawn)
    world.publish()
    world.state().lineage.ended("l-1", world.now, world.state().spawn)
    world.close()
    events = lines(file)
    assert summary(events) == [("START", ["hr/headcount"]), ("COMPLETE", ["hr/headcount"])] * 2
    outputs = [[item["name"] for item in event["outputs"]] for event in events]
    assert outputs == [[], [], ["team/churn"], ["team/churn"]]
    made = events[2]["outputs"][0]["facets"]
    assert [field["name"] for field in made["schema"]["fields"]] == ["customer", "score"]
    assert made["version"]["datasetVersion"] == "1"
    assert events[2]["inputs"][0]["facets"]["version"]["datasetVersion"] == "1.2.0"


def test_a_product_comes_with_what_it_is_made_of(world, tmp_path):
    contracts = world.state().catalogs.current.contracts
    product = dataclasses.replace(contracts["nyc/flights"], name="nyc/all", made_from=(contracts["nyc/flights"], contracts["nyc/trains"]))
    lineage = Lineage(tmp_path / "lineage.ndjson")
    lineage.read(Run("l-1", "k-1", "kernel", "ana"), product, world.now, world.state().spawn)
    assert summary(lines(tmp_path / "lineage.ndjson")) == [("START", ["nyc/all", "nyc/flights", "nyc/trains"])]
