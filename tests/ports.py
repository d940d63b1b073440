"""Ports of this machine for servers that tests start."""

from __future__ import annotations

import itertools
import os
import random
import socket

FIRST, LAST = 12_000, 32_000  # below those that the system gives to whoever asks for any: nobody gets one of these between here and its server
_numbers = itertools.count(random.Random(os.getpid()).randrange(LAST - FIRST))  # each worker of the tests begins elsewhere


def free_port() -> int:
    """One of 127.0.0.1 on which nobody listens, and that this process was not given before."""
    for number in _numbers:
        port = FIRST + number % (LAST - FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("numbers have no end")
