"""One conversation a process: threads, forks, interruptions, a broker that goes away."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest


def test_threads_share_one_connection_and_get_their_own_answers(guarded):
    names = ["nyc/flights", "nyc/folder", "nyc/flights_csv"] * 30
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(guarded.path, names))
        connections = {result["connection"] for result, _ in pool.map(lambda _: guarded._sources.current().call("datasets.search", q=""), range(8))}
    assert found == [guarded.path(name) for name in names]
    assert len(connections) == 1


def test_a_forked_child_has_a_connection_of_its_own(guarded):
    def connection() -> int:
        return guarded._sources.current().call("datasets.search", q="")[0]["connection"]

    parents = connection()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write_end, str(connection()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    childs = int(os.read(read_end, 100))
    assert childs != parents
    assert connection() == parents


def test_a_fork_while_another_thread_talks_does_not_hang(guarded):
    talker = threading.Thread(target=lambda: guarded._sources.current().call("slow", seconds=1.0))
    talker.start()
    while not guarded._sources.current()._lock.locked():
        time.sleep(0.001)
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        os._exit(0 if guarded.path("nyc/flights") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    talker.join()


def test_an_answer_that_comes_too_late_is_never_given_to_the_next_question(guarded):
    with pytest.raises(guarded.Unavailable, match="does not answer"):
        guarded._sources.current().call("slow", seconds=0.5, timeout_s=0.05)
    assert guarded.path("nyc/flights").endswith("flights.parquet")


def test_an_unknown_question_is_an_error(guarded):
    with pytest.raises(guarded.GuardedError, match="unknown op nonsense"):
        guarded._sources.current().call("nonsense")


def test_a_broker_that_is_gone_is_said(guarded, monkeypatch):
    monkeypatch.setenv("GUARDRAILS_CHANNEL", "@nobody-listens-here")
    monkeypatch.setattr(guarded._sources, "_source", None)
    with pytest.raises(ConnectionError, match=r"does not answer[\s\S]*restart the kernel"):
        guarded.path("nyc/flights")


def test_a_dropped_connection_is_made_again(guarded):
    assert guarded.path("nyc/flights")
    guarded._sources.current()._socket.shutdown(2)
    assert guarded.path("nyc/flights")


def test_outside_kernels_and_jobs_the_error_says_where_to_go(kernel_environment):
    environment = {key: value for key, value in kernel_environment.items() if not key.startswith("GUARDRAILS_")}
    done = subprocess.run(
        [sys.executable, "-c", "import guarded; guarded.path('nyc/flights')"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "jupyter guardrails lab" in done.stderr
