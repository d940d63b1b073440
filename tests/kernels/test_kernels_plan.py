"""From an admission and a kernelspec to the sandbox's specification: pure, so tested as values."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_guardrails.control.interface import Admission
from jupyter_guardrails.control.interface.messages import Forward
from jupyter_guardrails.kernels import plan
from jupyter_guardrails.sandbox.handover import prepare

WORKSPACE = Path("/srv/ana/work")
KERNEL_DIR = Path("/tmp/gr-1/k/ab12")


def admission(**changes):
    base = {
        "lease": "L1",
        "principal": "ana",
        "policy_digest": "d",
        "profile": "small",
        "rule": "guardrails.yaml:3 everyone",
        "mode": "enforce",
        "memory_bytes": 1 << 30,
        "cpus": 2.5,
        "tasks": 100,
        "shm_bytes": 1 << 26,
    }
    return Admission(**{**base, **changes})


def make(environ=None, argv=("/opt/env/bin/python", "-m", "ipykernel_launcher"), own=None, changes=None, **arguments):
    return plan.make_spec(
        admission(**(changes or {})),
        argv=argv,
        env=environ or {},
        own=own or {},
        cwd=str(WORKSPACE),
        workspace=WORKSPACE,
        kernel_dir=KERNEL_DIR,
        **arguments,
    )


def test_only_the_allow_list_of_the_environment_passes():
    environ = {"LANG": "de_DE.UTF-8", "LC_TIME": "C", "TZ": "UTC", "JUPYTER_TOKEN": "t", "LD_PRELOAD": "x", "SSL_CERT_FILE": "/ca", "HOME": "/root"}
    env = make(environ, changes={"env_pass": ["SSL_CERT_FILE"]}).env
    assert {"LANG", "LC_TIME", "TZ", "SSL_CERT_FILE"} <= set(env)
    assert not {"JUPYTER_TOKEN", "LD_PRELOAD"} & set(env)
    assert env["HOME"] == str(WORKSPACE)


def test_the_path_starts_at_the_interpreter():
    assert make({"PATH": "/root/bin"}).env["PATH"] == "/opt/env/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


def test_a_kernelspec_sets_variables_for_its_kernel_but_not_ours():
    own = {"MINE": "${LANG}!", "PYTHONPATH": "/opt/more", "HOME": "/etc", "GUARDRAILS_CHANNEL": "@other", "TMPDIR": "/"}
    env = make({"LANG": "C"}, own=own, channel="mine").env
    assert env["MINE"] == "C!"
    assert env["PYTHONPATH"] == f"{plan.CLIENT_DIR}:/opt/more"
    assert (env["HOME"], env["GUARDRAILS_CHANNEL"], env["TMPDIR"]) == (str(WORKSPACE), "@mine", str(KERNEL_DIR / "tmp"))


def test_the_policy_has_the_last_word_over_the_kernelspec():
    assert make(own={"HTTPS_CA": "/mine"}, changes={"env_set": {"HTTPS_CA": "/company.pem"}}).env["HTTPS_CA"] == "/company.pem"


@pytest.mark.parametrize(("cpus", "threads"), [(0.5, "1"), (1, "1"), (2.5, "2"), (8, "8")])
def test_thread_pools_follow_the_processors(cpus, threads):
    env = make(changes={"cpus": cpus}).env
    assert {env[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "ARROW_IO_THREADS")} == {
        threads
    }


def test_the_proxy_is_in_the_environment_exactly_when_there_is_one():
    assert make().env["HTTPS_PROXY"] == "http://127.0.0.1:3128"
    assert "localhost" in make().env["no_proxy"]
    without = make(netless_port=None)
    assert "HTTPS_PROXY" not in without.env
    assert without.proxy_port is None


def test_what_may_be_read_and_written():
    changes = {"read_paths": ["/opt/shared"], "write_paths": ["/scratch/ana"], "datasets": {"nyc/flights": "/data/flights.parquet"}}
    spec = make(changes=changes, read=["/opt/env", "/usr"])
    assert {
        "/usr",
        "/etc",
        "/sys/fs/cgroup",
        "/opt/env",
        "/opt/shared",
        "/data/flights.parquet",
        str(KERNEL_DIR / "data"),
        str(KERNEL_DIR / "config"),
        str(plan.CLIENT_DIR),
    } <= set(spec.read)
    private = {str(KERNEL_DIR / name) for name in ("c", "tmp", "state", "config/migrated")}
    assert set(spec.write) == private | {str(WORKSPACE), "/dev/shm", "/scratch/ana"}
    assert len(spec.read) == len(set(spec.read))


def test_limits_requirements_and_devices_are_the_admissions():
    spec = make(changes={"require": ["files"], "devices": ["/dev/nvidia0"], "file_size_bytes": 5})
    assert (spec.limits.memory_bytes, spec.limits.cpus, spec.limits.tasks, spec.limits.file_size_bytes) == (1 << 30, 2.5, 100, 5)
    assert spec.require == ("files",)
    assert {"/dev/null", "/dev/nvidia0"} <= set(spec.devices)
    assert spec.network == "none"


@pytest.mark.parametrize(
    ("argv", "safe"),
    [
        (["/opt/env/bin/python3.12", "-m", "ipykernel_launcher"], True),
        (["/opt/start.sh", "python", "-m", "ipykernel_launcher"], True),
        (["/usr/bin/R", "--slave"], False),
    ],
)
def test_a_python_starts_without_the_notebooks_folder_on_its_path(argv, safe):
    assert ("PYTHONSAFEPATH" in plan.kernel_start_variables(argv)) is safe


def test_where_a_kernel_starts(tmp_path):
    workspace = tmp_path / "ws"
    (workspace / "sub").mkdir(parents=True)
    (workspace / "out").symlink_to(tmp_path)
    inside, outside = str(workspace / "sub"), str(workspace)
    cases = {
        None: outside,
        inside: inside,
        str(tmp_path): outside,
        str(workspace / "out"): outside,
        str(workspace / "none"): outside,
        f"{inside}/../..": outside,
    }
    assert {asked: plan.working_folder(asked, workspace) for asked in cases} == cases


@pytest.mark.parametrize(
    ("session", "notebook"),
    [
        ("", None),
        ("/srv/ana/work/a/b.ipynb", "a/b.ipynb"),
        ("a/b.ipynb", "a/b.ipynb"),
        ("/etc/x.ipynb", None),
        ("../x.ipynb", None),
        ("/srv/ana/workshop/x.ipynb", None),
    ],
)
def test_which_notebook_a_session_means(session, notebook):
    assert plan.relative_to_workspace(session, WORKSPACE) == notebook


FORWARDS = [Forward(address="127.64.0.1", host="db.example.com", port=5432), Forward(address="127.64.0.2", host="git.example.com", port=22)]


def test_approved_places_without_http_get_listeners_and_a_hosts_file():
    spec = make(changes={"forwards": FORWARDS})
    assert spec.forwards == (("127.64.0.1", 5432), ("127.64.0.2", 22))
    assert spec.covers == ((str(KERNEL_DIR / "hosts"), "/etc/hosts"),)
    assert (make().forwards, make().covers) == ((), ())


@pytest.mark.parametrize(
    "why", [{"changes": {"forwards": FORWARDS, "observed": ["network"]}}, {"changes": {"forwards": FORWARDS}, "netless_port": None}]
)
def test_with_the_machine_s_network_or_none_at_all_there_are_no_listeners(why):
    spec = make(**why)
    assert (spec.forwards, spec.covers) == ((), ())


def test_a_place_made_ahead_for_other_listeners_does_not_fit():
    spec = make(changes={"forwards": FORWARDS})
    with contextlib.closing(prepare(spec)) as ahead:
        assert ahead.fits(replace(spec, argv=("/bin/true",)))
        assert not ahead.fits(make(changes={"forwards": FORWARDS[:1]}))
        assert not ahead.fits(make())


def test_an_account_of_a_directory_has_files_of_its_own():
    hosts = (str(KERNEL_DIR / "hosts"), "/etc/hosts")
    account = ((str(KERNEL_DIR / "passwd"), "/etc/passwd"), (str(KERNEL_DIR / "group"), "/etc/group"))
    assert make(unlisted=True).covers == account
    assert make(unlisted=True, changes={"forwards": FORWARDS}).covers == (hosts, *account)
