"""The process that carries kernels' connections: it resolves, checks addresses and relays bytes; control decides and records.

Started by egress_process.py with one end of a socket pair. It holds no policy, no records and no keys, and ends with control.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys

from jupyter_guardrails.control import hardening
from jupyter_guardrails.control.egress_forward import Forwarder
from jupyter_guardrails.control.egress_link import Link, Question
from jupyter_guardrails.control.egress_proxy import Limits, Proxy
from jupyter_guardrails.control.listeners import take


class Worker:
    """Every kernel's proxy, by the key that control gave it."""

    def __init__(self, connection: socket.socket) -> None:
        self.link = Link(connection, self._do)
        self._proxies: dict[int, Proxy] = {}

    async def _do(self, order: Question, fds: list[int]) -> Question:
        key = order["key"]
        if order["do"] == "serve":
            listener = take(fds.pop(0), socket.AF_INET, socket.AF_INET6)
            limits, place = Limits(**order["limits"]), order["place"]
            self._proxies[key] = Forwarder(key, self.link, listener, limits, tuple(place)) if place else Proxy(key, self.link, listener, limits)
        elif order["do"] == "cut":
            self._proxies[key].cut(order["place"])
        elif proxy := self._proxies.pop(key, None):
            await proxy.close()
        return {}


async def _serve(connection: socket.socket, parent: int) -> None:
    work = asyncio.create_task(Worker(connection).link.run())
    asyncio.get_running_loop().add_reader(parent, work.cancel)
    await asyncio.gather(work, return_exceptions=True)


def main(fd: int) -> None:
    """Serve until control ends or closes its end of the socket pair."""
    hardening.not_dumpable()
    hardening.no_new_privileges()
    hardening.many_descriptors()
    parent = hardening.end_with_parent()
    os.set_inheritable(fd, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: control decides what it means
    logging.basicConfig(format="%(levelname)s network proxy: %(message)s", level=logging.WARNING)
    asyncio.run(_serve(socket.socket(fileno=fd), parent))
    os._exit(0)  # threads that still resolve a name would hold up the end


if __name__ == "__main__":
    main(int(sys.argv[1]))
