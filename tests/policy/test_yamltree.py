"""YAML as text from somebody else: places for everything, bounds on everything."""

import time

import pytest
import yaml

from jupyter_guardrails.policy import yamltree
from jupyter_guardrails.policy.yamltree import read_tree


def plain(text):
    root, problems = read_tree(text if isinstance(text, bytes) else text.encode(), "g.yaml")
    assert not problems
    return root.plain()


def problem(text):
    root, problems = read_tree(text if isinstance(text, bytes) else text.encode(), "g.yaml")
    assert problems, root.plain()
    return problems[0]


def test_plain_values_are_those_of_yaml_1_2():
    text = "{a: 1, b: 1.5, c: 'x', d: true, e: off, f: no, g: 0o17, h: 1_000, i: 12:30, j: '1', k: -3, l: null, m: 2024-01-01}"
    values = [1, 1.5, "x", True, "off", "no", "0o17", "1_000", "12:30", "1", -3, None, "2024-01-01"]
    assert list(plain(text).values()) == values


def test_every_value_knows_its_place():
    root, _ = read_tree(b"a:\n  - x\n  - {b: yes}\n", "g.yaml")
    inner = root.entries["a"][1].items[1].entries["b"]
    assert [(node.line, node.column) for node in inner] == [(3, 6), (3, 9)]


def test_a_byte_order_mark_and_windows_line_ends_are_accepted():
    assert plain(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n") == {"a": 1, "b": 2}
    assert problem(b"\xef\xbb\xbfa: 1\r\nb: 2\r\na: 3\r\n").line == 3


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: 1\na: 2", 2, 1, "twice, first on line 1"),
        ("a:\n\t- b", 2, 1, "a tab can't indent"),
        ("a: b: c", 1, 5, "mapping values"),
        ("a: !!python/object/apply:os.getpid []", 1, 4, "tag"),
        ("a: !x b", 1, 4, "tag"),
        ("a: 1\n---\nb: 2", 2, 1, "second document"),
        ("a: *nowhere", 1, 4, "no anchor"),
        ("a: &x [*x]", 1, 8, "refers to itself"),
        ("<<: {a: 1}", 1, 1, "merge keys"),
        ("? [x]\n: y", 1, 3, "plain text"),
        (b"a: 1\nb: \xff", 2, 4, "not UTF-8"),
        ("a: 1\nb: \x07", 2, 4, "U+0007"),
        ("a: 'x", 1, 6, "quoted scalar"),
    ],
)
def test_mistakes_have_a_place(text, line, column, message):
    found = problem(text)
    assert (found.line, found.column) == (line, column)
    assert message in found.message


def test_all_duplicates_are_reported():
    _, problems = read_tree(b"a: {x: 1, x: 2}\nb: 1\nb: 2\n", "g.yaml")
    assert [(p.line, p.column) for p in problems] == [(1, 11), (3, 1)]


def test_aliases_work_within_bounds():
    assert plain("a: &x [1, 2]\nb: *x") == {"a": (1, 2), "b": (1, 2)}


def test_an_alias_bomb_is_counted_out_not_built():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    started = time.process_time()
    assert "more than" in problem("\n".join(lines)).message
    assert time.process_time() - started < 2


def test_size_is_bounded():
    assert "larger than" in problem(b"#" * (yamltree.LARGEST_FILE + 1)).message


def test_an_empty_file_has_no_root():
    assert read_tree(b"", "g.yaml") == (None, [])
    assert read_tree(b"# nothing\n", "g.yaml") == (None, [])


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
@pytest.mark.parametrize(
    "text",
    ['a: "\\UFFFFFFFF"', 'a: "\\ud800"', f"%YAML 1.{'9' * 5000}\n---\na: 1", "a: !<%ff> b", "%TAG ! \n--- a", 'a: "\\x"', "a: |99\n  x", "? " * 5000],
)
def test_what_parsers_choke_on_is_a_problem(monkeypatch, loader, text):
    monkeypatch.setattr(yamltree, "LOADER", getattr(yaml, loader))
    assert problem(text).message


def test_what_a_file_holds_cannot_steer_a_terminal():
    assert problem('"\\e[2J": 1\n"\\e[2J": 2').message == r"the key `\x1b[2J` is here twice, first on line 1"


def test_without_the_c_parser_the_answers_are_the_same(monkeypatch):
    text = "a: 1\nb: [x, {c: 'd'}]\ne: off\n"
    fast = plain(text)
    monkeypatch.setattr(yamltree, "LOADER", yaml.SafeLoader)
    assert plain(text) == fast
    assert problem("a: 1\na: 2").line == 2
    assert problem("a:\n\t- b").message == "a tab can't indent YAML"


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000])
def test_nesting_is_bounded(text):
    """By us or, with libyaml 0.2.6, already by the parser: the column differs, the sentence doesn't."""
    found = problem(text)
    assert found.message == "is nested more than 20 deep"
    assert found.line == 1
    assert found.column > 20
