"""Which datasets an account can open without us: what is judged is what that account can really do."""

import asyncio
import os
import pwd
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest
from data_world import DataWorld

from jupyter_guardrails.catalog.model import Contract
from jupyter_guardrails.control import datasets
from jupyter_guardrails.control.advisory import Advisory, opens
from jupyter_guardrails.control.interface.messages import DatasetShow, DatasetsSearch
from jupyter_guardrails.sandbox.permissions import Account

NOBODY = pwd.getpwnam("nobody")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other accounts and reads as one")


@pytest.fixture
def place():
    """Below a folder that everybody can enter; pytest's own is root's alone."""
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        file = Path(root).resolve() / "inner" / "data.csv"
        file.parent.mkdir(mode=0o755)
        file.write_text("a\n1\n")
        file.chmod(0o600)
        yield file


def can_really_read(path):
    command = ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups", "cat", str(path)]
    return subprocess.run(command, capture_output=True).returncode == 0


def shut(file):
    """Root's alone."""


def for_everyone(file):
    file.chmod(0o644)


def by_group(file):
    os.chown(file, 0, NOBODY.pw_gid)
    file.chmod(0o640)


def behind_a_shut_folder(file):
    file.chmod(0o644)
    file.parent.chmod(0o700)


def behind_a_folder_to_enter(file):
    file.chmod(0o644)
    file.parent.chmod(0o711)


def its_own(file):
    os.chown(file, NOBODY.pw_uid, NOBODY.pw_gid)
    file.chmod(0o400)


CASES = {shut: False, for_everyone: True, by_group: True, behind_a_shut_folder: False, behind_a_folder_to_enter: True, its_own: True}


@needs_root
@pytest.mark.parametrize(("arrange", "expected"), CASES.items(), ids=lambda case: getattr(case, "__name__", case))
def test_what_is_judged_is_what_the_account_can_do(place, arrange, expected):
    arrange(place)
    account = Account(NOBODY.pw_uid, frozenset({NOBODY.pw_gid}))
    assert opens(Contract("a/b", "f", path=str(place)), account) is expected
    assert can_really_read(place) is expected


@needs_root
def test_an_access_list_counts(place):
    entries = [(1, 6, 0xFFFFFFFF), (2, 4, NOBODY.pw_uid), (4, 0, 0xFFFFFFFF), (0x10, 4, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF)]  # posix_acl.h
    try:
        os.setxattr(place, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries))
    except OSError:
        pytest.skip("this file system has no access lists")
    assert opens(Contract("a/b", "f", path=str(place)), Account(NOBODY.pw_uid))
    assert can_really_read(place)


@needs_root
def test_a_folder_counts_by_its_files(place):
    folder = Contract("a/b", "f", path=str(place.parent), format="directory")
    account = Account(NOBODY.pw_uid, frozenset({NOBODY.pw_gid}))
    assert not opens(folder, account)
    (place.parent / "other.csv").write_text("a\n")
    assert opens(folder, account)


def test_root_opens_everything_and_nobody_what_is_not_there(place):
    assert opens(Contract("a/b", "f", path=str(place)), Account(0))
    assert not opens(Contract("a/b", "f", path=str(place) + ".gone"), Account(0))


@needs_root
def test_the_listing_marks_them_for_who_asks(place):
    world = DataWorld(place.parent)
    shut_file = world.parquet("shut.parquet")
    shut_file.chmod(0o600)
    world.dataset("nyc/shut", path=shut_file)
    world.dataset("nyc/open")
    state = world.state()
    state.peer_uid = NOBODY.pw_uid
    rows = asyncio.run(datasets.search(state, DatasetsSearch(), []))["datasets"]
    assert {row["name"]: row["advisory"] for row in rows} == {"nyc/open": True, "nyc/shut": False}
    assert asyncio.run(datasets.show(state, DatasetShow(name="nyc/open"), []))["advisory"]
    assert not asyncio.run(datasets.show(state, DatasetShow(name="nyc/shut"), []))["advisory"]
    world.close()


@needs_root
def test_a_judgement_is_kept_for_a_minute(place):
    now = [0.0]
    judge, one = Advisory(clock=lambda: now[0]), Contract("a/b", "f", path=str(place))
    assert asyncio.run(judge.of([one], NOBODY.pw_uid)) == set()
    place.chmod(0o644)
    assert asyncio.run(judge.of([one], NOBODY.pw_uid)) == set()
    now[0] = 60.0
    assert asyncio.run(judge.of([one], NOBODY.pw_uid)) == {"a/b"}


def test_a_product_is_advisory_where_a_file_of_its_inputs_is(place):
    """It has no file of its own."""
    place.chmod(0o644)
    closed = place.with_name("closed.csv")
    closed.write_text("a\n1\n")
    closed.chmod(0o600)
    everyones, shut_one = Contract("hr/everyones", "", path=str(place)), Contract("hr/closed", "", path=str(closed))
    open_one = Contract("hr/open", "", made_from=(shut_one, everyones))
    products = [open_one, Contract("hr/shut", "", made_from=(shut_one,)), Contract("hr/nested", "", made_from=(open_one,))]
    assert asyncio.run(Advisory().of([*products, everyones], NOBODY.pw_uid)) == {"hr/open", "hr/nested", "hr/everyones"}
