"""One governed and one plain server of an ordinary account, and the environment of their kernels, made once for this folder's tests."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from live_server import LiveServer, make_environment, ordinary_account, write_kernelspec
from matrix import imported, packages

CURVE = {"debugger": True, "supported_encryption": "curve"}
COMPILE = """
import contextlib, importlib, sys
for name in sys.argv[1:]:
    with contextlib.suppress(ImportError): importlib.import_module(name)
"""
INFO = "compatible-1.0.dist-info"
WHEEL = {
    "compatible.py": "ANSWER = 42\n",
    f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: compatible\nVersion: 1.0\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/RECORD": "".join(f"{name},,\n" for name in ("compatible.py", f"{INFO}/METADATA", f"{INFO}/WHEEL", f"{INFO}/RECORD")),
}


@pytest.fixture(scope="session")
def place():
    """A folder with a short name that an ordinary account may read; removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="gc-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def share(place):
    """The environment `study` with every library of the matrix, and the Jupyter data folder with its kernelspecs."""
    python = str(make_environment(place / "env", packages()) / "bin" / "python")
    # kernels can't write there: what they import is compiled once, instead of in each of them; what can't be imported here is the cells' business
    subprocess.run([python, "-c", COMPILE, *imported()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    share = place / "share" / "jupyter"
    write_kernelspec(share, "study", [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"], metadata=CURVE)
    write_kernelspec(share, "bash", [python, "-m", "bash_kernel", "-f", "{connection_file}"], language="bash", env={"PS1": "$"})
    write_kernelspec(share, "xpython", [python, "-m", "xpython_launcher", "-f", "{connection_file}"])
    return share


@pytest.fixture(scope="session")
def serve(place, share):
    """Start one more server; all are stopped at the end."""
    servers = []

    def start(name, *module, **arguments):
        arguments = {"account": ordinary_account()} | arguments
        servers.append(LiveServer(place / name, module, **arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def governed(serve):
    """`jupyter guardrails server` under an enforcing policy."""
    return serve("g", "jupyter_guardrails", "server").wait_ready()


@pytest.fixture(scope="session")
def plain(serve):
    """The same without us: what doesn't work here proves nothing there."""
    return serve("p", "jupyter_server").wait_ready()


@pytest.fixture(scope="session")
def governed_root(serve):
    """The same as `governed`, of root."""
    if os.getuid() != 0:
        pytest.skip("needs root")
    return serve("r", "jupyter_guardrails", "server", account=None, arguments=("--allow-root",)).wait_ready()


@pytest.fixture(params=["governed", "plain"])
def either(request):
    """Both servers in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def wheel(place):
    """A wheel with the module `compatible`, whose ANSWER is 42."""
    path = place / "compatible-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in WHEEL.items():
            archive.writestr(name, text)
    return path


@pytest.fixture
def kernel(either):
    """A fresh kernel of the environment `study`."""
    started = either.kernel("study")
    yield started
    started.close()
