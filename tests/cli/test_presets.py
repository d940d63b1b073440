"""Presets: where their hosts come from, what becomes of private ones, and that no password comes along. That they work: preset_network.py."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_guardrails.cli import init, preset_sources, presets
from jupyter_guardrails.cli.preset_sources import Here
from jupyter_guardrails.cli.presets import PURPOSES, Wish, make_presets, parse_wish
from jupyter_guardrails.control import addresses
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy import effective, load
from jupyter_guardrails.policy.hosts import NetworkEntry
from jupyter_guardrails.sandbox.spec import GUARANTEES, Guarantee

pytestmark = pytest.mark.slow  # left out of `make test-fast`

INSIDE = Path(__file__).with_name("preset_network.py")
SECRET = "s3cret-of-ana"
PACKAGES = ("packages.example.com", 443)
CONDA = """#!/bin/sh
echo '{"channel_alias": {"auth": "ana:%s", "location": "alias.example.com", "name": null, "scheme": "https", "token": null},
 "channels": [%s],
 "custom_channels": {"house": {"location": "house.example.com:8443/conda", "name": "house", "scheme": "https"}},
 "default_channels": [{"location": "defaults.example.com", "name": "pkgs/main", "scheme": "https"}]}'
"""


@pytest.fixture
def here(tmp_path):
    """A machine where nothing is configured; `here(PIP_INDEX_URL=…)` with a few variables."""

    def make(python=sys.executable, **environment):
        quiet = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1", "PIP_CONFIG_FILE": os.devnull}
        (tmp_path / "etc").mkdir(exist_ok=True)
        return Here(quiet | environment, tmp_path, etc=tmp_path / "etc", python=python)

    return make


def write(file, text, mode=0o644):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


def places(name, here):
    return [preset_sources.place_of(address.url) for address in preset_sources.SOURCES[name](here)]


def preset(name, here, *wishes):
    return next(found for found in make_presets([parse_wish(wish) for wish in wishes], here) if found.name == name)


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"PIP_INDEX_URL": f"https://ana:{SECRET}@packages.example.com/simple"}, [PACKAGES]),
        ({"PIP_INDEX_URL": "http://packages.example.com/simple"}, [("packages.example.com", 80)]),
        ({"UV_DEFAULT_INDEX": "https://packages.example.com:8443/simple"}, [("packages.example.com", 8443)]),
        ({"UV_INDEX_URL": "https://packages.example.com", "UV_INDEX": "house=https://more.example.com/x"}, [PACKAGES, ("more.example.com", 443)]),
        (
            {"PIP_INDEX_URL": "https://packages.example.com", "PIP_EXTRA_INDEX_URL": "https://a.example.com https://b.example.com"},
            [PACKAGES, ("a.example.com", 443), ("b.example.com", 443)],
        ),
        ({"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "https://packages.example.com/wheels"}, [PACKAGES]),
        ({"PIP_NO_INDEX": "1"}, []),
    ],
)
def test_python_from_the_environment(here, variables, found):
    assert places("python", here(**variables)) == found


def built_in():
    """What the pip beside this Python has built in."""
    if importlib.util.find_spec("pip") is None:
        return []
    index = importlib.import_module("pip._internal.models.index").PyPI
    return [(index.netloc, 443), (index.file_storage_domain, 443)]


def test_python_where_nothing_is_configured_is_what_pip_has_built_in(here):
    assert places("python", here()) == built_in()
    assert places("python", here(PIP_EXTRA_INDEX_URL="https://packages.example.com")) == [PACKAGES, *built_in()]


def test_python_from_pips_own_files(here, tmp_path):
    write(tmp_path / ".config" / "pip" / "pip.conf", f"[global]\nindex-url = https://ana:{SECRET}@packages.example.com/simple\n")
    write(tmp_path / "named.conf", "[install]\nextra-index-url =\n    https://a.example.com/simple\n    https://b.example.com/simple\n")
    for python in (sys.executable, "/no/python/at/all"):  # asked of pip; read as pip would
        found = places("python", here(python=python, PIP_CONFIG_FILE=""))
        assert PACKAGES in found
        found = places("python", here(python=python, PIP_CONFIG_FILE=str(tmp_path / "named.conf")))
        assert {("a.example.com", 443), ("b.example.com", 443)} <= set(found)
        assert PACKAGES not in found  # a named file stands for one's own
    assert "packages.example.com" not in str(places("python", here()))  # os.devnull: no file at all


def test_python_from_uvs_file(here, tmp_path):
    write(
        tmp_path / ".config" / "uv" / "uv.toml",
        '[[index]]\nname = "house"\nurl = "https://packages.example.com/simple"\ndefault = true\n[pip]\nextra-index-url = ["https://a.example.com"]\n',
    )
    assert places("python", here()) == [PACKAGES, ("a.example.com", 443)]
    write(tmp_path / ".config" / "uv" / "uv.toml", "not [ toml")
    assert places("python", here()) == built_in()


def test_a_local_index_needs_no_host_and_is_told(here, tmp_path):
    found = preset("python", here(PIP_INDEX_URL=f"file://{tmp_path}/simple"), "python")
    assert (found.entries, found.active) == ((), False)
    assert found.notes == ("PIP_INDEX_URL also names a folder of this machine: kernels read it where paths: {read: [...]} names it",)


@pytest.mark.parametrize("address", [f"https://ana:{SECRET}@[::1/simple", f"https://ana:{SECRET}@packages.example.com:x/", f"ftp://ana:{SECRET}@a/"])
def test_an_address_that_makes_no_sense_is_told_without_it(here, address):
    found = preset("python", here(PIP_INDEX_URL=address))
    assert found.notes == ("PIP_INDEX_URL holds an address that this can't read: name its host with --preset",)


@pytest.mark.parametrize(
    ("channels", "found"),
    [
        ('"defaults"', [("defaults.example.com", 443)]),
        ('"forge", "house"', [("alias.example.com", 443), ("house.example.com", 8443)]),
        (f'"https://ana:{SECRET}@own.example.com/main"', [("own.example.com", 443)]),
    ],
)
def test_conda_from_conda_itself(here, tmp_path, channels, found):
    write(tmp_path / "bin" / "conda", CONDA % (SECRET, channels), 0o755)
    assert places("conda", here()) == found


def test_conda_from_its_files(here, tmp_path):
    assert places("conda", here()) == []
    write(tmp_path / "etc" / "conda" / ".condarc", "channels: [forge]\nchannel_alias: https://alias.example.com\n")
    assert places("conda", here()) == [("alias.example.com", 443)]
    write(tmp_path / ".condarc", "channels: [defaults, house/label/dev]\ndefault_channels: [http://defaults.example.com/main]\n")
    assert places("conda", here()) == [("defaults.example.com", 80), ("alias.example.com", 443)]
    write(tmp_path / "rc", "channels: [house]\ncustom_channels: {house: 'https://house.example.com'}\n")
    assert places("conda", here(CONDARC=str(tmp_path / "rc"))) == [("house.example.com", 443)]
    write(tmp_path / "rc", "channels: [")
    assert len(places("conda", here(CONDARC=str(tmp_path / "rc")))) == 2


def test_git_from_its_settings(here, tmp_path):
    write(
        tmp_path / ".gitconfig",
        f'[url "https://ana:{SECRET}@git.example.com/"]\n\tinsteadOf = git@git.example.com:\n'
        '[url "ssh://git@ssh.example.com/"]\n\tpushInsteadOf = https://ssh.example.com/\n'
        '[http]\n\tsslVerify = true\n[http "https://*.example.org:8443/team"]\n\tsslCAInfo = /etc/ca.pem\n'
        '[credential "https://forge.example.com"]\n\thelper = store\n[remote "origin"]\n\turl = https://remote.example.com/x\n',
    )
    assert places("git-https", here()) == [("git.example.com", 443), ("*.example.org", 8443), ("forge.example.com", 443)]
    found = preset("git-https", here())
    assert found.sources == ("git's url.*.insteadof", "git's http.*.sslcainfo", "git's credential.*.helper")


def test_models_from_the_environment(here):
    assert places("models", here(HF_ENDPOINT="https://models.example.com/hub")) == [("models.example.com", 443)]
    if importlib.util.find_spec("huggingface_hub") is None:
        assert places("models", here()) == []


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("python", Wish("python")),
        ("conda=packages.example.com", Wish("conda", NetworkEntry("packages.example.com", 443))),
        ("models=Packages.Example.com:8443", Wish("models", NetworkEntry("packages.example.com", 8443))),
        ("git-https=*.example.com", Wish("git-https", NetworkEntry("*.example.com", 443))),
        ("python=[fd00::1]", Wish("python", NetworkEntry("fd00::1", 443))),
        ("python=[fd00::1]:80", Wish("python", NetworkEntry("fd00::1", 80))),
        ("python=10.1.2.3:*", Wish("python", NetworkEntry("10.1.2.3", None))),
    ],
)
def test_what_can_be_wished_for(text, wish):
    assert parse_wish(text) == wish


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pyton", "there is no preset 'pyton'"),
        ("python=", "takes HOST or HOST:PORT"),
        ("python=https://packages.example.com/simple", "neither https:// nor a path"),
        ("python=packages.example.com:0", "the port must be 1 to 65535"),
        ("python=fd00::1", "IPv6 address in brackets"),
        ("python=*", "write \\*\\* for every name"),
        (f"python=ana:{SECRET}@packages.example.com", "without user and password$"),
    ],
)
def test_what_cannot_says_why(text, words):
    with pytest.raises(BadRequest, match=words):
        parse_wish(text)


def test_only_what_is_wished_for_is_active_and_a_named_host_replaces_found_ones(here):
    found = make_presets([parse_wish("python=packages.example.com"), parse_wish("models")], here(HF_ENDPOINT="https://models.example.com"))
    assert {preset.name: (preset.active, [entry.text for entry in preset.entries]) for preset in found} == {
        "python": (True, ["packages.example.com:443"]),
        "conda": (False, []),
        "git-https": (False, []),
        "models": (True, ["models.example.com:443"]),
    }
    both = preset("models", here(HF_ENDPOINT="https://models.example.com"), "models", "models=more.example.com")
    assert [entry.host for entry in both.entries] == ["more.example.com", "models.example.com"]


@pytest.mark.parametrize(
    ("wish", "private"),
    [
        ("10.1.2.3:8081", ("10.1.2.3/32",)),
        ("[fd00::1]:443", ("fd00::1/128",)),
        ("[::ffff:10.1.2.3]:443", ("10.1.2.3/32",)),
        ("10.1.2.3:*", ("10.1.2.3/32",)),
        ("8.8.8.8:443", ()),
    ],
)
def test_a_private_address_gets_its_range_which_the_proxy_then_accepts(here, wish, private):
    found = preset("python", here(), f"python={wish}")
    assert [entry.private for entry in found.entries] == [private]
    assert (found.active, found.notes) == (True, ())
    (address,) = [addresses.ipaddress.ip_address(entry.host) for entry in found.entries]
    assert addresses.objection(address, private) == ""


@pytest.mark.parametrize(("wish", "why"), [("localhost:3141", "loopback"), ("169.254.1.1", "link-local"), ("224.0.0.1", "multicast")])
def test_where_the_proxy_never_connects_is_left_out_and_told(here, wish, why):
    found = preset("python", here(), f"python={wish}")
    assert (found.entries, found.active) == ((), False)
    assert f"which is {why}" in found.notes[0]
    assert f"# Note: {wish.partition(':')[0]}:" in presets.block(found)


def test_a_host_that_cannot_be_resolved_here_stays_with_a_note(here):
    found = preset("python", here(), "python=nowhere.invalid")
    assert (found.active, [entry.text for entry in found.entries]) == (True, ["nowhere.invalid:443"])
    assert "nowhere.invalid can't be resolved now" in presets.block(found)


MANY = tuple(NetworkEntry(f"mirror-{n}.packages.example.com", 8443, ("10.0.0.1/32", "fd00::1/128")) for n in range(5))
ODD = (NetworkEntry("off", None, ("10.0.0.1/32",)), NetworkEntry("*.example.org", None), NetworkEntry("fd00::1", 80, ("fd00::1/128",)))


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("entries", [(), (NetworkEntry("packages.example.com", 443),), MANY, ODD])
def test_each_block_means_its_entries(tmp_path, entries, active):
    made = [presets.Preset(name, entries, ("a", "b"), active and bool(entries), ("it is so",)) for name in PURPOSES]
    machine = init.Machine(1 << 34, 4, tuple(Guarantee(name, True, "") for name in GUARANTEES), "ana")
    text = init.starter(machine, {"users": ["ana"]}, made)["guardrails.yaml"]
    if not made[0].active:
        (tmp_path / "guardrails.yaml").write_text(text)
        assert effective(load(tmp_path / "guardrails.yaml"), "zoe").network_allow == ()
        before, start, rest = text.partition("  # Preset python")
        inside, end, after = rest.partition("  # Shut from")
        text = before + start + re.sub(r"(?m)^  #(?=-|  )", "  ", inside) + end + after
    (tmp_path / "guardrails.yaml").write_text(text)
    allowed = effective(load(tmp_path / "guardrails.yaml"), "zoe").network_allow
    assert [value.value for value in allowed] == list(entries or (NetworkEntry("packages.example.com", 443),))
    assert "way out" in presets.block(made[0])


def test_no_password_comes_along(here, tmp_path):
    """Every place that may hold one does; neither a file nor a line of output has it."""
    write(tmp_path / ".config" / "pip" / "pip.conf", f"[global]\nindex-url = https://ana:{SECRET}@packages.example.com/simple\n")
    write(tmp_path / ".condarc", f"channels: ['https://conda.example.com/t/{SECRET}/main']\n")
    write(tmp_path / ".gitconfig", f'[url "https://ana:{SECRET}@git.example.com/"]\n\tinsteadOf = git@git.example.com:\n')
    environment = here(HF_ENDPOINT=f"https://{SECRET}:x@models.example.com").environ
    environment = {**environment, "HOME": str(tmp_path), "PIP_CONFIG_FILE": "", "UV_INDEX": f"https://ana:{SECRET}@[broken"}
    wishes = [part for name in PURPOSES for part in ("--preset", name)]
    command = [sys.executable, "-m", "jupyter_guardrails", "init", str(tmp_path / "p"), *wishes]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    everything = done.stdout + done.stderr + "".join(file.read_text() for file in (tmp_path / "p").iterdir() if file.is_file())
    assert SECRET not in everything
    for name in ("packages", "conda", "git", "models"):
        assert f"{name}.example.com:443" in everything


@pytest.mark.slow
def test_presets_work_with_real_clients_in_real_sandboxes(tmp_path):
    """pip, git and plain HTTPS: the tests of preset_network.py, in namespaces where they may make a network."""
    missing = [name for name in ("ip", "unshare", "mount", "git") if shutil.which(name) is None]
    enough = not missing and subprocess.run(
        ["unshare", "-Urnm", "ip", "link", "add", "gr2", "type", "veth", "peer", "name", "gr3"], capture_output=True
    )
    if missing or enough.returncode:
        pytest.skip(f"a network of one's own needs {missing or enough.stderr.decode()}")
    command = ["unshare", "-Urnm", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path}/inside", str(INSIDE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_json_says_it_all(here, tmp_path):
    environment = {**here().environ, "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "jupyter_guardrails", "init", str(tmp_path / "p"), "--preset", "python=10.1.2.3:8081", "--json"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    python = json.loads(done.stdout)["presets"][0]
    assert python == {
        "name": "python",
        "active": True,
        "hosts": [{"host": "10.1.2.3", "port": 8081, "private": ["10.1.2.3/32"]}],
        "sources": ["--preset"],
        "notes": [],
    }
