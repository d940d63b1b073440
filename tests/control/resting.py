"""A process that can stand for a kernel: it does nothing until these tests end."""

import atexit
import functools
import subprocess


@functools.cache
def resting_pid(which=0):
    """Its number; `which` tells several apart. Control takes no process that is gone, another account's, or above control itself."""
    resting = subprocess.Popen(["sleep", "infinity"])
    atexit.register(resting.wait)
    atexit.register(resting.kill)  # the last one registered is called first
    return resting.pid
