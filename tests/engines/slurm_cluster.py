"""A real Slurm cluster of one node, in a folder of the test's own, with its own munge; all of it ends with the block. Needs root and slurm-wlm."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ports import free_port

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
PATIENCE_S = 60.0
CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge.sock,cred_expire=5
CredType=cred/munge
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherParams=OverMemoryKill
JobAcctGatherFrequency=task=1
MpiDefault=none
ReturnToService=2
KillWait=2
MessageTimeout={patience_s}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=3000 State=UNKNOWN
PartitionName=prod Nodes={host} Default=YES MaxTime=UNLIMITED State=UP
PartitionName=short Nodes={host} MaxTime=1 State=UP
"""


def why_not() -> str:
    """Why there can be none here; empty where there can."""
    if os.getuid() != 0:
        return "needs root: slurmd starts jobs as their accounts"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"needs Slurm (apt-get install slurm-wlm): {missing[0]} is not here" if missing else ""


@contextlib.contextmanager
def running(within: Callable[..., list[str]] = lambda *command: list(command)) -> Iterator[Path]:
    """The cluster's slurm.conf, once its node is idle. `within`: a command line of the machine that it is on."""
    root = Path(tempfile.mkdtemp(prefix="gr-slurm-", dir="/tmp"))
    root.chmod(0o755)
    quiet = subprocess.DEVNULL
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name in ("state", "spool"):
            (root / name).mkdir()
        ports = [free_port(), free_port()]
        conf = root / "slurm.conf"
        host = socket.gethostname().partition(".")[0]
        conf.write_text(CONF.format(host=host, root=root, ports=ports, cpus=os.cpu_count(), patience_s=10))
        (root / "munge.key").write_bytes(secrets.token_bytes(128))
        (root / "munge.key").chmod(0o400)
        places = [f"--{what}={root}/{name}" for what, name in (("key-file", "munge.key"), ("socket", "munge.sock"), ("seed-file", "munge.seed"))]
        places += [f"--pid-file={root}/munged.pid", f"--log-file={root}/munged.log"]
        environ = os.environ | {"SLURM_CONF": str(conf)}
        for command in (["munged", "--foreground", "--force", *places], ["slurmctld", "-D", "-c"], ["slurmd", "-D"]):
            started.append(subprocess.Popen(within(*command), env=environ, stdin=quiet, stdout=quiet, stderr=quiet))
            _until(root, started[-1], environ, "munge.sock" if command[0] == "munged" else "")
        _until_idle(root, environ)
        yield conf
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)
        shutil.rmtree(root, ignore_errors=True)


def _until(root: Path, process: subprocess.Popen[bytes], environ: dict[str, str], name: str) -> None:
    """Returns when a daemon has made its socket."""
    deadline = time.monotonic() + PATIENCE_S
    while name and not (root / name).exists():
        assert process.poll() is None, _logs(root)
        assert time.monotonic() < deadline, _logs(root)
        time.sleep(0.05)


def _until_idle(root: Path, environ: dict[str, str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        asked = subprocess.run(["sinfo", "--noheader", "--partition=prod", "--format=%T"], env=environ, capture_output=True, text=True, check=False)
        if asked.stdout.strip() == "idle":
            return
        assert time.monotonic() < deadline, f"{asked.stdout}{asked.stderr}\n{_logs(root)}"
        time.sleep(0.1)


def _logs(root: Path) -> str:
    return "\n".join(f"{path.name}: {path.read_text()[-2000:]}" for path in sorted(root.glob("*.log")))
