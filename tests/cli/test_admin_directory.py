"""A real /etc/jupyter/guardrails, in a mount namespace of the test's own: whatever an ordinary account says, the admin's policy is in force.

Each test has its twin where the folder doesn't exist, and what the person says counts.
"""

import grp
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
import requests
import urllib3
from ports import free_port

from jupyter_guardrails.policy import load

pytestmark = pytest.mark.slow  # left out of `make test-fast`

ROOT = os.getuid() == 0
OTHER = pwd.getpwnam("nobody") if ROOT else pwd.getpwuid(os.getuid())  # the ordinary account
TOKEN = "token-of-the-test-server"
ADMINS = """\
apiVersion: guardrails/v1
mode: enforce
rules:
  - name: the-admins
    for: everyone
    kernels: {max: 2}
"""
THEIRS = ADMINS.replace("the-admins", "their-own").replace("enforce", "observe").replace("max: 2", "max: 99")
# Starts control as a launcher that lies about its settings would, and says what it serves.
CONTROL = """
import json, os, sys
from dataclasses import replace
from pathlib import Path
from jupyter_guardrails.cli.connection import settings_from
from jupyter_guardrails.control.interface import start_own_control
from jupyter_guardrails.control.interface.messages import Me
theirs = Path(sys.argv[1])
settings = settings_from(os.environ)
lies = replace(settings, policy_path=theirs / "theirs.yaml", state_dir=theirs / "s", control_socket=theirs / "s" / "c.sock")
own = start_own_control(lies)
print(json.dumps(own.client.call(Me()) | {"socket": own.client.socket_path}))
own.stop()
"""
# Binds a copy of /etc and the test's own /etc/jupyter over the machine's, then becomes the command; $1 and $2 are those folders.
SET_UP = 'mount --bind "$1" /etc && mount --bind "$2" /etc/jupyter && shift 2 && exec "$@"'
AS_ROOT = ["unshare", "--mount"]
AS_ACCOUNT = ["unshare", "--user", "--map-root-user", "--mount"]
BECOME = (
    ["setpriv", f"--reuid={OTHER.pw_uid}", f"--regid={OTHER.pw_gid}", "--clear-groups"]
    if ROOT
    else ["unshare", "--user", f"--map-user={OTHER.pw_uid}", f"--map-group={OTHER.pw_gid}"]
)


class Machine:
    """What `/etc/jupyter` holds, and commands of an ordinary account that see it there."""

    set_up = SET_UP

    def __init__(self, root, etc):
        self.etc, self.jupyter, self.home = etc, root / "jupyter", root / "home"
        self.admins, self.theirs = self.jupyter / "guardrails", self.home / "theirs.yaml"
        for folder in (self.jupyter, self.home, self.home / "cat"):
            folder.mkdir(mode=0o755)
        self.theirs.write_text(THEIRS)
        if ROOT:
            subprocess.run(["chown", "-R", f"{OTHER.pw_uid}:{OTHER.pw_gid}", str(self.home)], check=True)

    def decide(self):
        """The admin makes the folder, with a policy and a catalogue."""
        (self.admins / "catalog").mkdir(parents=True)
        (self.admins / "guardrails.yaml").write_text(ADMINS)

    def command(self, *command):
        """A command line that runs as the account, in the namespace."""
        return [*(AS_ROOT if ROOT else AS_ACCOUNT), "sh", "-c", self.set_up, "sh", str(self.etc), str(self.jupyter), *BECOME, *command]

    def environment(self):
        """Every variable that names something of the person's own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GUARDRAILS_", "XDG_", "JUPYTER_"))}
        theirs = {"GUARDRAILS_POLICY": str(self.theirs), "GUARDRAILS_CATALOG": str(self.home / "cat"), "GUARDRAILS_STATE_DIR": str(self.home / "s")}
        return {**kept, "HOME": str(self.home), "JUPYTER_TOKEN": TOKEN, **theirs}

    def run(self, *arguments):
        """The ended process of a Python command line."""
        command = self.command(sys.executable, *arguments)
        return subprocess.run(command, env=self.environment(), cwd=self.home, capture_output=True, text=True, check=False)

    def guardrails(self, *arguments):
        """What `jupyter guardrails …` prints, as a value."""
        done = self.run("-m", "jupyter_guardrails", *arguments)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def etc(tmp_path_factory):
    """A copy of /etc with an empty folder `jupyter`; what the account may not read stays away."""
    copy = tmp_path_factory.mktemp("etc") / "etc"
    subprocess.run(["cp", "-a", "/etc", str(copy)], capture_output=True, check=False)
    (copy / "jupyter").mkdir(exist_ok=True)
    probe = Machine(Path(tempfile.mkdtemp(prefix="ga-", dir="/tmp")), copy)
    os.chmod(probe.home.parent, 0o755)
    tried = probe.run("-c", "import jupyter_guardrails, os; assert os.path.isdir('/etc/jupyter')")
    shutil.rmtree(probe.home.parent)
    if tried.returncode != 0:
        pytest.skip(f"needs root, or user namespaces, and a checkout that other accounts can read: {tried.stderr[-200:]}")
    return copy


@pytest.fixture
def machine(etc):
    """A machine whose admin has decided nothing yet."""
    with tempfile.TemporaryDirectory(prefix="ga-", dir="/tmp") as made:
        os.chmod(made, 0o755)
        yield Machine(Path(made), etc)


@pytest.fixture(params=[True, False], ids=["admin's", "self-chosen"])
def decided(request, machine):
    """Whether the admin has decided; and the policy that must be in force then."""
    if request.param:
        machine.decide()
    return request.param, machine.admins / "guardrails.yaml" if request.param else machine.theirs


def test_doctor_says_who_decides(machine, decided):
    by_admin, policy = decided
    report = machine.guardrails("doctor", "--json")
    assert report["policy_in_force"]["digest"] == load(policy).digest
    assert report["self_chosen"] is not by_admin
    ignored = f"GUARDRAILS_POLICY is set to {machine.theirs} and does not count: /etc/jupyter/guardrails decides"
    assert (ignored in report["settings"]["ignored"]) is by_admin
    assert ("GUARDRAILS_POLICY" in report["settings"]["decided_by"]) is not by_admin
    assert report["state"] == str(machine.home / (".local/state/jupyter-guardrails" if by_admin else "s"))


def test_policy_commands_read_the_policy_in_force(machine, decided):
    by_admin, policy = decided
    assert machine.guardrails("policy", "check", "--json")["digest"] == load(policy).digest
    values = {line["key"]: line["value"] for line in machine.guardrails("policy", "explain", "--user=ana", "--json")["values"]}
    assert values["kernels.max"] == (2 if by_admin else 99)


def test_control_serves_it_whatever_it_is_started_with(machine, decided):
    by_admin, policy = decided
    done = machine.run("-c", CONTROL, str(machine.home))
    assert done.returncode == 0, done.stderr
    me = json.loads(done.stdout)
    assert me["policy"]["digest"] == load(policy).digest
    assert me["boundary"].startswith("Self-chosen policy") is not by_admin
    assert me["socket"] == str(machine.home / (".local/state/jupyter-guardrails/control.sock" if by_admin else "s/c.sock"))
    assert (f"--policy is set to {machine.theirs} and does not count" in done.stderr) is by_admin


def test_a_server_with_traits_of_its_own_serves_it(machine, decided):
    by_admin, policy = decided
    with served(machine, f"--Guardrails.policy_path={machine.theirs}", f"--Guardrails.state_dir={machine.home / 's2'}") as url:
        me = requests.get(f"{url}guardrails/me", headers={"Authorization": f"token {TOKEN}"}, timeout=60).json()
    assert me["policy"]["digest"] == load(policy).digest
    assert me["boundary"].startswith("Self-chosen policy") is not by_admin
    assert (machine.home / "s2").exists() is not by_admin


def test_a_folder_of_files_is_the_admins_policy_too(machine):
    (machine.admins / "policy.d").mkdir(parents=True)
    (machine.admins / "policy.d" / "10-first.yaml").write_text(ADMINS)
    report = machine.guardrails("doctor", "--json")
    assert report["policy"] == "/etc/jupyter/guardrails/policy.d"
    assert report["policy_in_force"]["digest"] == load(machine.admins / "policy.d").digest


def closed(machine):
    machine.decide()
    machine.jupyter.chmod(0)


def not_to_be_entered(machine):
    machine.decide()
    machine.admins.chmod(0o644)


def two(machine):
    machine.decide()
    (machine.admins / "policy.d").mkdir()


STILL_THE_AUTHORITY = {
    "a closed folder above": (closed, "Permission denied"),
    "a folder that can't be entered": (not_to_be_entered, "Permission denied"),
    "a link that leads nowhere": (lambda machine: machine.admins.symlink_to("/mnt/gone"), "is a link that leads nowhere"),
    "a plain file": (lambda machine: machine.admins.touch(), "is not a folder"),
    "two policies": (two, "which of them is the policy?"),
}


@pytest.mark.parametrize(("make", "sentence"), STILL_THE_AUTHORITY.values(), ids=STILL_THE_AUTHORITY)
@pytest.mark.parametrize("command", [("doctor",), ("policy", "check"), ("control",)], ids=" ".join)
def test_what_cannot_be_used_never_counts_as_absent(machine, make, sentence, command):
    make(machine)
    done = machine.run("-m", "jupyter_guardrails", *command)
    machine.jupyter.chmod(0o755)
    assert (done.returncode, sentence in done.stderr) == (2, True), done.stderr
    assert "/etc/jupyter" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not ROOT, reason="needs root: the admin's files belong to another account")
class TestWhoCouldChangeIt:
    """The governed account's view of the admin's files."""

    def warned(self, machine):
        report = machine.guardrails("doctor", "--json")
        return {warning["what"]: warning for warning in report["warnings"]}, report["boundary"]

    def test_the_admins_files_are_nobody_elses(self, machine):
        machine.decide()
        warned, boundary = self.warned(machine)
        assert not {"policy", "catalogue", "server configuration"} & set(warned)
        if "installation" not in warned:  # of the machine that runs this
            assert boundary.startswith("This account can't change the policy")
        with pytest.raises(PermissionError):
            self.write_as_account(machine)

    @pytest.mark.parametrize(
        ("mode", "group", "how"),
        [(0o666, 0, "it is writable for everyone"), (0o664, OTHER.pw_gid, f"group {grp.getgrgid(OTHER.pw_gid).gr_name} may write it")],
        ids=["everyone", "group"],
    )
    def test_a_file_that_the_account_may_write_is_named(self, machine, mode, group, how):
        machine.decide()
        policy = machine.admins / "guardrails.yaml"
        os.chown(policy, 0, group)
        policy.chmod(mode)
        warned, boundary = self.warned(machine)
        assert warned["policy"]["how"] == how
        name = "/etc/jupyter/guardrails/guardrails.yaml"
        assert warned["policy"]["next_step"] == f"chown root:root {name} && chmod 644 {name}"
        assert boundary.startswith("An account that can write the policy")
        self.write_as_account(machine)

    def test_what_a_read_only_mount_holds_cannot_be_changed(self, machine):
        machine.decide()
        os.chown(machine.admins / "guardrails.yaml", OTHER.pw_uid, OTHER.pw_gid)
        assert self.warned(machine)[0]["policy"]["how"] == "you own it"
        machine.set_up = SET_UP.replace("&& shift", "&& mount -o remount,bind,ro /etc/jupyter && shift")
        assert "policy" not in self.warned(machine)[0]
        with pytest.raises(PermissionError):
            self.write_as_account(machine)

    def write_as_account(self, machine):
        """Open the policy for writing, in the account's place."""
        program = "import os\ntry: os.close(os.open('/etc/jupyter/guardrails/guardrails.yaml', os.O_RDWR))\nexcept OSError as e: raise SystemExit(9)"
        if machine.run("-c", program).returncode == 9:
            raise PermissionError


class served:
    """A started Jupyter Server of the account; gives its address, ends it after the block."""

    def __init__(self, machine, *arguments):
        port = free_port()
        command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
        command += [f"--ServerApp.root_dir={machine.home / 'cat'}", "--ServerApp.jpserver_extensions={'jupyter_guardrails': True}", *arguments]
        self.url, self.lines, self.ready = f"http://127.0.0.1:{port}/", [], threading.Event()
        self.process = subprocess.Popen(
            machine.command(*command), env=machine.environment(), cwd=machine.home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if "is running at" in line:
                self.ready.set()
        self.ready.set()

    def __enter__(self):
        assert self.ready.wait(90), "".join(self.lines)
        assert self.process.poll() is None, "".join(self.lines)
        with requests.Session() as session:  # the line comes shortly before the port listens
            session.mount("http://", requests.adapters.HTTPAdapter(max_retries=urllib3.Retry(total=30, connect=30, backoff_factor=0.05)))
            session.get(f"{self.url}api", timeout=30)
        return self.url

    def __exit__(self, *exception):
        self.process.terminate()
        self.process.wait(30)
        self.reader.join(30)


def test_the_demo_does_not_play_where_an_admin_has_decided(machine):
    machine.decide()
    done = machine.run("-m", "jupyter_guardrails", "demo", "--set-up-only")
    assert done.returncode == 1
    assert "this machine has an admin's policy, /etc/jupyter/guardrails/guardrails.yaml" in done.stderr
    assert not (machine.home / ".demo").exists()
