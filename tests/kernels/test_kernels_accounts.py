"""A person who is only in a directory (LDAP) is in the kernel's own /etc/passwd and /etc/group; somebody who is in the machine's changes nothing."""

import os

import pytest

from jupyter_guardrails.kernels import accounts, folders

PASSWD = "root:x:0:0:root:/root:/bin/bash\nben:x:41001:41001::/home/ben:/bin/sh\n"
GROUP = "root:x:0:\nusers:x:100:\n"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Files in which only `numbers` are missing: ours, unless the test says otherwise."""
    (tmp_path / "passwd").write_text(PASSWD)
    (tmp_path / "group").write_text(GROUP)
    for name, value in (("getuid", 54321), ("getgid", 54322), ("getgroups", [54322, 100, 54323])):
        monkeypatch.setattr(os, name, lambda value=value: value)
    return {"passwd": tmp_path / "passwd", "group": tmp_path / "group"}


def test_a_person_of_a_directory_is_added_with_their_groups(tmp_path, machine):
    kernel = folders.make_folders(tmp_path)
    accounts.write_account(kernel, "ana", "/srv/ana/work", **machine)
    assert kernel.passwd.read_text() == PASSWD + "ana:x:54321:54322::/srv/ana/work:/bin/bash\n"
    assert kernel.group.read_text() == GROUP + "g54322:x:54322:\ng54323:x:54323:\n"
    before = kernel.passwd.stat().st_ino
    accounts.write_account(kernel, "ana", "/elsewhere", **machine)
    assert kernel.passwd.stat().st_ino == before
    assert "/elsewhere" in kernel.passwd.read_text()


def test_somebody_who_is_listed_changes_nothing(tmp_path, machine, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 41001)
    kernel = folders.make_folders(tmp_path)
    accounts.write_account(kernel, "ben", "/home/ben", **machine)
    assert not kernel.passwd.exists()
    assert not kernel.group.exists()


def test_a_name_cannot_add_a_field_or_a_line(tmp_path, machine):
    kernel = folders.make_folders(tmp_path)
    accounts.write_account(kernel, "ana:x:0:0\nevil", "/srv/a:b", **machine)
    assert kernel.passwd.read_text() == PASSWD + "ana_x_0_0_evil:x:54321:54322::/srv/a_b:/bin/bash\n"


def test_a_machine_without_files(tmp_path, machine):
    kernel = folders.make_folders(tmp_path)
    accounts.write_account(kernel, "ana", "/w", passwd=tmp_path / "absent", group=tmp_path / "absent")
    assert kernel.passwd.read_text() == "ana:x:54321:54322::/w:/bin/bash\n"
