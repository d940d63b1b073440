"""The start made ahead: taken by the next kernel like the last one, left by any other, gone with its server."""

import os
import select
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from server_processes import command

PATIENCE_S = 20


def parents():
    """Process -> parent, of everything on this machine."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def shims(server):
    """(shim, whether it waits for a program) of each that this server started: with a program, its inner process has a child."""
    known = parents()
    children = {pid: [child for child, parent in known.items() if parent == pid] for pid in known}
    found = {}
    for pid in children.get(server.process.pid, ()):
        with suppress(OSError):
            if b"launch.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                inner = children.get(pid, [])
                found[pid] = bool(inner) and not children.get(inner[0])
    return found


def wait_for_spare(server, other_than=0):
    """The shim that waits for a program."""
    deadline = time.monotonic() + PATIENCE_S
    while not (waiting := [pid for pid, waits in shims(server).items() if waits and pid != other_than]):
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.05)
    return waiting[0]


def start_after(server, waiting):
    """Kernels, the last of which found the spare ready: one that comes while its place is still being made starts without it."""
    kernels = [server.start_kernel()]
    if shims(server).get(waiting):
        kernels.append(server.start_kernel())
    return kernels


def test_the_next_kernel_takes_it_and_is_as_any_other(server):
    first = server.start_kernel()
    waiting = wait_for_spare(server)
    *others, second = start_after(server, waiting)
    assert shims(server)[waiting] is False
    assert wait_for_spare(server) != waiting
    assert second.run("import os; print(os.getcwd())").strip() == str(server.workspace)
    assert "AA,3" in second.run("print(open(os.environ['GUARDRAILS_DATA'] + '/nyc/flights').read())")
    assert "FileNotFoundError" in second.run(f"open({str(server.secret / 'secret.txt')!r})")
    folders = {kernel.run("import os; print(os.environ['TMPDIR'])") for kernel in (first, second)}
    assert len(folders) == 2
    second.restart()
    assert second.run("print(6 * 7)").strip() == "42"
    for kernel in (first, *others, second):
        assert kernel.stop().status_code == 204


def test_one_that_does_not_fit_is_left(server):
    text = server.policy.read_text()
    first = server.start_kernel()
    waiting = wait_for_spare(server)
    server.policy.write_text(text + "\npaths: {read: [/opt]}\n")
    os.utime(server.policy, (1, 1))  # older than a file that is still being written
    *others, second = start_after(server, waiting)
    assert waiting not in shims(server)
    assert second.run("print(6 * 7)").strip() == "42"
    server.policy.write_text(text)
    os.utime(server.policy, (2, 2))
    for kernel in (first, *others, second):
        kernel.stop()


def test_one_that_was_killed_is_not_missed(server):
    first = server.start_kernel()
    waiting = wait_for_spare(server)
    ended = os.pidfd_open(waiting)
    os.kill(waiting, signal.SIGKILL)
    select.select([ended], [], [], PATIENCE_S)
    os.close(ended)
    second = server.start_kernel()
    assert second.run("print(6 * 7)").strip() == "42"
    for kernel in (first, second):
        kernel.stop()


def test_it_ends_with_its_server(make_server):
    server = make_server().wait_ready()
    server.start_kernel()
    everyone = {wait_for_spare(server), *shims(server)}
    assert len(everyone) == 2
    server.process.kill()
    server.process.wait()
    deadline = time.monotonic() + PATIENCE_S
    while any(command(pid) for pid in everyone):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_one_kernel_found_out_about_fonts_is_there_in_the_next(server):
    first = server.start_kernel()
    wait_for_spare(server)
    place = "__import__('os').environ['MPLCONFIGDIR'] + '/fontlist-v0.json'"
    first.run(f"import os; os.makedirs(os.environ['MPLCONFIGDIR']); open({place}, 'w').write('{{}}')")
    second = server.start_kernel()
    assert second.run(f"print(open({place}).read())").strip() == "{}"
    for kernel in (first, second):
        kernel.stop()


def test_it_waits_until_no_cell_runs(server):
    began, enough = server.workspace / "began", server.workspace / "enough"
    first = server.start_kernel()
    spare = wait_for_spare(server)
    cell = "import os, time; open('began', 'w').close()\nwhile not os.path.exists('enough'): time.sleep(0.05)"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(first.run, cell)
        deadline = time.monotonic() + PATIENCE_S
        while not began.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        others = start_after(server, spare)  # takes what was there
        time.sleep(1.5)  # nothing tells that nothing is made
        waiting = [pid for pid, waits in shims(server).items() if waits]
        enough.touch()
        running.result()
    assert waiting == []
    wait_for_spare(server)
    for kernel in (first, *others):
        kernel.stop()
