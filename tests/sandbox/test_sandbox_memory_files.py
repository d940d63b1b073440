"""Memory that is in no process's resident size: memfds and files in /dev/shm, found by what the tree has open."""

import mmap
import os
import shutil
import subprocess
import sys
import uuid

import pytest

from jupyter_guardrails.sandbox import memory_files, meter
from jupyter_guardrails.sandbox.memory_files import MemoryFiles

MIB = 1 << 20
SIZE = 40 * MIB


class Holder:
    """A process that runs code and then waits."""

    def __init__(self, code, *arguments, prefix=()):
        command = [*prefix, sys.executable, "-c", f"import mmap, os, sys\n{code}\nprint('up', flush=True)\nsys.stdin.read()", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "up\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def files(self, found=None):
        return (found or MemoryFiles()).unmapped(meter.sample(self.process.pid).pids)


MEMFD = f"fd = os.memfd_create('mine')\nos.write(fd, b'1' * {SIZE})\n"


def test_a_memfd_counts_once_and_can_be_emptied():
    with Holder(MEMFD + "other = os.dup(fd)") as holder:
        (file,) = holder.files()
        assert SIZE <= file.memory_bytes < SIZE + MIB
        assert file.name == "memfd:mine"
        memory_files.empty(file)
        assert holder.files() == ()


def test_what_a_process_maps_is_in_its_resident_size_and_does_not_count_again():
    with Holder(MEMFD + f"m = mmap.mmap(fd, {SIZE})\nfor n in range(0, {SIZE}, 4096): m[n]") as holder:
        assert holder.files() == ()
    with Holder(MEMFD + "m = mmap.mmap(fd, 4096)\nm[0]") as holder:  # one page is mapped: the rest still counts
        assert sum(file.memory_bytes for file in holder.files()) > 0.9 * SIZE


def test_a_file_in_shm_counts_after_it_was_closed_until_it_is_removed():
    name = f"/dev/shm/guardrails-test-{uuid.uuid4().hex}"
    code = f"f = open(sys.argv[1], 'wb')\nf.write(b'1' * {SIZE})\nf.flush()"
    found = MemoryFiles()
    with Holder(code, name) as holder:
        try:
            (file,) = holder.files(found)
            assert (file.name, file.memory_bytes) == (name, SIZE)
            with Holder("pass") as other:
                assert other.files() == (), "files of others are not this tree's"
            assert [f.name for f in found.unmapped(())] == [name]
        finally:
            memory_files.empty(file)
    assert not os.path.exists(name)
    assert found.unmapped(()) == ()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs root and unshare")
def test_in_a_shm_of_its_own_everything_counts_also_what_nobody_saw_open():
    mounted = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/shm && exec "$@"', "sh")
    code = f"with open('/dev/shm/mine', 'wb') as f: f.write(b'1' * {SIZE})"
    with Holder(code, prefix=mounted) as holder:
        (file,) = holder.files()
        assert (file.name, file.memory_bytes) == ("/dev/shm/mine", SIZE)
        memory_files.empty(file)
        assert holder.files() == ()


def test_the_machines_shared_memory_grows_with_them():
    def grew() -> bool:
        before = memory_files.shared_memory_bytes()
        with mmap.mmap(-1, SIZE) as shared:
            shared.write(b"1" * SIZE)
            return memory_files.shared_memory_bytes() > before + SIZE // 2

    assert any(grew() for _ in range(10))  # others let go of theirs meanwhile
