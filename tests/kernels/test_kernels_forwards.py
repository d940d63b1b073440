"""Approved places that don't speak HTTP, as a kernel sees them: names in its hosts file, listeners, and a place made ahead that fits no more."""

from jupyter_guardrails.control.interface.messages import Forward
from jupyter_guardrails.kernels import folders
from jupyter_guardrails.kernels.forwards import listener_kinds, write_hosts

MACHINE = """\
127.0.0.1\tlocalhost
10.1.2.3 db.example.com db   # the real one
2001:db8::3 DB.example.com.
10.1.2.4 other.example.com
"""


def forward(host: str, port: int, last: int = 1) -> Forward:
    return Forward(address=f"127.64.0.{last}", host=host, port=port)


def test_names_lead_to_the_listeners_and_to_nothing_else(tmp_path):
    (tmp_path / "machine").write_text(MACHINE)
    kernel = folders.make_folders(tmp_path)
    write_hosts(kernel, [forward("db.example.com", 5432), forward("db.example.com", 6432), forward("git.example.com", 22, 2)], tmp_path / "machine")
    assert kernel.hosts.read_text().splitlines() == [
        "127.64.0.1\tdb.example.com",
        "127.64.0.2\tgit.example.com",
        "127.0.0.1\tlocalhost",
        "10.1.2.3\tdb",
        "10.1.2.4\tother.example.com",
    ]


def test_without_such_places_or_without_a_hosts_file(tmp_path):
    kernel = folders.make_folders(tmp_path)
    write_hosts(kernel, [])
    assert not kernel.hosts.exists()
    write_hosts(kernel, [forward("db.example.com", 5432)], tmp_path / "absent")
    assert kernel.hosts.read_text() == "127.64.0.1\tdb.example.com\n"


def test_a_file_that_is_in_a_root_already_is_written_in_place(tmp_path):
    kernel = folders.make_folders(tmp_path)
    write_hosts(kernel, [forward("db.example.com", 5432)])
    before = kernel.hosts.stat().st_ino
    write_hosts(kernel, [forward("new.example.com", 5432)])
    assert kernel.hosts.stat().st_ino == before
    assert kernel.hosts.read_text().startswith("127.64.0.1\tnew.example.com\n")


def test_listeners_are_named_in_their_order():
    assert listener_kinds(4) == ["channel", "proxy", "forward", "forward"]
    assert listener_kinds(1) == ["channel"]
    assert listener_kinds(0) == []
    assert listener_kinds(2, ("proxy",)) == ["proxy", "forward"]
