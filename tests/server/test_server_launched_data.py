"""Access that comes and goes while kernels run, under the launcher: Python, its children, bash and a terminal read it by path, then no longer."""

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from server_processes import children_of, command, descendants, leads_a_session
from server_terminal import Terminal
from uv import find_uv_bin

POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
admins: {users: [PERSON]}
profiles:
  small: {memory: 1GiB, cpus: 1}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], default: small, max: 10, terminals: small}
    data: {read: ["nyc/*"], request: ["hr/*"], auto_grant: {classification: [internal], max_days: 30}}
"""
GUIDE = Path(__file__).parents[2] / "docs" / "scientists.md"
R_LINE = 'read.csv(file.path(Sys.getenv("GUARDRAILS_DATA"), "hr/salaries"))'
ROUNDS = 100 if os.environ.get("GUARDRAILS_SOAK") else 10
WITHIN_S = 10.0  # what docs promise is 2 s; machines that test are busy


def policy_for(account):
    """Its own admin: the commands of these tests are that account's."""
    return POLICY.replace("PERSON", account.pw_name)


@pytest.fixture(scope="module")
def shelf():
    """A folder for JUPYTER_PATH with a bash kernel in an environment of its own, where the package index is within reach of this account."""
    folder = Path(tempfile.mkdtemp(prefix="gb-", dir="/tmp"))
    folder.chmod(0o755)
    python = str(folder / "env" / "bin" / "python")
    subprocess.run([find_uv_bin(), "venv", "-q", "--python", "/usr/bin/python3", str(folder / "env")], check=True)
    installed = subprocess.run([find_uv_bin(), "pip", "install", "-q", "--python", python, "bash_kernel"], check=False).returncode == 0
    (folder / "kernels" / "bash").mkdir(parents=True)
    spec = {"argv": [python, "-m", "bash_kernel", "-f", "{connection_file}"], "display_name": "Bash", "language": "bash", "env": {"PS1": "$"}}
    if installed:
        (folder / "kernels" / "bash" / "kernel.json").write_text(json.dumps(spec))
    if shutil.which("Rscript") and subprocess.run(["Rscript", "-e", "library(IRkernel)"], capture_output=True, check=False).returncode == 0:
        (folder / "kernels" / "r").mkdir()
        argv = ["R", "--slave", "-e", "IRkernel::main()", "--args", "{connection_file}"]
        (folder / "kernels" / "r" / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "R", "language": "R"}))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def launched(make_server, server, shelf):
    """Of the same account as the shared one."""
    account = server.account.pw_name if server.account.pw_uid != os.getuid() else None
    launcher = ("jupyter_guardrails", "server")
    return make_server(account=account, policy=policy_for(server.account), module=launcher, environment={"JUPYTER_PATH": str(shelf)}).wait_ready()


@pytest.fixture(scope="module")
def kernel(launched):
    return launched.start_kernel()


def as_its_account(server, *arguments):
    """The words and the environment of a Python of the server's account."""
    become = ["setpriv", f"--reuid={server.account.pw_uid}", f"--regid={server.account.pw_gid}", "--clear-groups"]
    names = {"GUARDRAILS_POLICY": server.policy, "GUARDRAILS_CATALOG": server.root / "catalog", "GUARDRAILS_STATE_DIR": server.state}
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(server.root / "home"), **{k: str(v) for k, v in names.items()}}
    return [*(become if server.account.pw_uid != os.getuid() else []), sys.executable, *arguments], environment


def guardrails(server, *arguments):
    """What `jupyter guardrails …` of the server's account prints."""
    words, environment = as_its_account(server, "-m", "jupyter_guardrails", *arguments)
    done = subprocess.run(words, env=environment, cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def revoking(server):
    """A process of the server's account that stays: it revokes what it is told, one after the other. The command line would start anew for each."""
    program = """
import os, sys
from jupyter_guardrails.cli.connection import connected
from jupyter_guardrails.control.interface.decisions import GrantRevoke
with connected(os.environ) as client:
    for line in sys.stdin:
        print(client.call(GrantRevoke(id=line.strip(), reason="the study is over"))["dataset"], flush=True)
"""
    words, environment = as_its_account(server, "-c", program)
    with subprocess.Popen(words, env=environment, cwd="/", text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:

        def revoke_one(request):
            process.stdin.write(f"{request}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        yield revoke_one
        process.stdin.close()


def revoke(server):
    (grant,) = set(re.findall(r"g-r-\w+", guardrails(server, "data", "requests")))
    return guardrails(server, "data", "revoke", grant, "--reason", "the study is over")


def within(what, *, until):
    """What it is once it is so, or at the end of our patience: control does this by itself, each second."""
    deadline = time.monotonic() + WITHIN_S
    while not until(found := what()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


GONE = re.compile("No such file|[Pp]ermission denied")  # the place itself stays, shut, where the kernel was started with it
SALARIES = "os.environ['GUARDRAILS_DATA'] + '/hr/salaries'"
READ = f"import os, subprocess\nprint(open({SALARIES}).read().split()[1])"
ASK = "import guarded\nasked = guarded.request('hr/salaries', purpose='a study of pay', days=5)['state']\n"


@pytest.fixture
def granted(launched, kernel):
    """Asked for in the kernel that runs, granted at once, and taken back at the end."""
    assert kernel.run(ASK + "print(asked)").strip() == "granted"
    yield
    if "g-r-" in guardrails(launched, "data", "requests"):
        revoke(launched)


def audited(server, action, kernel):
    records = map(json.loads, (server.state / "audit.jsonl").read_text().splitlines())
    return [(record["resource"], record["allowed"]) for record in records if (record["action"], record["kernel"]) == (action, kernel.id)]


def test_what_is_granted_at_once_is_read_by_path_in_the_same_cell(launched, kernel):
    assert "FileNotFoundError" in kernel.run(READ)
    assert kernel.run(ASK + "print(asked, open(guarded.path('hr/salaries')).readline())").split() == ["granted", "carrier,flights"]
    revoke(launched)


def test_it_is_gone_within_seconds_once_it_is_revoked_and_what_is_open_stays_open(launched, kernel, granted):
    assert kernel.run(f"{READ}\nkept = open({SALARIES})").strip() == "AA,3"
    assert "may no longer read hr/salaries" in revoke(launched)
    assert "FileNotFoundError" in within(lambda: kernel.run(READ), until=lambda said: "FileNotFoundError" in said)
    assert "not allowed" not in kernel.run("print(kept.read())")
    assert kernel.run("kept.seek(0); print(kept.readline())").strip().endswith("carrier,flights")
    said = kernel.run(f"import guarded.explain\ntry: open({SALARIES})\nexcept OSError as error: print(guarded.explain.explanation(error))")
    assert "hr/salaries" in said
    assert "guarded.request('hr/salaries'" in said
    assert ("hr/salaries", True) in audited(launched, "data.read", kernel)
    revoked = within(lambda: audited(launched, "data.revoke", kernel), until=lambda found: ("hr/salaries", True) in found)
    assert ("hr/salaries", True) in revoked  # recorded once it is done


def test_children_pandas_style_paths_and_the_files_own_place(launched, kernel, granted):
    assert (
        kernel.run("import subprocess\nprint(subprocess.check_output('sed -n 2p $GUARDRAILS_DATA/hr/salaries', shell=True, text=True))").strip()
        == "AA,3"
    )
    worker = "from concurrent.futures import ProcessPoolExecutor as Pool\nimport guarded\n"
    worker += "def read(name): return open(guarded.path(name)).read().split()[1]\n"
    kernel.run(f"from pathlib import Path\nPath('reading.py').write_text({worker!r})")
    assert kernel.run("import reading\nwith reading.Pool(1) as pool: print(*pool.map(reading.read, ['hr/salaries']))").strip() == "AA,3"
    place = launched.root / "data" / "salaries.csv"
    explain = f"import guarded.explain\ntry: open({str(place)!r})\nexcept OSError as error: print(guarded.explain.explanation(error))"
    assert re.search(r"hr/salaries was granted after this kernel started: it is at /\S+/data/hr/salaries in this kernel", kernel.run(explain))


@pytest.fixture(params=["terminal", "bash kernel"])
def shell(request, launched, shelf, granted):
    """Started when the dataset was granted already."""
    if request.param == "bash kernel" and not (shelf / "kernels" / "bash" / "kernel.json").exists():
        pytest.skip("needs bash_kernel, and the package index is out of this account's reach")
    started = Terminal(launched) if request.param == "terminal" else launched.start_kernel("bash")
    yield started
    started.stop()


def test_a_terminal_and_a_bash_kernel_read_it_and_read_it_no_longer(launched, kernel, shell):
    """They were started with it, and so lose the dataset's own place."""
    revoke(launched)
    words = "sed -n 2p $GUARDRAILS_DATA/hr/salaries"
    gone = within(lambda: shell.run(words), until=GONE.search)
    assert GONE.search(gone), gone
    assert "ermission denied" in shell.run(f"cat {launched.root}/data/salaries.csv")
    kernel.run(ASK)
    back = within(lambda: shell.run(words), until=lambda said: "AA,3" in said)
    assert "AA,3" in back
    assert "AA,3" in shell.run(f"cat {launched.root}/data/salaries.csv")


def test_a_policy_that_changes_gives_and_takes_while_a_kernel_runs(launched, kernel):
    flights = "print(open(os.environ['GUARDRAILS_DATA'] + '/nyc/flights').read().split()[1])"
    assert kernel.run(f"import os\n{flights}").strip() == "AA,3"
    launched.policy.write_text(policy_for(launched.account).replace("nyc/*", "hr/*"))
    assert "PermissionError" in within(lambda: kernel.run(flights), until=lambda said: "Error" in said)
    assert within(lambda: kernel.run(READ), until=lambda said: "AA" in said).strip() == "AA,3"
    launched.policy.write_text(policy_for(launched.account))
    assert within(lambda: kernel.run(flights), until=lambda said: "AA" in said).strip() == "AA,3"
    assert "FileNotFoundError" in within(lambda: kernel.run(READ), until=lambda said: "FileNotFoundError" in said)


def test_a_suspension_takes_it_and_its_end_gives_it_back_at_the_same_place(launched, kernel):
    flights = "print(open(os.environ['GUARDRAILS_DATA'] + '/nyc/flights').read().split()[1])"
    assert kernel.run(f"import os\n{flights}").strip() == "AA,3"
    assert "gone for them within seconds" in guardrails(launched, "suspend", "dataset", "nyc/flights", "--reason", "wrong rows, ticket 7")
    assert "PermissionError" in within(lambda: kernel.run(flights), until=lambda said: "Error" in said)
    guardrails(launched, "suspend", "lift", "dataset", "nyc/flights", "--reason", "mended")
    assert within(lambda: kernel.run(flights), until=lambda said: "AA" in said).strip() == "AA,3"


def test_break_glass_gives_it_to_what_runs_and_its_end_takes_it(launched, kernel):
    for_me = ("break-glass", "dataset", "hr/salaries", "--for", "30m", "--reason", "payroll is down, ticket 99", "--json")
    given = json.loads(guardrails(launched, *for_me))
    assert within(lambda: kernel.run(READ), until=lambda said: "AA" in said).strip() == "AA,3"
    guardrails(launched, "break-glass", "end", given["id"])
    assert "FileNotFoundError" in within(lambda: kernel.run(READ), until=lambda said: "FileNotFoundError" in said)


def test_a_grant_whose_days_are_over_is_gone_from_what_runs(launched, kernel):
    assert kernel.run(ASK + READ).strip() == "AA,3"
    with contextlib.closing(sqlite3.connect(launched.state / "records.sqlite")) as records, records:
        shorter = "update grants set expires_at = granted_at where revoked_at is null"  # the clock is the machine's
        assert records.execute(shorter).rowcount == 1
    assert "FileNotFoundError" in within(lambda: kernel.run(READ), until=lambda said: "FileNotFoundError" in said)


def test_a_control_that_was_killed_goes_on_and_takes_what_was_revoked(launched, kernel, granted):
    assert kernel.run(READ).strip() == "AA,3"
    (control,) = [pid for pid in descendants(launched.process.pid) if "\0control\0--die-with-parent" in command(pid)]
    os.kill(control, signal.SIGKILL)
    assert within(lambda: kernel.run("import guarded; print(guarded.path('hr/salaries'))"), until=lambda said: said.startswith("/"))
    assert kernel.run(READ).strip() == "AA,3"
    revoke(launched)
    assert "FileNotFoundError" in within(lambda: kernel.run(READ), until=lambda said: "FileNotFoundError" in said)


def test_a_shell_reads_it_as_the_guide_says(launched, kernel, granted):
    if not GUIDE.exists():
        pytest.skip("the documentation is not beside these tests")
    line = re.search(r"`(head [^`]*)` in a terminal", GUIDE.read_text()).group(1).replace("hr/headcount", "hr/salaries")
    run = f"import subprocess\nprint(subprocess.run({line!r}, shell=True, capture_output=True, text=True))"
    assert "carrier,flights" in kernel.run(run)
    revoke(launched)
    assert "No such file" in within(lambda: kernel.run(run), until=lambda said: "No such file" in said)


@pytest.mark.skipif(not shutil.which("Rscript"), reason="Rscript is not on this machine")
def test_r_reads_it_as_the_guide_says(launched, kernel, granted):
    """Its line, in a script that a kernel starts; the twin is the line in a kernel to which it was not given."""
    line = re.search(r"`(read\.csv\(.*?\))` in R", GUIDE.read_text()).group(1).replace("hr/headcount", "hr/salaries") if GUIDE.exists() else R_LINE
    script = f"import subprocess\nprint(subprocess.run(['Rscript', '-e', {f'cat({line}$flights)'!r}], capture_output=True, text=True))"
    assert "stdout='3 5'" in kernel.run(script)
    revoke(launched)
    assert "cannot open file" in within(lambda: kernel.run(script), until=lambda said: "cannot open" in said)


def test_an_r_kernel_reads_it_and_reads_it_no_longer(launched, kernel, granted, shelf):
    if not (shelf / "kernels" / "r" / "kernel.json").exists():
        pytest.skip("IRkernel is not on this machine")
    started = launched.start_kernel("r")
    try:
        assert started.run(f"cat({R_LINE}$flights)").strip() == "3 5"
        assert "cannot open" in started.run(f"readLines({str(launched.root / 'elsewhere' / 'secret.txt')!r})")
        revoke(launched)
        assert "cannot open" in within(lambda: started.run(f"cat({R_LINE}$flights)"), until=lambda said: "cannot open" in said)
    finally:
        started.stop()


@pytest.mark.soak
def test_grants_and_revocations_in_turn_in_one_kernel_that_runs(launched, kernel):
    """What is open from a round before stays readable, what is new is as the last decision says, and nothing piles up."""
    mounts = "print(len(open('/proc/self/mounts').readlines()), len(os.listdir('/proc/self/fd')))"
    kernel.run("import os, guarded\nguarded.datasets()  # its connection\nkept = []")
    before = kernel.run(mounts)
    with revoking(launched) as revoke_one:
        for number in range(ROUNDS):
            assert "FileNotFoundError" in kernel.run(READ), number
            request = kernel.run("print(guarded.request('hr/salaries', purpose='study of pay', days=5)['id'])").strip()
            assert kernel.run(f"kept[:] = [*kept[-1:], open({SALARIES})]\n{READ}").strip() == "AA,3", number
            assert revoke_one(request) == "hr/salaries"
            gone = within(lambda: kernel.run(READ), until=lambda said: "FileNotFoundError" in said)
            assert "FileNotFoundError" in gone, number
            assert kernel.run("for file in kept: file.seek(0); print(file.read().split()[1])").split() == ["AA,3"] * min(number + 1, 2)
    kernel.run("for file in kept: file.close()")
    assert kernel.run(mounts) == before


def test_a_restarted_kernel_has_it_from_its_start(launched, granted):
    kernel = launched.start_kernel()
    kernel.restart()
    assert kernel.run_when_back(READ).strip() == "AA,3"
    assert audited(launched, "data.read", kernel).count(("nyc/flights", True)) == 2  # of each start
    kernel.stop()


def test_the_kernel_changes_nothing_there_and_names_no_other_kernels_folder(launched, kernel, granted):
    other = launched.start_kernel()
    folder = other.run("import os; print(os.environ['GUARDRAILS_DATA'])").strip()
    assert "FileNotFoundError" in kernel.run(f"os.listdir({folder!r})")
    for code in (
        f"open({SALARIES}, 'a')",
        f"os.unlink({SALARIES})",
        f"os.rename({SALARIES}, 'mine')",
        "os.symlink('/', os.environ['GUARDRAILS_DATA'] + '/x')",
    ):
        assert re.search(r"PermissionError|OSError: \[Errno (16|18|30)\]", kernel.run(code)), code
    assert kernel.run(READ).strip() == "AA,3"
    other.stop()


def test_without_its_mounter_a_kernel_is_told_to_read_another_way(make_server, launched):
    account = launched.account.pw_name if launched.account.pw_uid != os.getuid() else None
    server = make_server(account=account, policy=policy_for(launched.account)).wait_ready()  # plain `jupyter server`, which nobody launched
    kernel = server.start_kernel()
    said = kernel.run(ASK + "print(asked)\nguarded.path('hr/salaries')")
    assert "granted" in said
    assert "this machine can't show it to a kernel that runs" in said
    assert "guarded.open('hr/salaries'), or restart the kernel" in said
    assert kernel.run("print(guarded.open('hr/salaries').read().split()[1].decode())").strip() == "AA,3"
    kernel.restart()
    assert kernel.run_when_back("import guarded; print(open(guarded.path('hr/salaries')).read().split()[1])").strip() == "AA,3"
    kernel.stop()


def test_control_knows_from_the_mounter_what_a_launched_kernel_writes(launched, kernel):
    """Also of one that was made ready ahead: its root was ordered under the lease before it."""
    second = launched.start_kernel()
    with contextlib.closing(sqlite3.connect(launched.state / "records.sqlite")) as records:
        rows = records.execute("select kernel_id, report from leases where state = 'active' and kind = 'kernel'").fetchall()
    found = {name: json.loads(report).get("written") for name, report in rows}
    assert (found[kernel.id], found[second.id]) == ([str(launched.workspace)], [str(launched.workspace)])
    second.stop()


def test_a_place_that_became_a_link_before_the_start_is_not_shown(launched, tmp_path):
    place = launched.root / "data" / "flights.csv"
    place.rename(place.with_name("moved.csv"))
    place.symlink_to(launched.root / "elsewhere" / "secret.txt")
    kernel = launched.start_kernel()
    for path in (str(place), str(launched.root / "elsewhere" / "secret.txt")):
        assert re.search("FileNotFoundError|PermissionError", kernel.run(f"print(open({path!r}).read())"))
    place.unlink()
    place.with_name("moved.csv").rename(place)
    assert within(lambda: kernel.run("import guarded; print(open(guarded.path('nyc/flights')).read())"), until=lambda said: "AA" in said)
    kernel.stop()


def test_what_cannot_be_taken_since_the_mounter_was_killed_is_told_in_the_record(launched, kernel, granted):
    """The last one of this server: nothing starts any more in it."""
    assert kernel.run(READ).strip() == "AA,3"
    before = len(audited(launched, "data.revoke", kernel))
    (mounter,) = [pid for pid in children_of(launched.process.pid) if leads_a_session(pid) and "launch.py" not in command(pid)]
    os.kill(mounter, signal.SIGKILL)
    revoke(launched)
    told = within(lambda: audited(launched, "data.revoke", kernel)[before:], until=bool)
    assert told == [("hr/salaries", False)]
    assert kernel.run(READ).strip() == "AA,3"  # as the record says
