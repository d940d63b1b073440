"""Listeners of sandboxes, when their kernel has ended."""

import asyncio
import logging
import socket

from jupyter_guardrails.control.listeners import Conversations


async def scene():
    """One connection is served; then the other holder of the listener shuts it, as control does when a lease ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    loop = asyncio.get_running_loop()

    async def greet(connection):
        await loop.sock_sendall(connection, b"hello")

    conversations = Conversations(listener, greet, name="a kernel")
    try:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        said = await reader.read()
        writer.close()
        with socket.socket(fileno=socket.dup(listener.fileno())) as copy:
            copy.shutdown(socket.SHUT_RDWR)
        async with asyncio.timeout(20):
            while listener.fileno() in [key.fd for key in loop._selector.get_map().values()]:
                await asyncio.sleep(0.01)
        return said
    finally:
        conversations.close()


def test_a_listener_that_was_shut_is_left_alone_without_a_word(caplog):
    with caplog.at_level(logging.INFO):
        assert asyncio.run(scene()) == b"hello"
    assert "can't accept" not in caplog.text
