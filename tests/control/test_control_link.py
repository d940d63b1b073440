"""Frames between control and a worker stay whole, with the descriptors that were meant, whoever stops waiting for them."""

import asyncio
import os
import socket

from jupyter_guardrails.control import frames
from jupyter_guardrails.control.egress_link import Link


async def _silent(question, fds):
    return {}


def ends():
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    return Link(ours, _silent), ours, theirs


def fill(connection):
    """Small frames until there is no room; how many."""
    frame, count = frames.encode({"filler": "x" * 500}), 0
    try:
        while connection.send(frame) == len(frame):
            count += 1
    except BlockingIOError:
        return count


async def descriptor_sent(tmp_path, *, is_full):
    """The file whose descriptor arrives when its sender gives up, and another file has its number since; and whether what follows is whole."""
    link, ours, theirs = ends()
    for name in ("meant", "other"):
        (tmp_path / name).write_text(name)
    fd = os.open(tmp_path / "meant", os.O_RDONLY)
    count = fill(ours) if is_full else 0
    giving_up = asyncio.ensure_future(link.begin({"do": "first"}, [fd]))
    await asyncio.sleep(0)
    giving_up.cancel()
    await asyncio.wait([giving_up])
    assert giving_up.cancelled() is is_full
    os.close(fd)
    again = os.open(tmp_path / "other", os.O_RDONLY)
    assert again == fd
    following = asyncio.ensure_future(link.begin({"do": "second"}))
    came = [await frames.receive(theirs) for _ in range(count + 2)]
    await following
    (first, (descriptor,)), (second, none) = came[-2:]
    found = os.read(descriptor, 10)
    for one in (descriptor, again):
        os.close(one)
    ours.close()
    theirs.close()
    return found, first["question"], second["question"], none


def test_what_could_not_be_sent_at_once_goes_with_its_own_descriptor(tmp_path):
    expected = (b"meant", {"do": "first"}, {"do": "second"}, [])
    for is_full in (True, False):  # the twin: where there is room it is gone at once
        assert asyncio.run(descriptor_sent(tmp_path, is_full=is_full)) == expected


def test_a_long_frame_that_nobody_waits_for_any_more_is_followed_by_whole_ones():
    async def tried():
        link, ours, theirs = ends()
        long = asyncio.ensure_future(link.begin({"do": "x" * 2_000_000}))
        await asyncio.sleep(0)
        long.cancel()
        following = [asyncio.ensure_future(link.begin({"do": str(number)})) for number in range(5)]
        came = [(await frames.receive(theirs))[0]["question"]["do"] for _ in range(6)]
        await asyncio.wait(following)
        ours.close()
        theirs.close()
        return came

    came = asyncio.run(tried())
    assert [len(one) for one in came] == [2_000_000, 1, 1, 1, 1, 1]
    assert came[1:] == list("01234")
