"""Control keeps its audit log: signed, told to witnesses as the policy says, recovered, removed; and what it says of that."""

import json
import queue
import socketserver
import threading
import time

import pytest

from jupyter_guardrails.control import auditing
from jupyter_guardrails.control.interface.auditing import AuditExport, AuditFind, AuditNewKey, AuditSinks
from jupyter_guardrails.control.interface.messages import Me, ProfileSet
from jupyter_guardrails.errors import AuditAway, BadRequest, Refused
from jupyter_guardrails.records import anchors, audit, offline, parts, schemas


def rows(desk):
    return desk.state.records.read_sync(audit.newest, limit=1000)


def setting(world, text):
    world.policy.write_text(world.policy.read_text() + f"audit: {text}\n")


@pytest.fixture
def kept(desk):
    """A desk whose log is kept up by hand."""
    return desk, desk.run(auditing.begin(desk.state))


def test_an_anchor_is_due_after_the_time_that_the_policy_says(world, desk_for):
    setting(world, "{anchor_every: 1m}")
    desk = desk_for("ana")
    upkeep = desk.run(auditing.begin(desk.state))
    desk.ask(ProfileSet(profile="small"))
    desk.later(seconds=59)
    desk.run(auditing.turn(desk.state, upkeep))
    assert list(desk.state.records.read_sync(anchors.anchors)) == [1]
    desk.later(seconds=1)
    desk.run(auditing.turn(desk.state, upkeep))
    assert list(desk.state.records.read_sync(anchors.anchors)) == [1, 2]
    desk.later(minutes=5)
    desk.run(auditing.turn(desk.state, upkeep))
    assert list(desk.state.records.read_sync(anchors.anchors)) == [1, 2], "nothing was written meanwhile"


def test_control_ends_with_an_anchor_over_everything(world):
    own = world.start()
    own.client.call(ProfileSet(profile="small"))
    own.stop()
    found = offline.verify_state(world.settings.state_dir)
    assert (found.ok, found.anchored_to, found.count) == (True, 2, 2)


def test_old_records_go_as_the_policy_says(world, desk_for):
    setting(world, "{keep: 30d}")
    desk = desk_for("ana")
    upkeep = desk.run(auditing.begin(desk.state))
    desk.ask(ProfileSet(profile="small"))
    desk.later(days=10)
    desk.run(auditing.turn(desk.state, upkeep))
    assert [row["action"] for row in rows(desk)] == ["audit.key", "profile.set"]
    desk.later(days=31)
    desk.ask(ProfileSet(profile="small"))
    desk.run(auditing.turn(desk.state, upkeep))
    assert [row["action"] for row in rows(desk)] == ["profile.set", "audit.remove"]
    assert rows(desk)[-1]["rule"].endswith("audit.keep")
    desk.later(hours=2)
    desk.run(auditing.turn(desk.state, upkeep))
    found = offline.verify_state(world.settings.state_dir)
    assert (found.ok, found.first) == (True, 3)
    assert [schemas.mistakes(row) for row in rows(desk)] == [[], []]


def test_without_keep_nothing_goes(kept):
    desk, upkeep = kept
    desk.ask(ProfileSet(profile="small"))
    desk.later(days=10_000)
    desk.run(auditing.turn(desk.state, upkeep))
    assert [row["action"] for row in rows(desk)] == ["audit.key", "profile.set"]


def serve(path, taken):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            taken.put(self.request[0])

    server = socketserver.UnixDatagramServer(str(path), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def with_witness(world, desk_for, monkeypatch):
    """A policy with a required witness at a socket of the test."""
    monkeypatch.setattr("jupyter_guardrails.records.witness_syslog.SyslogSocket.__init__.__kwdefaults__", {"path": world.root / "log"})
    setting(world, "{witness: [{to: syslog, required: true, records: true}]}")
    desk = desk_for("ana")
    return desk, desk.run(auditing.begin(desk.state))


def test_a_required_witness_that_is_away_refuses_kernels_with_the_rule_and_they_start_when_it_is_back(with_witness, world):
    desk, upkeep = with_witness
    with pytest.raises(AuditAway, match="syslog can't be told") as raised:
        desk.begin()
    assert raised.value.rule.endswith("audit.witness")
    assert "guardrails.yaml:" in raised.value.rule
    (file, witness) = desk.ask(AuditSinks())["sinks"]
    assert (file["problem"], witness["name"], "No such file" in witness["problem"]) == ("", "syslog", True)
    taken = queue.SimpleQueue()
    server = serve(world.root / "log", taken)
    desk.state.records.sinks._places["syslog"].retry_at = 0.0
    desk.run(auditing.turn(desk.state, upkeep))
    desk.begin("k2")
    while b"kernel-k2" not in taken.get(timeout=20):
        pass
    server.shutdown()
    server.server_close()
    assert [row["action"] for row in rows(desk)].count("audit.sink") == 1
    assert all(schemas.mistakes(row) == [] for row in rows(desk))


def test_where_the_policy_only_observes_kernels_start_without_the_witness(with_witness, world):
    desk, _ = with_witness
    world.policy.write_text(world.policy.read_text().replace("mode: enforce", "mode: observe"))
    desk.begin()
    assert desk.state.records.sinks.failing


def test_a_witness_that_the_policy_takes_back_is_required_no_more(with_witness, world):
    desk, upkeep = with_witness
    world.policy.write_text(world.policy.read_text().partition("audit:")[0])
    desk.run(desk.state.refresh())
    desk.run(auditing.turn(desk.state, upkeep))
    desk.begin()


def test_only_admins_see_where_records_go(desk_for):
    assert "audit" not in desk_for("ana").ask(Me())


def test_an_admin_sees_where_records_go(desk_for):
    assert desk_for("carol").ask(Me())["audit"] == [{"name": "audit.jsonl", "required": True, "behind": 0, "problem": ""}]


def test_others_records_are_refused_with_the_rule(desk):
    with pytest.raises(Refused) as raised:
        desk.ask(AuditFind(person="ben"))
    assert raised.value.rule.endswith("admins")
    assert desk.ask(AuditFind(person="ana")) == {"records": [], "next": 0}
    with pytest.raises(Refused):
        desk.ask(AuditNewKey())


def test_an_export_goes_into_a_file_and_nothing_else(desk, tmp_path):
    desk.ask(ProfileSet(profile="small"))
    with open(tmp_path / "out", "wb") as file:
        assert desk.ask(AuditExport(), fds=[file.fileno()]) == {"count": 1, "first": 1, "last": 1}
    lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert [next(iter(line)) for line in lines] == ["export", "action"], "a log without a key has no seal"
    with pytest.raises(BadRequest):
        desk.ask(AuditExport())


def test_a_real_control_tells_a_witness_of_its_policy(world, tmp_path):
    taken = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            taken.append(self.request[0])

    with socketserver.UDPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        setting(world, f'{{witness: ["udp://127.0.0.1:{server.server_address[1]}"]}}')
        own = world.start()
        own.client.call(ProfileSet(profile="small"))
        own.stop()
        deadline = time.monotonic() + 20
        while not any(b'"seq":2' in line for line in taken) and time.monotonic() < deadline:
            time.sleep(0.02)  # datagrams: nobody tells when the last has come
        server.shutdown()
    assert any(b'"anchor"' in line and b'"seq":2' in line for line in taken)
    assert parts.files_of(world.settings.state_dir)
