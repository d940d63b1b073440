"""Which approved places get a listener of their own in a kernel, and that a listener stands for nothing else."""

import socket

import pytest
from data_world import DataWorld, Loop

from jupyter_guardrails.control import egress, forwards
from jupyter_guardrails.control.interface.messages import Forward
from jupyter_guardrails.errors import BadRequest
from jupyter_guardrails.policy.hosts import parse_entry


def made(*entries):
    return [(f.address, f.host, f.port) for f in forwards.forwards_of([parse_entry(text) for text in entries])]


def test_each_exact_place_has_one_and_a_host_one_address():
    found = made("db.example.com:5432", "git.example.com:22", "db.example.com:6432", "db.example.com:5432")
    assert found == [
        ("127.64.0.1", "db.example.com", 5432),
        ("127.64.0.2", "git.example.com", 22),
        ("127.64.0.1", "db.example.com", 6432),
    ]


@pytest.mark.parametrize(
    "entry",
    [
        "*.example.com:5432",
        "**:5432",
        "db.example.com:*",
        "db.example.com:443",
        "db.example.com:8080",
        "10.0.0.7:5432",
        "[2001:db8::1]:22",
        "localhost:5432",
        "a.localhost:5432",
    ],
)
def test_what_is_not_exact_or_is_http_has_none(entry):
    assert made(entry) == []
    assert made(entry, "db.example.com:5432") == [("127.64.0.1", "db.example.com", 5432)]


def test_there_is_a_most():
    assert len(made(*(f"db{number}.example.com:5432" for number in range(100)))) == forwards.MOST


@pytest.mark.parametrize("place", [("127.64.0.2", 0), ("127.0.0.1", 0)])
def test_a_listener_that_stands_for_no_approved_place_is_refused_and_closed(tmp_path, place):
    world, loop = DataWorld(tmp_path), Loop()
    listener = socket.create_server(place)
    place, live = listener.getsockname(), world.kernel()
    live.admission.forwards.append(Forward(address="127.64.0.1", host="db.example.com", port=place[1]))
    try:
        with pytest.raises(BadRequest, match="stands for no approved place"):
            loop.run(egress.serve_forward(world.state(), live, listener.detach()))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(place, timeout=20)
    finally:
        loop.close()
        world.close()
