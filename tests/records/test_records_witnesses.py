"""Witnesses outside of control: real listeners that speak the real protocols, and what they keep proves a log."""

import contextlib
import gzip
import json
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from attacked_log import START, Log
from ports import free_port
from sqlalchemy import delete

from jupyter_guardrails.errors import AuditAway, BadRequest
from jupyter_guardrails.records import audit, offline, sinks, tables, witnessed, witnesses
from jupyter_guardrails.records.sinks import Told
from jupyter_guardrails.records.witness_journald import Journald
from jupyter_guardrails.records.witness_syslog import SyslogSocket

JOURNALD = Path("/lib/systemd/systemd-journald")
NASTY = 'x\n<13>1 2025-01-01T00:00:00Z h jupyter-guardrails - - - {"anchor": 1}\r\u2028\x00\x1b[31m\u202e\ud800"}'
SAID = {"required": True, "every_record": True, "rule": "p.yaml:9 audit.witness"}


@pytest.fixture
def log(tmp_path):
    (tmp_path / "state").mkdir()
    made = Log(tmp_path / "state" / offline.DATABASE, tmp_path / "state")
    yield made
    made.close()


class Collected:
    """What a listener received, and a way to wait for it."""

    def __init__(self):
        self.data, self.changed, self.links = [], threading.Condition(), []

    def add(self, data):
        with self.changed:
            self.data.append(data)
            self.changed.notify_all()

    def wait_for(self, text, timeout_s=20):
        with self.changed:
            assert self.changed.wait_for(lambda: text.encode() in b"\n".join(self.data), timeout_s), f"{text} never came: {self.data}"
        return b"\n".join(self.data)


@contextlib.contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def datagrams(collected):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            collected.add(self.request[0])

    return Handler


def streams(collected):
    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            collected.links.append(self.connection)
            while length := self.rfile.read(1):
                while (digit := self.rfile.read(1)) != b" ":
                    length += digit
                collected.add(self.rfile.read(int(length)))

    return Handler


def tell(log, to, **more):
    made = witnesses.make(to, **SAID | more)
    log.records.sinks.set_witnesses([made])
    return made


def kept(collected, tmp_path):
    """The witness's file, as somebody brings it to whoever verifies."""
    path = tmp_path / "witness"
    path.write_bytes(b"\n".join(collected.data) + b"\n")
    return witnessed.read(path)


def assert_it_proves(log, told):
    """The log holds against what the witness kept; cut back with all its anchors it doesn't."""
    log.write(sinks.save_places, log.records.sinks.places())
    whole = offline.verify_state(log.folder, witnessed=told)
    assert (whole.problems, whole.witnessed_to) == ((), log.anchors()[-1].seq)
    log.records.sinks.set_witnesses([])
    log.sql(delete(tables.audit).where(tables.audit.c.seq > 6), delete(tables.anchors).where(tables.anchors.c.seq > 6))
    assert log.verify_table().ok
    assert "a witness" in log.verify_table(witnessed=told).problems[0]


def test_syslog_over_udp(log, tmp_path):
    collected = Collected()
    with serving(socketserver.UDPServer(("127.0.0.1", 0), datagrams(collected))) as server:
        tell(log, f"udp://127.0.0.1:{server.server_address[1]}", required=False)
        log.append(NASTY, principal=NASTY)
        log.write(audit.anchor, now=START)
        collected.wait_for('{"anchor":{"hash":"' + log.rows()[-1]["hash"])
    message = collected.data[-1]
    assert message.isascii()
    assert not any(byte < 32 for byte in b"".join(collected.data))
    assert message.startswith(b"<109>1 2025-03-01T12:00:00.000000Z ")
    assert_it_proves(log, kept(collected, tmp_path))


def test_syslog_over_tcp_survives_a_server_that_starts_again(log, tmp_path):
    collected = Collected()

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    with serving(Server(("127.0.0.1", 0), streams(collected))) as server:
        port = server.server_address[1]
        tell(log, f"tcp://127.0.0.1:{port}")
        log.append(NASTY)
        collected.wait_for('"seq":12')
    for link in collected.links:
        link.shutdown(socket.SHUT_RDWR)
    with pytest.raises(AuditAway):
        log.append("while it is away")
    with serving(Server(("127.0.0.1", port), streams(collected))):
        log.records.sinks._places[f"tcp://127.0.0.1:{port}"].retry_at = 0.0
        log.append("again")
        collected.wait_for('"resource":"while it is away"')
        log.write(audit.anchor, now=START)
        collected.wait_for('{"anchor":{"hash":"' + log.rows()[-1]["hash"])
    assert_it_proves(log, kept(collected, tmp_path))


def test_the_machines_own_syslog_socket(log, tmp_path):
    collected = Collected()
    path = tmp_path / "log"
    with serving(socketserver.UnixDatagramServer(str(path), datagrams(collected))):
        log.records.sinks.set_witnesses([SyslogSocket(path=path, **SAID)])
        log.append("d")
        log.write(audit.anchor, now=START)
        collected.wait_for('{"anchor":{"hash":"' + log.rows()[-1]["hash"])
    assert_it_proves(log, kept(collected, tmp_path))


def wait_for_port(port, process):
    for _ in range(200):
        assert process.poll() is None, process.stdout.read()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)  # nothing tells when a program of others listens
    pytest.fail("it never listened")


@contextlib.contextmanager
def running(command, **more):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


RSYSLOG = """\
global(workDirectory="{folder}")
module(load="imudp")
module(load="imtcp")
module(load="imuxsock" SysSock.Use="off")
input(type="imudp" address="127.0.0.1" port="{port}")
input(type="imtcp" address="127.0.0.1" port="{port}")
input(type="imuxsock" Socket="{folder}/log" CreatePath="on")
action(type="omfile" file="{folder}/witness")
"""


@pytest.fixture
def rsyslog(tmp_path):
    """An rsyslogd as it comes from Debian; its port, and the folder of its socket and its file."""
    program = shutil.which("rsyslogd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("rsyslogd is not on this machine")
    folder, port = tmp_path / "rsyslog", free_port()
    folder.mkdir()
    (folder / "conf").write_text(RSYSLOG.format(folder=folder, port=port))
    with running([program, "-n", "-f", folder / "conf", "-i", folder / "pid"]) as process:
        wait_for_port(port, process)
        yield port, folder


@pytest.mark.parametrize("way", ["udp", "tcp", "socket"])
def test_a_real_rsyslogd(log, rsyslog, way):
    """Its file, in its usual format, proves the log; a record that is longer than it takes is there by its number and hash."""
    port, folder = rsyslog
    if way == "socket":
        log.records.sinks.set_witnesses([SyslogSocket(path=folder / "log", **SAID)])
    else:
        tell(log, f"{way}://127.0.0.1:{port}")
    log.append(NASTY, principal=NASTY, reason=NASTY * 20)
    log.append("long", reason="ä" * 4000, rule="ß" * 4000)
    log.append("after")
    log.write(audit.anchor, now=START)
    wanted = '{"anchor":{"hash":"' + log.rows()[-1]["hash"]
    for _ in range(200):
        if (folder / "witness").exists() and wanted in (folder / "witness").read_text():
            break
        time.sleep(0.05)  # rsyslogd tells nobody when it has written a line
    told = witnessed.read(folder / "witness")
    lines = (folder / "witness").read_text().splitlines()
    assert all(f" jupyter-guardrails[{os.getpid()}]" in line for line in lines), "who says it is the program's name to the daemon, too"
    assert '{"record":{"hash":"' + log.rows()[-2]["hash"] + '","seq":13}}' in lines[2]
    assert len(lines) == 5, "two anchors and three records: nothing that a name made up is a line of its own"
    assert_it_proves(log, told)


def test_a_real_opentelemetry_collector(log, tmp_path):
    """The collector takes our logs by OTLP/HTTP and exports them to the next, whose file is the witness."""
    rotel = pytest.importorskip("rotel", reason="rotel is not installed: no collector to test with")
    collected = Collected()

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collected.add(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    ports = [free_port(), free_port()]
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Sink)) as server:
        command = [Path(rotel.__file__).with_name("rotel-agent"), "start", "--exporter", "otlp", "--otlp-exporter-protocol", "http"]
        command += ["--otlp-exporter-endpoint", f"http://127.0.0.1:{server.server_address[1]}", "--otlp-exporter-compression", "none"]
        command += ["--otlp-grpc-endpoint", f"127.0.0.1:{ports[0]}", "--otlp-http-endpoint", f"127.0.0.1:{ports[1]}"]
        with running(command, cwd=tmp_path) as process:
            wait_for_port(ports[1], process)
            tell(log, f"http://127.0.0.1:{ports[1]}")
            log.append(NASTY)
            log.write(audit.anchor, now=START)
            assert log.records.sinks.places()[f"http://127.0.0.1:{ports[1]}"] == (12, 12)
            collected.wait_for('{"anchor":{"hash":"' + log.rows()[-1]["hash"])
    assert_it_proves(log, kept(collected, tmp_path))


def test_a_collector_that_refuses_is_a_failure_of_the_action(log):
    class Sink(BaseHTTPRequestHandler):
        refuses = True

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"partialSuccess": {"rejectedLogRecords": "1"}} if self.refuses else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Sink)) as server:
        made = tell(log, f"http://127.0.0.1:{server.server_address[1]}/v1/logs")
        with pytest.raises(AuditAway, match="it refused 1 of"):
            log.append("d")
        Sink.refuses = False
        log.records.sinks._places[made.name].retry_at = 0.0
        log.append("e")


def test_a_real_journal(log, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if not (JOURNALD.exists() and shutil.which("journalctl")):
        pytest.skip("systemd-journald is not on this machine")
    held = tmp_path / "run"
    held.mkdir()
    with a_journal(held) as journal:
        log.records.sinks.set_witnesses([Journald(path=journal / "systemd/journal/socket", **SAID)])
        log.append(NASTY, reason=NASTY * 20)
        log.append("long", reason="ä" * 4000, rule="ß" * 4000, principal="ö" * 4000)
        log.write(audit.anchor, now=START)
        output = tmp_path / "journal.json"
        wanted = log.rows()[-1]["hash"]
        assert log.rows()[-2]["resource"] != "long", "the nasty one is another entry"
        for _ in range(100):
            entries = read_journal(journal)
            if any(entry.get("GUARDRAILS_HASH") == wanted and entry.get("GUARDRAILS_ACTION") == "anchor" for entry in entries):
                break
            time.sleep(0.1)  # the journal tells nobody when it has written an entry
        output.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    ours = [entry for entry in entries if entry.get("SYSLOG_IDENTIFIER") == "jupyter-guardrails"]
    assert [entry["GUARDRAILS_SEQ"] for entry in ours] == ["11", "12", "13", "13"], "one entry each, and nothing that a name made up"
    assert {entry["_UID"] for entry in ours} == {"0"}, "the journal itself says who told it"
    assert_it_proves(log, witnessed.read(output))


@contextlib.contextmanager
def a_journal(held):
    """A systemd-journald of this test's own: its /run is a folder of the test."""
    (held / "systemd/journal").mkdir(parents=True)
    script = f"mount --bind {held} /run && mkdir -p /run/log/journal && exec {JOURNALD}"
    with running(["unshare", "--mount", "sh", "-c", script]) as process:
        for _ in range(200):
            if (held / "systemd/journal/socket").exists():
                break
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.05)  # nothing tells when its socket is there
        yield held


def read_journal(run):
    found = subprocess.run(
        ["journalctl", "-D", run / "log/journal", "-o", "json", "--all", "--no-pager"], capture_output=True, text=True, check=False
    )
    return [json.loads(line) for line in found.stdout.splitlines()]


def test_a_required_witness_that_is_away_refuses_within_seconds_and_comes_back(log, tmp_path):
    path = tmp_path / "log"
    log.records.sinks.set_witnesses([SyslogSocket(path=path, **SAID)])
    begun = time.monotonic()
    with pytest.raises(AuditAway, match="syslog can't be told: No such file") as raised:
        log.append("d")
    assert time.monotonic() - begun < sinks.WAIT_S + 5
    assert raised.value.rule == SAID["rule"]
    before = len(log.rows())
    with pytest.raises(AuditAway):
        log.append("e")
    assert len(log.rows()) == before, "what is refused for it leaves nothing behind"
    log.append("ends anyway", action="kernel.end")
    log.append("refused anyway", allowed=False)
    collected = Collected()
    with serving(socketserver.UnixDatagramServer(str(path), datagrams(collected))):
        log.records.sinks._places["syslog"].retry_at = 0.0
        log.append("f")
        collected.wait_for('"resource":"f"')
    seen = b"".join(collected.data)
    assert all(f'"resource":"{name}"'.encode() in seen for name in ("d", "ends anyway", "refused anyway")), "nothing was lost"
    assert len(log.records.sinks.recovered) == 1


def test_a_server_that_takes_nothing_keeps_nobody_waiting_for_long(log):
    """It listens and never answers: the bound is on each attempt, and the next ones don't wait at all."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        tell(log, f"http://127.0.0.1:{silent.getsockname()[1]}")
        begun = time.monotonic()
        with pytest.raises(AuditAway, match="no answer"):
            log.append("d")
        first = time.monotonic() - begun
        with pytest.raises(AuditAway):
            log.append("e")
        assert first < sinks.WAIT_S + 5
        assert time.monotonic() - begun - first < sinks.WAIT_S


def test_where_nothing_is_enforced_the_action_goes_on_and_the_loss_is_known(log, tmp_path):
    log.records.sinks.strict = lambda: False
    log.records.sinks.set_witnesses([SyslogSocket(path=tmp_path / "log", **SAID)])
    assert log.append("d")["seq"] == 12
    (_, state) = log.records.read_sync(log.records.sinks.state)
    assert (state["name"], state["required"], state["behind"]) == ("syslog", True, 1)
    assert "No such file" in state["problem"]


def test_an_optional_witness_keeps_nobody_waiting_and_is_told_later(log, tmp_path):
    path = tmp_path / "log"
    log.records.sinks.set_witnesses([SyslogSocket(path=path, **SAID | {"required": False})])
    log.append("d")
    collected = Collected()
    with serving(socketserver.UnixDatagramServer(str(path), datagrams(collected))):
        log.append("e")
        collected.wait_for('"resource":"d"')
        collected.wait_for('"resource":"e"')


def test_after_a_restart_a_witness_is_told_what_it_missed(log, tmp_path):
    path = tmp_path / "log"
    log.records.sinks.strict = lambda: False
    log.records.sinks.set_witnesses([SyslogSocket(path=path, **SAID)])
    log.append("d")
    log.write(sinks.save_places, log.records.sinks.places())
    log.close()
    log.__init__(log.place, log.folder)
    collected = Collected()
    with serving(socketserver.UnixDatagramServer(str(path), datagrams(collected))):
        log.records.sinks.set_witnesses([SyslogSocket(path=path, **SAID)])
        log.append("e")
        collected.wait_for('"resource":"d"')


def test_a_file_that_no_witness_wrote_is_refused(tmp_path):
    path = tmp_path / "other.log"
    path.write_text('Mar 1 host cron: {"action": 1}\n{"anchor": 3, "hash": 1}\n')
    with pytest.raises(BadRequest, match="holds nothing that was told by an audit log"):
        witnessed.read(path)


def test_a_line_is_found_in_whatever_stands_around_it(tmp_path):
    anchor = '{"anchor":{"hash":"ab","key":"","seq":7,"signature":"","time":""}}'
    path = tmp_path / "witness"
    for around in (anchor, f"Mar 1 h x[1]: {anchor}", json.dumps({"MESSAGE": anchor}), json.dumps([{"body": {"stringValue": f"a {anchor}"}}])):
        path.write_text(around + "\n")
        assert [one.seq for one in witnessed.read(path).anchors] == [7]


def test_a_told_line_is_ascii_without_control_characters():
    assert Told(1, "h", "t", "a", True, json.dumps({"resource": NASTY})).text.isascii()
    assert sys.getdefaultencoding() == "utf-8"
