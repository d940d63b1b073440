"""Control as a service, in this process: who asks is the peer, and nobody gets at anything of somebody else's, whatever the operation."""

import asyncio
import contextlib
import json
import os
import socket
import struct
import subprocess
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jupyter_guardrails.control import activation, closing, peers, service, stations
from jupyter_guardrails.control.frames import close_all
from jupyter_guardrails.control.groups import Groups, system_groups
from jupyter_guardrails.control.interface import (
    auditing,
    backup,
    changes,
    decisions,
    deployments,
    grants,
    lifecycle,
    notices,
    oversight,
    package_requests,
    publishing,
    quality,
    run_outputs,
    sharing,
    stops,
    trust,
    usage,
    work,
)
from jupyter_guardrails.control.interface import messages as m
from jupyter_guardrails.control.interface.content import sealed
from jupyter_guardrails.control.interface.messages import REQUESTS
from jupyter_guardrails.control.interface.notebooks import NotebookMoved
from jupyter_guardrails.control.service import Peer
from jupyter_guardrails.control.state import Worker
from jupyter_guardrails.control.waiting import ALL_WAITING, MAX_AT_ONCE, MAX_WAITING, Waiting
from jupyter_guardrails.errors import BadRequest, Conflict, GroupsUnknown, GuardrailsError, LimitReached, MounterAway, NotFound, Refused
from jupyter_guardrails.records.places import UnsafePlace

PUBLIC_KEY = json.dumps({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "ab" * 32}})
ANA, BEN = Peer(os.getuid(), "ana"), Peer(os.getuid() + 1002, "ben")
REPORT = {"guarantees": [{"name": name, "held": True, "how": "tested", "next_step": ""} for name in ("files", "network")]}
POLICY_FOR_ALL = """apiVersion: guardrails/v1
mode: enforce
profiles:
  small: {memory: 2GiB, cpus: 1}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], default: small, max: 2}
    publish: {to: [team]}
    uploads: {max_size: 1MiB}
promotion: {production_profile: small}
"""


class Counter:
    """A service's operations, asked by one peer or the other."""

    def __init__(self, desk):
        self.desk = desk
        desk.state.settings = replace(desk.state.settings, service=True, self_chosen=False, person=None)
        desk.state.groups = Groups()  # these people are no accounts of this machine

    def ask(self, peer, request, fds=(), token=None):
        frame = {"v": 1, "op": request.op, "args": request.model_dump(mode="json"), "token": token or self.desk.state.token}
        return self.desk.run(self.desk.service.answer(frame, list(fds), peer)).result

    def admit(self, peer, key="k", **more):
        return self.ask(peer, m.KernelAdmit(kernel_id=f"kernel-{key}", kernelspec="python3", workspace="/w", key=key, **more))

    def submit(self, peer, key="s", text=b"{}", **more):
        with notebook(text) as fd:
            asked = {"notebook": "a.ipynb", "workspace": "/w", "key": key} | more
            return self.ask(peer, m.SubmissionCreate(**asked), fds=[fd])


@contextlib.contextmanager
def notebook(text):
    read_end, write_end = os.pipe()
    with open(write_end, "wb") as sink:
        sink.write(text)
    with open(read_end, "rb") as source:
        yield sealed(source, limit_bytes=1 << 20)


@pytest.fixture
def counter(world, desk_for):
    world.policy.write_text(POLICY_FOR_ALL)
    return Counter(desk_for("jupyter-guardrails"))


class Things:
    """What belongs to ana: one of everything that an operation can name."""

    def __init__(self, counter):
        self.counter = counter
        self.lease = counter.admit(ANA)["lease"]
        self.kernel = subprocess.Popen(["sleep", "600"])
        counter.ask(ANA, m.KernelStarted(lease=self.lease, pid=self.kernel.pid, report=REPORT))
        counter.ask(ANA, m.ProfileSet(profile="small", notebook="ana.ipynb"))
        self.submission = counter.submit(ANA)["id"]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.mounter = ours
        self.launch = counter.ask(ANA, m.LaunchMounter(), fds=[theirs.detach()])["launch"]
        self.worker_token = "worker-of-ana"
        counter.desk.state.worker_tokens[self.worker_token] = Worker(self.submission, "ana")

    def published(self):
        """The name of a table that she has published for herself; made when it is asked for, since it takes a process."""
        with notebook(b"n\n1\n") as fd:
            asked = publishing.DataImport(name="one/table", description="a table", format="csv")
            return self.counter.ask(ANA, asked, fds=[fd])["name"]


@pytest.fixture
def things(counter):
    found = Things(counter)
    yield found
    found.mounter.close()
    found.kernel.kill()
    found.kernel.wait()


def nothing_of(things, answer):
    """An answer in which nothing of ana's is."""
    text = json.dumps(answer)
    return all(one not in text for one in (things.lease, things.submission, things.launch, "ana"))


# operation -> what ben asks with ana's names in his hands, and what he gets: an error, or an answer without anything of ana's (None)
CROSSINGS = {
    "me": (lambda t: m.Me(), None),
    "kernels": (lambda t: m.Kernels(), None),
    "budget": (lambda t: m.Budget(), None),
    "changes": (lambda t: changes.Changes(), None),
    "usage": (lambda t: usage.Usage(), None),
    "audit": (lambda t: m.Audit(), None),
    "profile.set": (lambda t: m.ProfileSet(profile="small"), None),
    "notebook.moved": (lambda t: NotebookMoved(old="ana.ipynb", new="mine.ipynb"), None),
    "launch.paths": (lambda t: m.LaunchPaths(), None),
    "launch.mounter": (lambda t: m.LaunchMounter(), BadRequest),
    "kernel.admit": (lambda t: m.KernelAdmit(kernel_id="kernel-k", kernelspec="python3", workspace="/w", key="k"), None),
    "kernel.started": (lambda t: m.KernelStarted(lease=t.lease, pid=1, report={}), NotFound),
    "kernel.beat": (lambda t: m.KernelBeat(beats=[m.Beat(lease=t.lease, cpu_s=1e6, memory_bytes=0, memory_peak_bytes=0)]), "ended"),
    "kernel.limits": (lambda t: m.KernelLimits(leases=[t.lease]), None),
    "kernel.would_refuse": (lambda t: m.KernelWouldRefuse(lease=t.lease, seen=[m.Seen(kind="read", what="/x")]), NotFound),
    "kernel.settle": (lambda t: m.KernelSettle(lease=t.lease, reason="mine now"), NotFound),
    "kernel.root": (lambda t: m.KernelRoot(lease=t.lease, launch=t.launch, read=[], write=[], devices=[]), NotFound),
    "datasets.search": (lambda t: m.DatasetsSearch(), None),
    "datasets.show": (lambda t: m.DatasetShow(name="nyc/flights"), NotFound),
    "datasets.check": (lambda t: m.DatasetCheck(), Refused),
    "requests.list": (lambda t: m.RequestsList(), None),
    "requests.create": (lambda t: m.RequestCreate(dataset="nyc/flights", purpose="to look at it"), NotFound),
    "submissions.create": (lambda t: m.SubmissionCreate(notebook="a.ipynb", workspace="/w", key="s"), BadRequest),
    "submissions.list": (lambda t: m.SubmissionsList(), None),
    "submissions.show": (lambda t: m.SubmissionShow(id=t.submission), NotFound),
    "submissions.cancel": (lambda t: m.SubmissionCancel(id=t.submission), NotFound),
    "submissions.share": (lambda t: sharing.SubmissionShare(id=t.submission), NotFound),
    "submissions.package": (lambda t: m.SubmissionPackage(id=t.submission), NotFound),
    "worker.progress": (lambda t: m.WorkerProgress(submission=t.submission, check="x", title="x", state="failed"), Refused),
    "worker.finish": (lambda t: m.WorkerFinish(submission=t.submission, state="built"), Refused),
    "worker.inputs": (lambda t: work.WorkerInputs(submission=t.submission, names=["hr/salaries"]), Refused),
    "worker.columns": (lambda t: work.WorkerColumns(submission=t.submission, name="hr/salaries"), Refused),
    "worker.sample": (lambda t: work.WorkerSample(submission=t.submission, name="hr/salaries", rows=1, form="csv"), Refused),
    "worker.reached": (lambda t: work.WorkerReached(submission=t.submission, kernel_id="k"), Refused),
    "worker.earlier": (lambda t: work.WorkerEarlier(submission=t.submission, key="0" * 64), Refused),
    "worker.keep": (lambda t: work.WorkerKeep(submission=t.submission, key="0" * 64), Refused),
    "worker.part": (lambda t: work.WorkerPart(submission=t.submission, offset=0), Refused),
    "work.station": (lambda t: work.StationOpen(), BadRequest),
    "package.verify": (lambda t: m.PackageVerify(), BadRequest),
    "trust.add": (lambda t: trust.TrustAdd(key=PUBLIC_KEY, name="mine"), Refused),
    "trust.list": (lambda t: trust.TrustList(), None),
    "trust.remove": (lambda t: trust.TrustRemove(keyid="0" * 64, reason="because"), Refused),
    "audit.find": (lambda t: auditing.AuditFind(person="ana"), Refused),
    "audit.export": (lambda t: auditing.AuditExport(person="ana"), BadRequest),
    "audit.key": (lambda t: auditing.AuditNewKey(), Refused),
    "audit.sinks": (lambda t: auditing.AuditSinks(), None),
    "kernel.cells": (lambda t: auditing.KernelCells(cells=[auditing.Cell(kernel_id="kernel-k", digest="0" * 64, code="x")]), None),
    "kernel.keep": (lambda t: notices.KernelKeep(kernel="kernel-k"), NotFound),
    "kernel.stopping": (lambda t: notices.KernelStopping(kernel="kernel-k"), NotFound),
    "kernel.history": (lambda t: usage.KernelHistory(kernel_id="kernel-k"), NotFound),
    "requests.more": (lambda t: notices.MoreAsk(resource="kernels", until=datetime.now(UTC), purpose="a big table"), BadRequest),
    "requests.decide_more": (lambda t: notices.MoreDecide(id="x", grant=True, reason="because"), NotFound),
    "requests.revoke_more": (lambda t: notices.MoreRevoke(id="x", reason="because"), NotFound),
    "requests.package": (lambda t: package_requests.PackageAsk(package="pandas", purpose="a big table"), Conflict),
    "requests.show": (lambda t: package_requests.RequestShow(id="x"), NotFound),
    "requests.seen": (lambda t: package_requests.PackageSeen(id="x", facts=(UNKNOWN_FACT,)), NotFound),
    "requests.decide_package": (lambda t: package_requests.PackageDecide(id="x", grant=True, reason="because"), NotFound),
    "requests.revoke_package": (lambda t: package_requests.PackageRevoke(id="x", reason="because"), NotFound),
    "requests.decide": (lambda t: decisions.RequestDecide(id="x", decision="grant"), NotFound),
    "grants.list": (lambda t: decisions.GrantsList(), None),
    "grants.give": (lambda t: grants.GrantGive(person="ana", dataset="hr/salaries", days=1, reason="because"), Refused),
    "grants.revoke": (lambda t: decisions.GrantRevoke(id="x", reason="because"), NotFound),
    "submissions.decide": (lambda t: decide(t), NotFound),
    "submissions.decisions": (lambda t: decisions.SubmissionDecisions(id=t.submission), NotFound),
    "submissions.evidence": (lambda t: decisions.SubmissionEvidence(id=t.submission), NotFound),
    "submissions.withdraw": (lambda t: lifecycle.SubmissionWithdraw(id=t.submission), NotFound),
    "submissions.retire": (lambda t: lifecycle.SubmissionRetire(id=t.submission, reason="mine now"), NotFound),
    "submissions.rollback": (lambda t: lifecycle.SubmissionRollback(id=t.submission, reason="mine now"), NotFound),
    "submissions.queue": (lambda t: decisions.SubmissionsQueue(), None),
    "reviews.overview": (lambda t: decisions.ReviewsOverview(), None),
    "deployments.create": (lambda t: deployments.DeploymentCreate(submission=t.submission, engine="local"), NotFound),
    "deployments.live": (lambda t: deployments.DeploymentLive(id="x"), NotFound),
    "deployments.end": (lambda t: deployments.DeploymentEnd(id="x"), NotFound),
    "deployments.list": (lambda t: deployments.DeploymentsList(id=t.submission), NotFound),
    "deployments.run": (lambda t: deployments.RunBegin(deployment="x"), NotFound),
    "deployments.report": (lambda t: deployments.RunReport(deployment="x", number=1, state="complete"), NotFound),
    "datasets.quality": (lambda t: quality.QualityCheck(name="hr/salaries"), NotFound),
    "publications.import": (lambda t: publishing.DataImport(name=t.published(), description="mine", format="csv"), BadRequest),
    "publications.from_run": (lambda t: run_outputs.RunPublish(deployment="x", number=1, output="a.csv"), BadRequest),
    "publications.list": (lambda t: publishing.PublicationsList(review=bool(t.published())), None),
    "publications.show": (lambda t: publishing.PublicationShow(name=t.published()), NotFound),
    "publications.propose": (lambda t: publishing.PublicationPropose(name=t.published(), group="team"), NotFound),
    "publications.decide": (lambda t: publishing.PublicationDecide(name=t.published(), decision="approve", digest="0" * 64), NotFound),
    "publications.submit": (lambda t: publishing.PublicationSubmit(name=t.published(), group="team"), NotFound),
    "publications.discard": (lambda t: publishing.PublicationDiscard(name=t.published()), NotFound),
    "publications.withdraw": (lambda t: publishing.PublicationWithdraw(name=t.published()), NotFound),
    "decisions.past": (lambda t: oversight.DecisionsPast(since_s=3600), Refused),
    "notify.check": (lambda t: oversight.NotifyCheck(), Refused),
    "records.backup": (lambda t: backup.RecordsBackup(), Refused),
    "suspensions.list": (lambda t: stops.SuspensionsList(), None),
    "suspensions.suspend": (lambda t: stops.Suspend(kind="job", name="ana-job", reason="because"), Refused),
    "suspensions.lift": (lambda t: stops.SuspensionLift(kind="job", name="ana-job", reason="because"), Refused),
    "exemptions.begin": (lambda t: stops.BreakGlass(kind="profile", name="small", reason="because it burns"), Refused),
    "exemptions.end": (lambda t: stops.BreakGlassEnd(id="x"), NotFound),
    "exemptions.list": (lambda t: stops.BreakGlassList(), None),
}


UNKNOWN_FACT = package_requests.Fact(name="x", version="1", license=None, size_bytes=None, advisories=None)


def decide(things):
    """A decision on her submission, as a reviewer would make it."""
    digests = {"content_digest": "0" * 64, "evidence_digest": "0" * 64}
    return decisions.SubmissionDecide(id=things.submission, decision="approve", **digests)


def test_each_operation_is_declared():
    """A new operation of control must say here what a second account gets from it."""
    answered = {kind.op for kind in service.OPERATIONS}
    assert answered == set(CROSSINGS), f"say what a second account gets: {sorted(answered ^ set(CROSSINGS))}"
    assert answered <= set(REQUESTS)


@pytest.mark.parametrize("op", CROSSINGS)
def test_a_second_account_gets_nothing_of_the_first(counter, things, op):
    make, expected = CROSSINGS[op]
    before = state_of(counter, things)
    if isinstance(expected, type):
        with pytest.raises(expected) as refused:
            counter.ask(BEN, make(things))
        assert "ana" not in refused.value.message
    else:
        answer = counter.ask(BEN, make(things))
        assert answer["end"][0]["lease"] == things.lease if expected == "ended" else nothing_of(things, answer)
    assert state_of(counter, things) == before, "nothing of hers has changed"


def state_of(counter, things):
    kernels = counter.ask(ANA, m.Kernels())["kernels"]
    return kernels, counter.ask(ANA, m.SubmissionShow(id=things.submission)), counter.ask(ANA, usage.Usage())


def test_the_first_account_gets_all_of_it(counter, things):
    """The twin: the same names in their owner's hands."""
    assert len(counter.ask(ANA, m.Kernels())["kernels"]) == 1
    assert counter.ask(ANA, m.SubmissionShow(id=things.submission))["id"] == things.submission
    assert counter.ask(ANA, m.KernelBeat(beats=[m.Beat(lease=things.lease, cpu_s=1, memory_bytes=0, memory_peak_bytes=0)]))["end"] == []
    assert counter.admit(ANA)["lease"] == things.lease, "the same key, the same lease"
    assert counter.ask(ANA, m.KernelSettle(lease=things.lease, reason="done")) == {}
    assert counter.ask(ANA, m.SubmissionCancel(id=things.submission))["state"] == "cancelled"


def test_a_workers_token_is_worth_nothing_to_another_account(counter, things):
    asked = m.SubmissionShow(id=things.submission)
    assert counter.ask(ANA, asked, token=things.worker_token)["id"] == things.submission
    with pytest.raises(Refused, match="not the one of this control"):
        counter.ask(BEN, asked, token=things.worker_token)


def test_another_accounts_mounter_takes_no_orders(counter, things):
    lease = counter.admit(BEN)["lease"]
    with pytest.raises(MounterAway):
        counter.ask(BEN, m.KernelRoot(lease=lease, launch=things.launch, read=[], write=[], devices=[]))
    things.mounter.setblocking(False)
    with pytest.raises(BlockingIOError):
        things.mounter.recv(1)


def test_a_kernel_is_a_process_of_its_own_account(counter, things):
    lease = counter.admit(BEN, key="his")["lease"]
    with pytest.raises(Refused, match="is no running process of ben's kernels"):
        counter.ask(BEN, m.KernelStarted(lease=lease, pid=things.kernel.pid, report=REPORT))
    assert len(counter.ask(ANA, m.Kernels())["kernels"]) == 1, "the twin: of ana it was taken"


@pytest.mark.parametrize("name", ["../../x.ipynb", "/etc/x.ipynb", "..", ".", "a/../../b", "x\0y", "a" * 2000])
def test_a_notebooks_name_leads_nowhere_else(counter, name):
    with pytest.raises((BadRequest, Refused)):
        counter.submit(ANA, notebook=name)
    submissions = counter.desk.state.settings.state_dir / "submissions"
    assert list(submissions.rglob("*")) == []
    assert counter.submit(ANA, notebook="sub/x.ipynb")["notebook"] == "sub/x.ipynb"


def test_a_service_opens_no_file_for_anybody(counter, tmp_path):
    (tmp_path / "a.ipynb").write_text("{}")
    for fds in ([], [os.open(tmp_path / "a.ipynb", os.O_RDONLY)], [os.memfd_create("x", os.MFD_ALLOW_SEALING)]):
        with pytest.raises(BadRequest, match="sealed memory"):
            counter.ask(ANA, m.SubmissionCreate(notebook="a.ipynb", workspace=str(tmp_path), key="x"), fds=fds)
        close_all(fds)
    assert counter.submit(ANA, text=b'{"a": 1}')["state"] == "submitted", "it waits for a station of hers"


def test_an_account_has_a_bound_on_its_unfinished_submissions(counter):
    for number in range(20):
        counter.submit(ANA, key=f"s{number}")
    with pytest.raises(LimitReached):
        counter.submit(ANA, key="one more")
    assert counter.submit(ANA, key="s3")["state"] == "submitted", "a repeated one is the same one"
    assert counter.submit(BEN, key="s1")["state"] == "submitted"
    with pytest.raises(Conflict, match="nothing of yours runs here"):
        counter.submit(BEN, key="d", draft=True)


def test_stations_are_bounded_too_and_work_for_their_own_account(counter):
    ours = []
    for _ in range(stations.MAX_STATIONS):
        one, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.append(one)
        counter.ask(ANA, work.StationOpen(), fds=[theirs.detach()])
    one, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, pytest.raises(LimitReached):
        counter.ask(ANA, work.StationOpen(), fds=[theirs.detach()])
    assert counter.submit(BEN)["state"] == "submitted", "ana's stations are not his"
    for one in ours:
        one.close()


def test_what_takes_too_long_is_said(counter, monkeypatch):
    async def never(state, request, fds):
        await asyncio.sleep(3600)

    monkeypatch.setitem(service.OPERATIONS, m.Budget, never)
    monkeypatch.setattr(m.Budget, "timeout_s", service.BEFORE_CLIENT_S + 0.05)
    with pytest.raises(GuardrailsError, match=r"control did not get budget done in 0\.05 s") as late:
        counter.ask(ANA, m.Budget())
    assert (late.value.status, late.value.code) == (503, "control_away")
    assert counter.ask(ANA, m.Me())["person"] == "ana"


class TestWaiting:
    """Connections without a whole request."""

    def fill(self, waiting, uid, count):
        task = asyncio.get_running_loop().create_task
        added = [(object(), task(asyncio.sleep(3600))) for _ in range(count)]
        for connection, one in added:
            waiting.add(connection, uid, one)
        return added

    def test_an_account_loses_its_own_oldest(self):
        async def body():
            waiting = Waiting()
            hers, his = self.fill(waiting, 1, 3), self.fill(waiting, 2, MAX_WAITING + 5)
            await asyncio.sleep(0)
            assert not any(task.cancelled() for _, task in hers)
            assert [task.cancelled() for _, task in his] == [True] * 5 + [False] * MAX_WAITING
            waiting.cancel_all()

        asyncio.run(body())

    def test_of_many_accounts_the_one_with_most_loses(self):
        async def body():
            waiting = Waiting()
            for uid in range(ALL_WAITING // MAX_WAITING):
                many = self.fill(waiting, uid, MAX_WAITING)
            one = self.fill(waiting, 99, 1)
            await asyncio.sleep(0)
            assert not one[0][1].cancelled()
            assert len(waiting.tasks) == ALL_WAITING
            assert not many[0][1].cancelled(), "the first account that has as many, not the last"
            waiting.cancel_all()

        asyncio.run(body())

    def test_a_flood_is_full_and_ends_with_its_connections(self):
        async def body():
            waiting = Waiting()
            talking = self.fill(waiting, 1, MAX_WAITING)
            for _ in range(MAX_AT_ONCE):
                (connection, task) = self.fill(waiting, 1, 1)[0]
                waiting.received(connection)
                talking.append((connection, task))
            for connection, _ in talking[:10]:
                waiting.received(connection)
            assert waiting.is_full(1)
            assert not waiting.is_full(2)
            for _, task in talking:
                task.cancel()
            await asyncio.gather(*(task for _, task in talking), return_exceptions=True)
            assert not waiting.is_full(1)

        asyncio.run(body())


def lingering():
    """A descriptor that takes seconds to close: the last one of a connection with data under way."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        sender = socket.create_connection(listener.getsockname())
        receiver, _ = listener.accept()
    sender.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            sender.send(b"x" * 65536)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 30))
    return sender.detach(), receiver


def test_descriptors_that_will_not_close_hold_up_nobody_but_their_account():
    held = [lingering() for _ in range(closing.MOST_HELD_UP)]
    before = set(threading.enumerate())
    context = closing.ACCOUNT.set(4711)
    try:
        started = time.monotonic()
        close_all([fd for fd, _ in held])
        assert time.monotonic() - started < 5, "each of them alone would have taken 30 s"
        until(lambda: closing.is_held_up(4711))
        assert not closing.is_held_up(4712)
    finally:
        closing.ACCOUNT.reset(context)
        for _, receiver in held:
            receiver.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
    assert not closing.is_held_up(4711)


def until(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_no_sealed_memory_is_not_read_from_a_mounter_or_station(counter, things):
    """The other end is any program of that account: it may send a file that never answers."""
    read_end, write_end = os.pipe()
    socket.send_fds(things.mounter, [b"memory"], [read_end])
    counter.desk.run(asyncio.sleep(0.05))
    assert counter.ask(ANA, m.Me())["person"] == "ana"
    os.close(read_end)
    with pytest.raises(BrokenPipeError):
        os.write(write_end, b"x")  # control has closed its copy
    os.close(write_end)


class TestPeers:
    """Principals from uids."""

    def test_an_account_is_its_name_and_a_uid_without_one_its_number(self):
        assert peers.account_of(0) == "root"
        assert peers.account_of(4_000_001) == "uid-4000001"
        assert system_groups("uid-4000001") == ()

    def test_the_kernel_says_who_is_there(self):
        mine, theirs = socket.socketpair()
        with mine, theirs:
            assert peers.uid_of(mine) == os.getuid()

    def test_a_name_of_two_uids_is_the_firsts(self, monkeypatch):
        entry = type("Entry", (), {})
        first, second = entry(), entry()
        first.pw_name = second.pw_name = "ana"
        first.pw_uid, second.pw_uid = 7, 8
        monkeypatch.setattr(peers.pwd, "getpwuid", {7: first, 8: second}.__getitem__)
        monkeypatch.setattr(peers.pwd, "getpwnam", lambda name: first)
        assert (peers.account_of(7), peers.account_of(8)) == ("ana", "uid-8")
        first.pw_name = "uid-9"
        with pytest.raises(Refused, match="has the name of an account without one"):
            peers.account_of(7)

    def test_a_directory_that_is_away_makes_nobody_a_stranger(self, monkeypatch):
        monkeypatch.setattr(peers._libc, "getpwuid_r", lambda *_: 5, raising=False)
        with pytest.raises(GroupsUnknown, match="does not tell who uid 4000001 is"):
            peers.account_of(4_000_001)
        assert peers.account_of(0) == "root"


class TestActivation:
    """What systemd does for it."""

    def test_a_folder_that_others_could_write_is_refused(self, tmp_path):
        tmp_path.chmod(0o777)
        shared = tmp_path / "run"
        activation.make_folder(shared)
        assert shared.stat().st_mode & 0o7777 == 0o755
        link = tmp_path / "link"
        link.symlink_to(shared)
        with pytest.raises(UnsafePlace):
            activation.make_folder(link)
        with pytest.raises(UnsafePlace, match="can't be made"):
            activation.make_folder(Path("/no/such/place"))
