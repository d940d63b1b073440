"""Every limit on one process is finite and can't be raised from inside, and none of them breaks what people run."""

import resource

import pytest

from jupyter_guardrails.sandbox.launch_limits import ADDRESS_SPACE_BYTES, GRACE_S, LONG_S, cpu_seconds, hard_limits
from jupyter_guardrails.sandbox.spec import Limits

HELD = ("CORE", "NOFILE", "AS", "CPU", "MEMLOCK", "MSGQUEUE", "SIGPENDING", "RTPRIO", "NICE", "FSIZE")
LIMITS = Limits(memory_bytes=1 << 30, cpus=1.5, file_size_bytes=1 << 20, lifetime_s=3600)
READ = "import resource\nprint(*resource.getrlimit(resource.RLIMIT_{name}))"
RAISE = """\
import resource
more = resource.getrlimit(resource.RLIMIT_{name})[1] + 1
resource.setrlimit(resource.RLIMIT_{name}, (more, more))
print('raised')"""


@pytest.mark.parametrize("name", HELD)
def test_a_limit_is_finite_and_soft_is_hard(sandbox, name):
    """RES-10."""
    soft, hard = map(int, sandbox.python(READ.format(name=name), limits=LIMITS).out.split())
    assert soft == hard
    assert hard != resource.RLIM_INFINITY


@pytest.mark.parametrize("name", HELD)
def test_a_limit_is_not_raised_from_inside(sandbox, name):
    ran = sandbox.python(RAISE.format(name=name), limits=LIMITS)
    assert "raised" not in ran.out
    assert "not allowed to raise" in ran.err or "not permitted" in ran.err, ran.err


def test_what_jvms_and_cuda_reserve_without_using_it_is_there(sandbox):
    """16 TiB of addresses (0x4000: MAP_NORESERVE); the next step up, which no program reserves, is refused."""
    reserve = "import mmap\nmmap.mmap(-1, {size}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=0)"
    assert sandbox.outcome(reserve.format(size=16 << 40)) == "done"
    assert sandbox.outcome(reserve.format(size=ADDRESS_SPACE_BYTES)) == "ENOMEM"


def test_threads_with_big_stacks_run(sandbox):
    code = "import threading\nthreading.stack_size(64 << 20)\nts = [threading.Thread(target=int) for _ in range(50)]\n[t.start() for t in ts]"
    assert sandbox.outcome(code + "\n[t.join() for t in ts]") == "done"


def test_processor_time_outlasts_the_lifetime_on_all_processors():
    assert cpu_seconds(3600, 1.5) == 2 * (3600 + GRACE_S)
    assert cpu_seconds(None, 4) == cpu_seconds(3600, None) == LONG_S


def test_what_is_not_limited_is_left_out():
    found = hard_limits({"open_files": 4096, "file_size_bytes": None, "memory_bytes": None, "cpus": None})
    assert resource.RLIMIT_FSIZE not in found
    assert resource.RLIMIT_MEMLOCK not in found
    assert resource.RLIM_INFINITY not in found.values()
