"""Locks: valid PEP 751, the same everywhere, and nothing of an index in them."""

import json
import subprocess
import tomllib

import pytest
from packaging.pylock import Pylock
from promotion_world import add_kernelspec
from uv import find_uv_bin
from work_bench import bench, nothing

from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.promotion import interpreter, locks
from jupyter_guardrails.promotion.checks import environment as check
from jupyter_guardrails.promotion.environments import environment

DIGEST = "ab" * 32


def compiled(host, *names, wheels=True, extra=""):
    lines = ['lock-version = "1.0"', 'created-by = "uv"', 'requires-python = ">=3.11"']
    for name in names:
        url = f"https://{host}/{DIGEST[:2]}/{name}-1.0-py3-none-any.whl"
        wheel = f'{{ url = "{url}", upload-time = 2026-01-01T00:00:00Z, size = 3, hashes = {{ sha256 = "{DIGEST}" }} }}'
        lines += ["[[packages]]", f'name = "{name}"', 'version = "1.0"', extra, f"wheels = [{wheel}]" if wheels else ""]
    return "\n".join(lines)


def test_any_index_gives_the_same_lock():
    one = locks.portable(compiled("packages.example.com", "b", "a"), "3.11")
    two = locks.portable(compiled("mirror.example.com:8443", "a", "b"), "3.11")
    assert one == two
    assert "example" not in one
    assert "2026" not in one


def test_it_is_pep_751():
    lock = Pylock.from_dict(tomllib.loads(locks.portable(compiled("packages.example.com", "a"), "3.11")))
    lock.validate()
    assert str(lock.requires_python) == "==3.11.*"
    assert dict(lock.packages[0].wheels[0].hashes) == {"sha256": DIGEST}


def test_lines_for_an_installer_have_version_and_hash():
    lock = locks.portable(compiled("packages.example.com", "a"), "3.11")
    assert locks.requirement_lines(lock) == f"a==1.0 --hash=sha256:{DIGEST}\n"


def test_a_package_without_a_wheel_is_named():
    with pytest.raises(BadRequest, match=r"a 1\.0 has no wheel"):
        locks.portable(compiled("packages.example.com", "a", wheels=False), "3.11")


def test_our_own_packages_are_not_in_it():
    assert (
        "guardrails"
        not in locks.portable(compiled("packages.example.com", "a", "jupyter_guardrails"), "3.11").replace("created-by", "").partition("[[")[2]
    )


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Jupyter_Client==8.10.0", "jupyter-client"),
        ("x @ file:///w/x.whl", "x"),
        ("-e file:///src/ours", "jupyter-guardrails"),
        ("-e file:///old/", "file:///old"),
    ],
)
def test_lines_of_freeze_are_named(line, name):
    ours = interpreter.Installed("jupyter_guardrails", "0.1", "file:///src/ours", editable=True)
    python = interpreter.Interpreter("/p", "/p", "3.11.2", "cpython", "linux", "x86_64", conda=False, installed=(ours,))
    assert locks.name_of(line, python) == name


@pytest.mark.parametrize("name", ["../x", " ", "nope"])
def test_a_kernelspec_that_is_not_there(jupyter_path, name):
    with pytest.raises(BadRequest, match="kernelspec"):
        interpreter.find_kernelspec(name)


def test_a_notebook_that_names_no_kernel_is_told_so_and_which_there_are(jupyter_path, tiny, tmp_path, monkeypatch):
    """python3 is what Jupyter starts then; not every machine has one of that name."""
    monkeypatch.setattr(interpreter, "jupyter_path", lambda kind: [str(jupyter_path / kind)])
    work = bench(tmp_path / "unnamed", ["a = 1"])
    found = check.run(work, nothing)
    words = "the notebook names no kernel, and there is no kernelspec 'python3' here (there are: tiny)"
    assert (found.state, found.detail, found.findings[0].kind) == ("failed", words, "no_environment")
    assert "--kernel NAME" in found.findings[0].fix
    with pytest.raises(BadRequest, match=r"^there is no kernelspec 'gone' here"):
        interpreter.find_kernelspec("gone")
    add_kernelspec(jupyter_path, "python3", tiny)
    assert interpreter.find_kernelspec(work.notebook.named_kernelspec)["argv"][0] == str(tiny)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"argv": ["x"]}', '{"argv": ["R", "--kernel"], "language": "R"}', '{"argv": ["sh", "-c"], "language": "python"}']
)
def test_a_kernelspec_that_can_not_be_promoted(jupyter_path, text):
    folder = jupyter_path / "kernels" / "odd"
    folder.mkdir()
    (folder / "kernel.json").write_text(text)
    with pytest.raises(BadRequest, match="kernelspec"):
        interpreter.find_kernelspec("odd")


def test_the_kernel_s_own_interpreter_is_asked(jupyter_path, tiny, tmp_path):
    executable = interpreter.executable_of(interpreter.find_kernelspec("tiny"))
    found = interpreter.probe(executable, tmp_path)
    assert executable == str(tiny)
    assert found.version.startswith("3.")
    assert {package.name for package in found.installed} >= {"ipykernel", "ipython"}
    assert "pytest" not in {package.name for package in found.installed}  # that is in ours


def test_code_in_the_probed_environment_has_no_network_and_can_not_write(jupyter_path, tiny, tmp_path):
    """A .pth file runs at each start of its interpreter, `-I` or not."""
    site = next((tiny.parent.parent / "lib").glob("python3*")) / "site-packages"
    mark = tmp_path / "mark"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    connect = "s = socket.socket(); found = str(s.connect_ex(('127.0.0.1', 9)))"
    attempts = f"import socket; {connect}; open({str(scratch / 'ran')!r}, 'w').write(found); open({str(mark)!r}, 'w')"
    (site / "zz.pth").write_text(attempts + "\n")
    try:
        interpreter.probe(str(tiny), scratch)
    finally:
        (site / "zz.pth").unlink()
    assert (scratch / "ran").exists()  # the twin: it did run, and could write where it may
    assert not mark.exists()


@pytest.mark.slow
def test_an_environment_is_built_once_from_its_lock(jupyter_path, tiny, tmp_path):
    found = interpreter.probe(str(tiny), tmp_path)
    lock = locks.lock_runner(found, scratch=tmp_path, cache=tmp_path / "envs" / "uv-cache")
    assert lock == locks.lock_runner(found, scratch=tmp_path, cache=tmp_path / "envs" / "uv-cache")
    python = environment(lock, found, store=tmp_path / "envs", scratch=tmp_path)
    made = python.stat().st_mtime_ns
    assert environment(lock, found, store=tmp_path / "envs", scratch=tmp_path) == python
    assert python.stat().st_mtime_ns == made
    inside = {package.name for package in interpreter.probe(str(python), tmp_path).installed}
    assert inside >= {"nbclient", "nbformat"}


@pytest.mark.slow
def test_a_project_around_the_work_has_no_say_in_the_lock(jupyter_path, tiny, tmp_path):
    """uv reads the settings of a pyproject.toml at or above its folder; the state directory may lie in somebody's checkout."""
    (tmp_path / "pyproject.toml").write_text("this is no TOML [")
    scratch = tmp_path / "state" / "scratch"
    scratch.mkdir(parents=True)
    found = interpreter.probe(str(tiny), scratch)
    assert "comm" in locks.lock_kernel(["comm==0.2.3"], found, scratch=scratch, cache=tmp_path / "c")


@pytest.mark.slow
def test_a_wrong_hash_builds_nothing(jupyter_path, tiny, tmp_path):
    found = interpreter.probe(str(tiny), tmp_path)
    lock = locks.lock_kernel(["comm==0.2.3"], found, scratch=tmp_path, cache=tmp_path / "c")
    digest = tomllib.loads(lock)["packages"][0]["wheels"][0]["hashes"]["sha256"]
    with pytest.raises(Exception, match="can't be built"):
        environment(lock.replace(digest, "0" * 64), found, store=tmp_path / "envs", scratch=tmp_path)
    assert environment(lock, found, store=tmp_path / "envs", scratch=tmp_path).exists()


PYTHON = {"executable": "/p", "base": "/p", "version": "3.11.2", "implementation": "cpython", "system": "linux", "machine": "x86_64", "conda": False}
SYSTEM = (
    interpreter.Installed("ipykernel", "7.0", of_system=True, needs=("jupyter_client>=8", "odd; python_version < '3'", 'extra-one; extra == "x"')),
    interpreter.Installed("jupyter_client", "8.0", of_system=True),
    interpreter.Installed("odd", "1", of_system=True),
    interpreter.Installed("numpy", "2.0", of_system=True, modules=("numpy",)),
    interpreter.Installed("apt", "2.6", of_system=True, modules=("apt",)),
    interpreter.Installed("mine", "1.0", needs=("tqdm",)),
    interpreter.Installed("tqdm", "4.0", of_system=True),
)


def test_of_the_systems_packages_those_that_are_needed_are_locked():
    found = interpreter.Interpreter(**PYTHON, installed=SYSTEM, system_site=True)
    assert locks.of_system(found, ["mine==1.0"], {"numpy", "json"}) == ["ipykernel==7.0", "jupyter-client==8.0", "numpy==2.0", "tqdm==4.0"]
    assert locks.of_system(found, ["mine==1.0", "tqdm==5.0"], set()) == ["ipykernel==7.0", "jupyter-client==8.0"]


def bare(folder, tiny, *options):
    """A new environment beside `tiny`, with a distribution as some installer leaves it."""
    subprocess.run([find_uv_bin(), "venv", "-q", "--python", "/usr/bin/python3", *options, str(folder)], check=True)
    return next((folder / "lib").glob("python3*")) / "site-packages"


def distribution(site, name, installer, url=None):
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nLicense: MIT\n")
    (info / "RECORD").write_text("")
    (info / "INSTALLER").write_text(installer)
    if url:
        (info / "direct_url.json").write_text(json.dumps({"url": url, "dir_info": {}}))


def test_a_conda_environment_is_locked_by_versions_and_said_to_be_one(tiny, tmp_path):
    """conda's packages name the folder that they were built in on another machine: that is no place to get them from."""
    site = bare(tmp_path / "conda", tiny)
    (tmp_path / "conda" / "conda-meta").mkdir()
    distribution(site, "by_conda", "conda", "file:///home/conda/feedstock_root/build_artifacts/by-conda/work")
    distribution(site, "by_hand", "pip", "file:///home/ana/by-hand")
    room = tmp_path / "room"
    room.mkdir()
    found = interpreter.probe(str(tmp_path / "conda" / "bin" / "python"), room)
    assert found.conda
    packages = {package.name: package for package in found.installed}
    assert (packages["by_conda"].url, packages["by_conda"].license, packages["by_hand"].url) == ("", "MIT", "file:///home/ana/by-hand")
    frozen = locks.freeze(found, room)
    assert "by-conda==1.0" in frozen
    assert any(line.startswith("by-hand @ file://") for line in frozen)  # the twin


def test_an_environment_that_sees_the_systems_packages_says_so(tiny, tmp_path):
    site = bare(tmp_path / "seeing", tiny, "--system-site-packages")
    distribution(site, "mine", "pip")
    room = tmp_path / "room"
    room.mkdir()
    found = interpreter.probe(str(tmp_path / "seeing" / "bin" / "python"), room)
    assert found.system_site
    assert not next(package for package in found.installed if package.name == "mine").of_system
    assert not interpreter.probe(str(tiny), room).system_site  # the twin
