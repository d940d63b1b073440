"""Network entries: one spelling a host, and no way to say an address so that a rule doesn't see it."""

import pytest

from jupyter_guardrails.policy.hosts import HostIndex, NetworkEntry, normal_host, parse_entry


def covers(entry, host, port=443, deny=False):
    return HostIndex((parse_entry(entry),), deny=deny).first(normal_host(host), port) is not None


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("packages.example.com:443", "packages.example.com", 443),
        ("Packages.EXAMPLE.com.:443", "packages.example.com", 443),
        ("169.254.169.254:*", "169.254.169.254", None),
        ("[::1]:8080", "::1", 8080),
        ("[::ffff:10.0.0.1]:80", "10.0.0.1", 80),
        ("0x7f.1:80", "127.0.0.1", 80),
        ("**.example.com:*", "**.example.com", None),
    ],
)
def test_entries_have_one_spelling(text, host, port):
    assert parse_entry(text) == NetworkEntry(host, port)
    assert parse_entry(parse_entry(text).text) == parse_entry(text)


@pytest.mark.parametrize(
    "bad",
    [
        "example.com",
        ":443",
        "example.com:",
        "example.com:0",
        "example.com:65536",
        "example.com:4x",
        "https://example.com:443",
        "10.0.0.0/8:443",
        "::1:443",
        "[zz]:1",
        "exämple.com:443",
        "*:443",
        "a b:443",
        "a..b:443",
        "-a.com:443",
        "1.2.3.4.5:80",
        "256.1.1.1:80",
        "a" * 300 + ":1",
        "user@host:22",
        "a.b%x:80",
        "**.254:443",
    ],
)
def test_what_is_no_entry_is_refused_in_a_sentence(bad):
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        parse_entry(bad)


@pytest.mark.parametrize(
    "spelling", ["169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "::ffff:169.254.169.254"]
)
def test_an_address_is_seen_in_every_spelling(spelling):
    assert covers("169.254.169.254:*", spelling)


def test_a_name_never_matches_an_address_nor_the_other_way_round():
    assert not covers("**:443", "169.254.169.254")
    assert covers("**:443", "any.example.com")
    assert not covers("169.254.169.254:443", "metadata.example.com")


def test_a_deny_of_everything_covers_addresses_too():
    assert covers("**:*", "10.0.0.1", deny=True)
    assert not covers("**:443", "10.0.0.1", port=80, deny=True)


def test_stars_stay_inside_a_label_unless_doubled():
    assert covers("*.example.com:443", "a.example.com")
    assert not covers("*.example.com:443", "a.b.example.com")
    assert not covers("*.example.com:443", "example.com")
    assert covers("**.example.com:443", "a.b.example.com")
    assert not covers("**.example.com:443", "example.com.evil.example")


def test_ports_count():
    assert covers("a.example.com:*", "a.example.com", port=1)
    assert not covers("a.example.com:443", "a.example.com", port=444)


def test_the_first_entry_in_order_is_found():
    entries = tuple(parse_entry(text) for text in ("**.com:*", "a.com:443", "a.com:*"))
    assert HostIndex(entries).first("a.com", 443) == 0
    assert HostIndex(entries[1:]).first("a.com", 443) == 0
    assert HostIndex(entries[1:]).first("a.com", 80) == 1
