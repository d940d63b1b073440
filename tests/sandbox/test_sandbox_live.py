"""Datasets that come and go in a sandbox that runs: what it reads, what it can't do with them, and orders that are not carried out."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from launch_bench import Launch, named
from sandbox_bench import PYTHON, has_user_namespaces, landlock_version

from jupyter_guardrails.sandbox import wire

PROGRAM = """
import os
while True:
    with open("ask") as ask: code = ask.read()
    if code == "end": break
    try: said = str(eval(code))
    except OSError as error: said = type(error).__name__ + " " + str(error.errno)
    with open("say", "w") as say: say.write(said)
"""
RACES = 100 if os.environ.get("GUARDRAILS_SOAK") else 10

pytestmark = pytest.mark.skipif(landlock_version() < 6 or not has_user_namespaces(), reason="needs Landlock 6 and user namespaces")


class Kernel:
    """A sandbox that evaluates what it is asked, and the orders about it."""

    def __init__(self, launch: Launch) -> None:
        self.launch, self.place = launch, launch.place
        self.work, self.folder = self.place / "w", launch.private / "data"
        (self.place / "onefile").write_text("also at the start")
        for name in ("ask", "say"):
            os.mkfifo(self.work / name)
        given = (self.place / "granted", self.place / "onefile")
        read = (str(self.folder), *map(str, given))
        launch.start(read=read, argv=[PYTHON, "-c", PROGRAM])
        warden = launch.process_behind_the_request()
        wire.send_in_memory(launch.ours, launch.order(warden, read=read, granted=tuple(map(named, given))))
        assert self.does("6 * 7") == "42"
        above = number_of(warden)
        self.process = os.pidfd_open(int(Path(f"/proc/{above}/task/{above}/children").read_text()))

    def does(self, code: str) -> str:
        (self.work / "ask").write_text(code)
        return (self.work / "say").read_text()

    def reads(self, path: object) -> str:
        return self.does(f"open({str(path)!r}).read()")

    def follow(self, live: dict[str, Path | dict[str, object]], *, own: tuple[Path, ...] = (), shut: tuple[Path, ...] = (), **changes: object):
        """The mounter's answer to an order by names."""
        wanted = [{"name": name, **(named(path) if isinstance(path, Path) else path)} for name, path in live.items()]
        body = {"folder": str(self.folder), "live": wanted, "own": [named(path) for path in own], "shut": [named(path) for path in shut]}
        return self.order(body | changes)

    def order(self, body: object, process: int | None = None) -> dict[str, object]:
        wire.send_in_memory(self.launch.orders, {"id": 9, "follow": body}, [self.process if process is None else process])
        answer, _ = wire.receive_in_memory(self.launch.orders)
        assert answer.pop("id") == 9
        return answer

    def end(self) -> None:
        (self.work / "ask").write_text("end")


def number_of(pidfd: int) -> int:
    return int(Path(f"/proc/self/fdinfo/{pidfd}").read_text().partition("Pid:")[2].split()[0])


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    launch = Launch(tmp_path_factory.mktemp("live"))
    (launch.place / "granted" / "table").write_text("at the start")
    made = Kernel(launch)
    yield made
    made.end()
    launch.close()


@pytest.fixture
def flights(kernel):
    """A dataset that nobody granted yet: a folder with a file and another folder."""
    place = kernel.place / "flights"
    (place / "2013").mkdir(parents=True)
    (place / "one.csv").write_text("AA,3")
    (place / "2013" / "two.csv").write_text("UA,5")
    yield place
    kernel.follow({})
    shutil.rmtree(place)


def test_what_is_granted_later_is_read_in_its_folder_and_gone_when_it_is_revoked(kernel, flights):
    shown = kernel.folder / "nyc" / "flights"
    assert kernel.reads(shown / "one.csv") == "FileNotFoundError 2"
    assert kernel.follow({"nyc/flights": flights}) == {"failed": {}}
    assert kernel.reads(shown / "one.csv") == "AA,3"
    assert kernel.reads(shown / "2013" / "two.csv") == "UA,5"
    assert kernel.reads(flights / "one.csv") == "FileNotFoundError 2"  # its place itself was not there at the start
    kernel.does("globals().__setitem__('kept', open('{}'))".format(shown / "one.csv"))
    assert kernel.follow({}) == {"failed": {}}
    assert kernel.reads(shown / "one.csv") == "FileNotFoundError 2"
    assert kernel.does("kept.read()") == "AA,3"  # what is open stays open
    assert not (kernel.folder / "nyc" / "flights").exists()  # nor is an empty folder left that looks like data


def test_a_folder_that_is_held_open_leads_no_further_once_it_is_taken_away(kernel, flights):
    kernel.follow({"nyc/flights": flights})
    for name, folder in (("held", kernel.folder / "nyc" / "flights"), ("first", kernel.place / "granted")):
        kernel.does(f"globals().__setitem__({name!r}, os.open({str(folder)!r}, os.O_RDONLY))")
    assert kernel.does("os.read(os.open('one.csv', os.O_RDONLY, dir_fd=held), 9)") == "b'AA,3'"
    assert kernel.does("os.read(os.open('table', os.O_RDONLY, dir_fd=first), 99)") == "b'at the start'"
    kernel.follow({}, shut=(kernel.place / "granted",))
    for code in ("os.open('one.csv', os.O_RDONLY, dir_fd=held)", "os.open('table', os.O_RDONLY, dir_fd=first)"):
        assert kernel.does(code) == "PermissionError 13"  # a walk up from there no longer ends at a root that Landlock knows
    kernel.follow({}, own=(kernel.place / "granted",))


def test_a_dataset_may_be_one_file(kernel, flights):
    assert kernel.follow({"one": flights / "one.csv"}) == {"failed": {}}
    assert kernel.reads(kernel.folder / "one") == "AA,3"
    assert kernel.follow({}) == {"failed": {}}
    assert kernel.reads(kernel.folder / "one") == "FileNotFoundError 2"


def test_an_order_says_what_is_to_be_there_so_it_may_come_twice_or_after_another_control(kernel, flights):
    both = {"a": flights, "b": flights / "one.csv"}
    assert kernel.follow(both) == kernel.follow(both) == {"failed": {}}
    assert kernel.follow({"b": flights / "one.csv"}) == {"failed": {}}
    assert kernel.does(f"os.listdir({str(kernel.folder)!r})") == "['b']"


def test_what_was_granted_at_the_start_goes_and_comes_back_at_its_own_place(kernel):
    granted = kernel.place / "granted"
    assert kernel.reads(granted / "table") == "at the start"
    assert kernel.follow({}, shut=(granted,)) == {"failed": {}}
    assert kernel.reads(granted / "table") == "PermissionError 13"
    assert kernel.does(f"os.listdir({str(granted)!r})") == "PermissionError 13"  # an empty folder would read as no data
    assert kernel.does(f"os.chmod({str(granted)!r}, 0o755)") == "OSError 30"
    assert kernel.follow({}, shut=(granted,)) == {"failed": {}}
    assert kernel.follow({}, own=(granted,)) == {"failed": {}}
    assert kernel.reads(granted / "table") == "at the start"


def test_one_file_of_the_start_is_not_an_empty_file_when_it_is_gone(kernel):
    file = kernel.place / "onefile"
    assert kernel.reads(file) == "also at the start"
    assert kernel.follow({}, shut=(file,)) == {"failed": {}}
    assert kernel.reads(file) == "PermissionError 13"
    assert kernel.follow({}, own=(file,)) == {"failed": {}}
    assert kernel.reads(file) == "also at the start"


def test_what_lies_in_a_folder_that_the_kernel_sees_anyway_is_told_to_stay(kernel):
    inside = kernel.work / "of one's own"
    inside.write_text("mine")
    answer = kernel.follow({}, shut=(inside,))
    assert "sees it as a part of a folder" in answer["failed"][str(inside)]
    assert kernel.reads(inside) == "mine"


def test_the_kernel_changes_nothing_in_there_and_gets_nowhere_from_it(kernel, flights):
    kernel.follow({"nyc/flights": flights})
    shown = kernel.folder / "nyc" / "flights"
    refused = ("PermissionError", "OSError 30", "OSError 16", "OSError 18")
    for code in (
        f"open('{shown}/one.csv', 'r+')",
        f"open('{shown}/new', 'w')",
        f"os.unlink('{shown}/one.csv')",
        f"os.rename('{shown}', '{kernel.folder}/other')",
        f"os.rename('{shown}/one.csv', '{kernel.work}/mine')",
        f"os.chmod('{shown}/one.csv', 0o666)",
        f"os.rmdir('{shown}')",
        f"os.mkdir('{kernel.folder}/new')",
        f"os.symlink('/etc', '{kernel.folder}/etc')",
        f"os.link('{shown}/one.csv', '{kernel.work}/linked')",
    ):
        assert kernel.does(code).startswith(refused), code
    assert kernel.reads(f"{shown}/../../../../../secret/key").startswith("FileNotFoundError")
    assert kernel.does(f"os.listdir('{kernel.folder}/..')") in (f"['{kernel.folder.name}']", "['data', 'tmp']", "['tmp', 'data']")
    mount = "__import__('ctypes').CDLL(None, use_errno=True).mount(b'{}', b'{}', None, 4096, None)"
    assert kernel.does(mount.format(kernel.work, shown)) == "-1"
    assert kernel.does(f"__import__('ctypes').CDLL(None).umount2(b'{shown}', 2)") == "-1"
    assert kernel.reads(shown / "one.csv") == "AA,3"  # and the twin of all of it


def test_a_set_user_id_program_and_a_device_in_a_dataset_are_only_files(kernel, flights):
    kernel.follow({"nyc/flights": flights})
    flags = kernel.does(f"os.statvfs('{kernel.folder}/nyc/flights').f_flag")
    assert int(flags) & (os.ST_RDONLY | os.ST_NOSUID | 4) == os.ST_RDONLY | os.ST_NOSUID | 4  # 4: ST_NODEV


@pytest.mark.parametrize("swap", ["another folder", "a link", "a link on the way"])
def test_a_place_that_was_swapped_since_the_decision_is_not_mounted(kernel, flights, swap):
    decided = {"nyc/flights": named(flights), "fine": named(flights / "one.csv")}
    if swap == "a link on the way":
        decided["nyc/flights"] = named(flights / "2013" / "two.csv")
        (flights / "2013").rename(flights / "moved")
        (flights / "2013").symlink_to("moved")
    else:
        moved = kernel.place / "moved"
        flights.rename(moved)
        flights.symlink_to(kernel.place / "secret") if swap == "a link" else flights.mkdir()
        decided["fine"] = named(moved / "one.csv")
    answer = kernel.follow(decided)
    (reason,) = answer["failed"].values()
    assert reason == "Too many levels of symbolic links" if "link" in swap else "another file" in reason
    assert kernel.does(f"os.path.exists('{kernel.folder}/nyc/flights')") == "False"
    assert kernel.reads(kernel.folder / "fine") == "AA,3"  # the others come
    if swap != "a link on the way":
        flights.unlink() if swap == "a link" else flights.rmdir()
        moved.rename(flights)


def test_a_dataset_that_was_written_anew_in_its_place_is_shown_anew(kernel, flights):
    kernel.follow({"one": flights / "one.csv"})
    (flights / "new").write_text("AA,4")
    (flights / "new").rename(flights / "one.csv")
    assert kernel.reads(kernel.folder / "one") == "AA,3"
    assert kernel.follow({"one": flights / "one.csv"}) == {"failed": {}}
    assert kernel.reads(kernel.folder / "one") == "AA,4"


@pytest.mark.parametrize("name", ["../tmp", "..", "", "a//b", "/etc", "a/../../tmp", "."])
def test_a_name_leads_nowhere_else(kernel, flights, name):
    assert "can't be the name of a folder" in kernel.follow({name: flights})["error"]


@pytest.mark.parametrize("folder", ["/etc", "k/0123abcd/tmp", "k/0123abcd/../0123abcd/data", "k/89abcdef/data", "w"])
def test_an_order_is_about_a_kernels_own_folder_only(kernel, flights, folder):
    (kernel.place / "k" / "89abcdef" / "data").mkdir(parents=True, exist_ok=True)  # of another kernel of the same server
    wanted = folder if folder.startswith("/") else str(kernel.place / folder)
    assert "error" in kernel.follow({"a": flights}, folder=wanted)
    assert "error" not in kernel.follow({"a": flights})


def test_an_order_about_another_process_than_a_kernel_is_refused(kernel, flights):
    body = {"folder": str(kernel.folder), "live": [{"name": "a", **named(flights)}], "own": [], "shut": []}
    for pid in (os.getpid(), kernel.launch.process.pid):
        pidfd = os.pidfd_open(pid)
        assert "error" in kernel.order(body, pidfd)
        os.close(pidfd)
    elsewhere = subprocess.Popen(["unshare", "-Urm", "sleep", "100"])
    try:
        pidfd = os.pidfd_open(elsewhere.pid)
        assert "error" in kernel.order(body, pidfd)
        os.close(pidfd)
    finally:
        elsewhere.kill()
        elsewhere.wait()
    assert kernel.order(body) == {"failed": {}}


def test_a_link_that_the_server_puts_into_the_folder_leads_no_mount_elsewhere(kernel, flights):
    (kernel.folder / "nyc").symlink_to("/dev/shm")  # the server writes there, the kernel doesn't
    answer = kernel.follow({"nyc/flights": flights})
    assert list(answer["failed"]) == [str(kernel.folder / "nyc" / "flights")]
    assert kernel.does("os.listdir('/dev/shm')") == "[]"
    (kernel.folder / "nyc").unlink()
    assert kernel.follow({"nyc/flights": flights}) == {"failed": {}}


def test_one_that_cannot_be_had_keeps_no_other_away_and_takes_nothing_with_it(kernel, flights):
    gone = named(flights) | {"path": str(kernel.place / "never")}
    answer = kernel.follow({"a": gone, "b": flights, "c/d": flights, "c": flights / "2013"})
    assert answer["failed"] == {str(kernel.folder / "a"): "No such file or directory", str(kernel.folder / "c"): "Directory not empty"}
    assert kernel.reads(kernel.folder / "b" / "one.csv") == kernel.reads(kernel.folder / "c" / "d" / "one.csv") == "AA,3"


def test_a_kernel_that_hides_from_others_of_its_account_keeps_nothing_by_that(kernel, flights):
    """PR_SET_DUMPABLE 0: nobody of the same account may look into it, but whoever owns its user namespace may."""
    kernel.follow({"nyc/flights": flights})
    assert kernel.does("__import__('ctypes').CDLL(None).prctl(4, 0, 0, 0, 0)") == "0"
    assert kernel.follow({}) == {"failed": {}}
    assert kernel.reads(kernel.folder / "nyc" / "flights" / "one.csv") == "FileNotFoundError 2"
    assert kernel.follow({"nyc/flights": flights}) == {"failed": {}}
    assert kernel.reads(kernel.folder / "nyc" / "flights" / "one.csv") == "AA,3"
    kernel.does("__import__('ctypes').CDLL(None).prctl(4, 1, 0, 0, 0)")


@pytest.mark.soak
def test_grants_and_revocations_in_turn_never_leave_more_than_the_last_order_says(kernel, flights):
    shown = kernel.folder / "nyc" / "flights" / "one.csv"
    for _ in range(RACES):
        kernel.follow({"nyc/flights": flights})
        assert kernel.reads(shown) == "AA,3"
        kernel.follow({})
        assert kernel.reads(shown) == "FileNotFoundError 2"


def test_a_kernel_that_is_killed_is_no_order_and_the_next_is_carried_out(tmp_path, kernel, flights):
    launch = Launch(tmp_path)
    other = Kernel(launch)
    assert other.follow({"a": flights}) == {"failed": {}}
    assert kernel.does(f"os.path.exists({str(other.folder)!r})") == "False"
    signal.pidfd_send_signal(other.process, signal.SIGKILL)
    select.select([other.process], [], [], 30)  # until it has ended
    assert "error" in other.follow({"b": flights})
    assert kernel.follow({"b": flights}) == {"failed": {}}
    launch.close()
