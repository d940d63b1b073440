"""Masked data over a kernel's real channel: streams, copies, previews; a worker that dies, readers that go or stall, and what never leaks."""

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from channel_world import Served
from scan_world import ROWS, SECRETS, Kernel, guarded, links, shows_nothing

from jupyter_guardrails.control import broker_process, datasets, scans, views
from jupyter_guardrails.control.interface import receive_frame, send_frame
from jupyter_guardrails.control.interface.messages import DatasetShow, DatasetsSearch


@pytest.fixture(scope="module")
def world(masked_world):
    return masked_world


@pytest.fixture(scope="module")
def served(world, loop):
    served = Served(world, loop, datasets={"nyc/flights": str(world.data / "nyc/flights.parquet")})
    yield served.name
    served.close()


@pytest.fixture
def kernel(served):
    return Kernel(served)


def test_a_scan_is_masked_filtered_and_recorded(world, kernel):
    found, end = kernel.table("nyc/people", columns=["name", "email", "salary", "note"])
    assert found["name"].to_pylist() == ["Ada", "Bob"]
    assert found["salary"].null_count == 2
    assert found["note"].to_pylist() == ["***", "***"]
    assert end == {"rows": 2}
    shows_nothing(found.to_pylist())
    record = world.audited("data.read")[-1]
    assert record["reason"].startswith("version 1.2.0, columns name, email, salary, note, masked email hash, salary blank, note constant")
    assert kernel.table("nyc/flights")[0].num_rows == 50  # what has no masks is scanned as it is


@pytest.mark.parametrize(
    "probe", ["email = 'ada@example.com'", "salary > 90000", "note = 'Analytical Engine'", [["email", "in", ["ada@example.com"]]], "region = 'US'"]
)
def test_a_readers_filter_sees_nothing_behind_masks_and_rows(kernel, probe):
    assert kernel.table("nyc/people", filter=probe)[1] == {"rows": 0}
    assert kernel.table("nyc/people", filter="name = 'Ada'")[1] == {"rows": 1}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"filter": "name = 'x' or 1=1; drop table people"}, "bad_request"),
        ({"filter": "name like '%a%'"}, "bad_request"),
        ({"filter": {"$where": "1"}}, "bad_request"),
        ({"filter": "salary > {user.name}"}, "bad_request"),
        ({"columns": ["email", "ghost"]}, "bad_request"),
        ({"columns": []}, "bad_request"),
        ({"limit": -1}, "bad_request"),
        ({"format": "parquet"}, "bad_request"),
        ({"place": {"kind": "files", "path": "/etc/passwd"}}, "bad_request"),
        ({"masks": {}}, "bad_request"),
    ],
)
def test_what_is_no_scan_is_refused_before_anything_is_read(kernel, asked, code):
    error, fds = kernel.ask("datasets.scan", name="nyc/people", **asked)
    assert (error["code"], fds) == (code, [])
    assert kernel.table("nyc/people", limit=1)[1] == {"rows": 1}


def test_a_scan_that_cannot_be_recorded_gives_nothing_out(world, kernel, loop):
    """It had begun when that came out; its worker sees that nobody reads, and is free for the next one."""
    kernel.table("nyc/streamed")
    journal = world.records.sinks.journal._records
    real, journal._file = journal._file, open("/dev/full", "wb", buffering=0)  # noqa: SIM115 - closed below
    try:
        for _ in range(broker_process.AT_ONCE + 1):
            error, fds = kernel.ask("datasets.scan", name="nyc/streamed")
            assert error["code"] in ("records_unwritable", "audit_away")
            assert fds == []
    finally:
        journal._file.close()
        journal._file, journal._torn_at = real, None
    assert kernel.table("nyc/streamed")[1] == {"rows": 50}


def test_an_error_in_the_stream_is_told_at_its_end(kernel):
    found, end = kernel.table("nyc/people", filter="email > 5")
    assert found is None
    assert "cannot be compared with a number" in end["message"]
    error, _ = kernel.ask("datasets.scan_end", scan="scan-of-somebody-else")
    assert error["code"] == "not_found"


def test_the_file_behind_a_mask_is_not_given_out(world, kernel):
    state = world.state()
    assert set(asyncio.run(datasets.grants_at_start(state, state.effective(), world.now))) == {"nyc/flights"}
    said, fds = kernel.ask("datasets.path", name="nyc/people")
    assert (said["readable"], fds) == (False, [])
    assert "masked" in said["message"]
    assert "guarded.open('nyc/people').to_pandas()" in said["next_step"]
    assert str(world.data) not in str(said)
    told, _ = kernel.ask("explain", path=str(world.data / "people.parquet"))
    assert "guarded.open('nyc/people')" in told["message"]
    error, fds = kernel.ask("datasets.open", name="nyc/streamed")
    assert (error["code"], fds) == ("refused", [])
    assert kernel.ask("datasets.path", name="nyc/flights")[0]["readable"] is True


def test_a_copy_holds_nothing_that_is_masked(world, kernel):
    """Neither rows nor Parquet's statistics, dictionaries and metadata: no byte of it."""
    said, (fd,) = kernel.ask("datasets.open", name="nyc/people")
    with open(fd, "rb") as file:
        data = file.read()
        with pytest.raises(OSError):
            os.pwrite(fd, b"x", 0)
    assert (said["size"], said["format"], said["path"]) == (len(data), "parquet", "dataset://nyc/people")
    raw = (world.data / "people.parquet").read_bytes()
    assert [secret for secret in SECRETS if secret.encode() in raw] == list(SECRETS)  # the twin: there they are found
    assert [secret for secret in SECRETS if secret.encode() in data] == []
    found = pq.read_table(pa.BufferReader(data))
    assert found["name"].to_pylist() == ["Ada", "Bob"]
    meta = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(0)
    statistics = {meta.column(number).path_in_schema: meta.column(number).statistics for number in range(meta.num_columns)}
    assert not statistics["salary"].has_min_max
    assert (statistics["note"].min, statistics["name"].max) == ("***", "Bob")


def test_a_copy_is_made_once_and_anew_when_anything_changes(world, kernel, served):
    folder = world.state().settings.state_dir / views.FOLDER

    def inode():
        _, (fd,) = kernel.ask("datasets.open", name="nyc/people")
        with open(fd, "rb") as file:
            return os.fstat(file.fileno()).st_ino

    first = inode()
    assert inode() == first
    for path in folder.glob("*.parquet"):
        path.unlink()
    asked = [Kernel(served) for _ in range(6)]
    for one in asked:
        send_frame(one.socket, {"v": 1, "id": 7, "op": "datasets.open", "args": {"name": "nyc/people"}})
    opened = [receive_frame(one.socket)[1][0] for one in asked]
    assert len({os.fstat(fd).st_ino for fd in opened}) == 1
    for fd in opened:
        os.close(fd)
    before = len(list(folder.glob("*")))
    os.utime(world.data / "people.parquet", ns=(1, 1))
    inode()
    assert len(list(folder.glob("*"))) == before + 1
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o400}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_copies_are_bounded_and_what_is_too_large_leaves_nothing(world, kernel):
    state, folder = world.state(), world.state().settings.state_dir / views.FOLDER
    kernel.ask("datasets.open", name="nyc/people")
    state.views.most_bytes = 100
    try:
        os.utime(world.data / "people.parquet", ns=(2, 2))
        error, fds = kernel.ask("datasets.open", name="nyc/people")
        assert (error["code"], fds) == ("workspace_full", [])
        assert not list(folder.glob("*.part"))
    finally:
        state.views.most_bytes = views.MOST_BYTES
    assert kernel.ask("datasets.open", name="nyc/people")[0]["format"] == "parquet"


def test_a_purpose_has_to_be_one_of_the_contracts(world, kernel):
    for purpose in ({}, {"purpose": "fun"}):
        error, _ = kernel.ask("datasets.open", name="nyc/bound", **purpose)
        assert error["code"] == "refused"
        assert "churn, audit only" in error["message"]
        assert "purpose='churn'" in error["next_step"]
    said, fds = kernel.ask("datasets.open", name="nyc/bound", purpose="audit")
    assert said["size"]
    os.close(fds[0])
    assert "purpose 'audit'" in world.audited("data.read")[-1]["reason"]
    assert kernel.table("nyc/bound", purpose="churn")[1] == {"rows": 50}


def test_previews_search_and_schema_show_masks_and_no_values(world, loop):
    shown = loop.run(datasets.show(world.state(), DatasetShow(name="nyc/people"), []))
    assert shown["preview"]["columns"] == list(ROWS)
    assert [row[0] for row in shown["preview"]["rows"]] == ["Ada", "Bob"]
    assert [row[4] for row in shown["preview"]["rows"]] == ["***", "***"]
    masks = {column["name"]: column["mask"] for column in shown["schema"]}
    assert masks == {"name": "", "email": "hash", "salary": "blank", "region": "", "note": "constant"}
    assert shown["path"] is None
    assert "to_pandas" in shown["snippets"]["pandas"]
    shows_nothing(shown)
    found = loop.run(datasets.search(world.state(), DatasetsSearch(q="Analytical"), []))
    assert found["total"] == 0
    assert loop.run(datasets.search(world.state(), DatasetsSearch(q="people"), []))["total"] == 1


def test_what_is_bound_to_a_purpose_has_no_preview_and_what_is_not_has_one(world, loop):
    shown = {name: loop.run(datasets.show(world.state(), DatasetShow(name=name), []))["preview"] for name in ("nyc/bound", "nyc/flights")}
    assert shown["nyc/bound"] is None
    assert shown["nyc/flights"]["rows"]


def worker(world):
    return world.state().brokers.of("ana")


def test_the_worker_shows_nobody_its_memory_and_holds_no_secret_of_control(world, kernel):
    kernel.table("nyc/people")
    pid = worker(world).pid
    assert worker_secret(world) not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert os.stat(f"/proc/{pid}/fd").st_uid == 0  # of a process that is not dumpable, whatever its account
    if os.getuid() != 0:  # of the very same account
        for hidden in ("environ", "maps", "fd/0"):
            with pytest.raises(PermissionError):
                os.close(os.open(f"/proc/{pid}/{hidden}", os.O_RDONLY))
        with pytest.raises(PermissionError):
            os.listdir(f"/proc/{pid}/fd")
        assert os.listdir(f"/proc/{os.getpid()}/fd")  # the twin: one's own can be listed
        return
    variables = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"GUARDRAILS" not in variables
    assert worker_secret(world) not in variables
    outsider = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "ls"]
    assert subprocess.run([*outsider, f"/proc/{pid}/fd"], capture_output=True).returncode != 0
    assert subprocess.run([*outsider, "/proc/self/fd"], capture_output=True).returncode == 0
    deadline = time.monotonic() + 20
    while any(str(world.root) in link for link in links(pid)):  # files are closed beside the conversation: no event tells
        assert time.monotonic() < deadline, links(pid)
        time.sleep(0.02)


def worker_secret(world):
    return (world.state().settings.state_dir / "mask.salt").read_bytes().hex().encode()


def test_the_salt_is_controls_alone_and_stays(world, kernel):
    path = world.state().settings.state_dir / "mask.salt"
    assert (path.stat().st_mode & 0o777, path.stat().st_size) == (0o600, 32)
    first = kernel.table("nyc/people")[0]["email"].to_pylist()
    assert kernel.table("nyc/people")[0]["email"].to_pylist() == first


def test_a_worker_that_dies_is_told_and_replaced(world, kernel):
    said, fds = kernel.ask("datasets.scan", name="nyc/big")
    with open(fds[0], "rb") as file:
        file.read(1 << 16)
        os.kill(worker(world).pid, signal.SIGKILL)
        file.read()
    end, _ = kernel.ask("datasets.scan_end", scan=said["scan"])
    assert "ended in the middle of this scan" in end["message"]
    assert kernel.table("nyc/big", limit=70_000)[1] == {"rows": 70_000}


def test_a_reader_that_goes_ends_its_scan_and_one_that_stalls_too(world, kernel, monkeypatch):
    said, fds = kernel.ask("datasets.scan", name="nyc/big")
    os.read(fds[0], 1)
    os.close(fds[0])
    end, _ = kernel.ask("datasets.scan_end", scan=said["scan"])
    assert "the reader has gone" in end["message"]
    monkeypatch.setattr(scans, "STALL_S", 0.05)
    said, fds = kernel.ask("datasets.scan", name="nyc/big")
    end, _ = kernel.ask("datasets.scan_end", scan=said["scan"])
    assert "nothing was read from this scan" in end["message"]
    os.close(fds[0])


def test_more_scans_than_may_run_are_refused_until_one_ends(kernel, monkeypatch):
    monkeypatch.setattr(broker_process, "WAIT_S", 0.2)
    open_ones = [kernel.ask("datasets.scan", name="nyc/big") for _ in range(broker_process.AT_ONCE)]
    error, _ = kernel.ask("datasets.scan", name="nyc/flights")
    assert error["code"] == "limit_reached"
    for said, fds in open_ones:
        os.close(fds[0])
        kernel.ask("datasets.scan_end", scan=said["scan"])
    assert kernel.table("nyc/flights")[1] == {"rows": 50}


def test_what_does_not_fit_the_workers_memory_is_a_sentence_and_the_worker_lives(world, loop, kernel):
    path, broker = world.data / "huge.parquet", worker(world)
    pq.write_table(pa.table({"origin": ["x" * (100 << 20)], "delay": [1]}), path)
    world.dataset("nyc/huge", path=path, own={"delivery": "brokered"})
    loop.run(broker.stop())
    broker.memory_bytes = 224 << 20
    assert kernel.table("nyc/flights")[1] == {"rows": 50}
    pid, broker.memory_bytes = broker.pid, broker_process.MEMORY_BYTES
    _, end = kernel.table("nyc/huge")
    assert "larger than the broker's memory" in end["message"]
    assert "fewer columns" in end["next_step"]
    assert kernel.table("nyc/huge", columns=["delay"])[1] == {"rows": 1}
    assert worker(world).pid == pid
    loop.run(broker.stop())


def test_a_scan_of_much_data_needs_little_memory(world, kernel):
    """Peak resident memory of the worker, which the kernel keeps count of: two million rows in one row group, in pieces."""
    path = world.data / "one.parquet"
    numbers = list(range(2_000_000))
    pq.write_table(pa.table({"origin": [f"airport {number}" for number in numbers], "delay": numbers}), path, row_group_size=2_000_000)
    world.dataset("nyc/one", path=path, schema=[{"name": "one", "properties": [{"name": "origin"}, {"name": "delay", "classification": "pii"}]}])
    assert kernel.table("nyc/one")[1] == {"rows": 2_000_000}
    peak_kib = next(line for line in Path(f"/proc/{worker(world).pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    assert int(peak_kib.split()[1]) < 300_000


def test_an_idle_worker_ends_and_the_next_scan_starts_another(world, loop, kernel):
    broker = worker(world)
    kernel.table("nyc/flights")
    before, running = broker.pid, broker._running
    broker.idle_s = 0.0
    kernel.table("nyc/flights")
    loop.run(asyncio.wait({running}, timeout=30))
    assert running.done()
    broker.idle_s = broker_process.IDLE_S
    assert kernel.table("nyc/flights")[1] == {"rows": 50}
    assert broker.pid != before
    assert not Path(f"/proc/{before}").exists()


def test_who_comes_in_the_moment_in_which_a_worker_is_let_go_gets_another_one(world, loop, kernel):
    broker = worker(world)
    kernel.table("nyc/flights")
    before = broker.pid

    async def both():
        broker._retire()
        return await (await broker.begin({"do": "hello"}, ()))

    assert loop.run(both()) == {}
    assert broker.pid != before


def test_the_client_reads_streams_and_copies_with_what_an_environment_has(served):
    printed = guarded(
        served,
        """
        import json, guarded
        people = guarded.open("nyc/people")
        out = {"copy": people.to_pandas(columns=["name", "email"]).shape, "scan": people.scan(filter="name = 'Ada'").read_all().num_rows}
        out["polars"] = (people.to_polars(columns=["name"]).shape, guarded.open("nyc/streamed").to_polars().shape[0] > 10)
        streamed = guarded.open("nyc/streamed")
        out["streamed"] = len(streamed.to_pandas(columns=["delay"], filter=[["delay", "<", 10]]))
        import pandas
        out["fsspec"] = len(pandas.read_parquet("dataset://nyc/people"))
        for name, call in {"path": lambda: guarded.path("nyc/people"), "file": streamed.file, "purpose": lambda: guarded.open("nyc/bound")}.items():
            try:
                call()
            except guarded.GuardedError as error:
                out[name] = str(error)
        out["bound"] = guarded.open("nyc/bound", purpose="churn").to_arrow().num_rows
        try:
            streamed.scan(filter="delay = 'x'")
        except guarded.GuardedError as error:
            out["error"] = str(error)
        print(json.dumps(out))
        """,
    )
    out = json.loads(printed)
    assert (out["copy"], out["scan"], out["streamed"], out["fsspec"], out["bound"]) == ([2, 2], 1, 10, 2, 50)
    assert out["polars"] == [[2, 1], True]
    assert "guarded.open('nyc/people').to_pandas()" in out["path"]
    assert "has no file" in out["file"]
    assert "churn, audit only" in out["purpose"]
    assert "cannot be compared with a text" in out["error"]
    shows_nothing(printed)


def test_an_environment_without_pyarrow_reads_csv(served, tmp_path):
    out = guarded(
        served,
        f"""
        import guarded
        people = guarded.open("nyc/people")
        print([row["name"] for row in people.rows(columns=["name"])])
        print(open(people.to_csv_file({str(tmp_path / "p.csv")!r}, columns=["name", "note"], limit=1)).read())
        try:
            people.scan()
        except ImportError as error:
            print(error)
        """,
        blocked=("pyarrow", "pandas"),
    )
    assert out.splitlines()[:3] == ["['Ada', 'Bob']", '"name","note"', '"Ada","***"']
    assert "no pyarrow" in out
    assert os.listdir(tmp_path) == ["p.csv"]


def test_a_truncated_stream_never_looks_whole(served, world):
    """The worker dies between two batches, which Arrow itself takes for an end."""
    Kernel(served).table("nyc/flights")  # there is a worker
    out = guarded(
        served,
        f"""
        import os, signal, guarded
        rows, reader = 0, guarded.open("nyc/big").scan()
        try:
            for batch in reader:
                if not rows:
                    os.kill({worker(world).pid}, signal.SIGKILL)
                rows += batch.num_rows
            print("whole", rows)
        except guarded.GuardedError as error:
            print("broken", error)
        print(guarded.open("nyc/big").scan(columns=["delay"]).read_all().num_rows)
        """,
    )
    assert out.startswith("broken the data broker ended in the middle of this scan")
    assert out.splitlines()[-1] == "2000000"
