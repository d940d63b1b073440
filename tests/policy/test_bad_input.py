"""What a policy file must never be able to do to its reader, and what admins write by mistake: each with the sentence and the step they get."""

import subprocess
import sys
import tracemalloc

import pytest

from jupyter_guardrails.errors import PolicyError
from jupyter_guardrails.policy import load
from jupyter_guardrails.policy.yamltree import MOST_PROBLEMS

START = "apiVersion: guardrails/v1\n"
RULE = "rules:\n- name: r\n  for: everyone\n  "
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))
MASKS = "a mask is one of partial, hash, constant, blank; `unmask: [pii]` lifts a mask of an earlier rule"
ROWS = {
    # what: text below the first line, line, column, part of the sentence, the hint's beginning
    "billion laughs": (BOMB, 7, 25, "holds more than 500,000 values (aliases counted out)", ""),
    "one list a thousand times": (f"a: &a [{'x, ' * 1000}x]\nb: [{'*a, ' * 1000}x]", 3, 1993, "holds more than 500,000 values", ""),
    "half a million values": (f"groups: {{a: [{'x,' * 500_100}]}}", 2, 1000000, "holds more than 500,000 values", ""),
    "nested lists": ("rules: " + "[" * 300, 2, 27, "is nested more than 20 deep", ""),
    "nested mappings": ("".join(f"{' ' * depth}a:\n" for depth in range(40)), 22, 21, "is nested more than 20 deep", ""),
    "itself": ("groups: &a {b: *a}", 2, 16, "the alias *a refers to itself", "a pattern that starts with * needs quotes"),
    "an alias of nothing": ("groups: {b: [*all]}", 2, 14, "*all has no anchor before it", "a pattern that starts with * needs quotes"),
    "a long text": (f"mode: {'x' * 10**6}", 2, 7, "'… (1,000,000 characters)", ""),
    "a long key": (f"{'k' * 900}: 1", 2, 1, "unknown key `kkk", "known: apiVersion, mode"),
    "a long name": (f"groups: {{a: ['{'x' * 10_000}']}}", 2, 14, "must be the name of a person or group, not 'xxx", ""),
    "a long pattern": (RULE + f"data: {{read: ['{'x' * 10_000}']}}", 5, 17, "may have 1024 characters at most, not 10,000", ""),
    "a long row filter": (RULE + f"rows: {{a: {'x' * 10_000}}}", 5, 13, "a row filter may have 4000 characters at most", ""),
    "a key twice": ("mode: warn\nmode: warn", 3, 1, "the key `mode` is here twice, first on line 2", "remove one of them"),
    "a key twice inside": ("groups: {a: [x], a: [y]}", 2, 18, "the key `a` is here twice, first on line 2", "remove one of them"),
    "a tab before a key": ("\tmode: warn", 2, 1, "a tab can't indent YAML", "use spaces"),
    "a tab below a key": ("groups:\n\ta: [b]", 3, 1, "a tab can't indent YAML", "use spaces"),
    "a tab, not the mistake": ("mode:\twran", 2, 7, "`mode` must be 'observe', 'warn' or 'enforce', not 'wran'", "did you mean `warn`?"),
    "a zero byte": ("mode: wa\0rn", 2, 9, "the character U+0000 can't stand in YAML", "remove it"),
    "an escape sequence": ("mode: \x1b[2Jwarn", 2, 7, "the character U+001B can't stand in YAML", "remove it"),
    "an escaped escape sequence": ('"\\e[2Jmode": warn', 2, 1, r"unknown key `\x1b[2Jmode`", "did you mean `mode`?"),
    "a right-to-left mark": ("mode: \u202ewarn", 2, 7, r"not '\u202ewarn'", "did you mean `warn`?"),
    "a merge key": ("groups: &a {x: [y]}\npaths: {<<: *a}", 3, 9, "merge keys (<<) are not read here", "write the keys out"),
    "a tag": ("mode: !!str warn", 2, 7, "the tag !!str is not allowed", "remove it"),
    "a dangerous tag": ("mode: !!python/object/apply:os.system [id]", 2, 7, "the tag !!python/object/apply:os.system is not allowed", "remove it"),
    "a second document": ("mode: warn\n---\nmode: warn", 3, 1, "a second document starts here", "remove the line, or make it a file of its own"),
    "text behind the end": ("...\nmode: warn", 3, 1, "is not YAML", "the document ends before this line"),
    "a list as a key": ("? [a]\n: b", 2, 3, "a key must be plain text", ""),
    "a size below zero": ("profiles: {a: {memory: -2GiB}}", 2, 24, "a size with its unit, like 2GiB or 500MB; '-2GiB' is below 0", ""),
    "a size without a unit": ("profiles: {a: {memory: 2048}}", 2, 24, "a size with its unit, like 2GiB or 500MB; 2048 has no unit", ""),
    "a number below zero for a size": ("profiles: {a: {memory: -1}}", 2, 24, "like 2GiB or 500MB; -1 is below 0", ""),
    "no size": ("profiles: {a: {memory: 0GiB}}", 2, 24, "'0GiB' is too little", ""),
    "a boundless size": ("profiles: {a: {memory: 999999999999GiB}}", 2, 24, "'999999999999GiB' is more than makes sense", ""),
    "a size in small letters": ("profiles: {a: {memory: 2gb}}", 2, 24, "not '2gb': did you mean 2GB?", ""),
    "a short unit": ("profiles: {a: {memory: 512M}}", 2, 24, "not '512M': did you mean 512MiB?", ""),
    "a comma in a size": ("profiles: {a: {memory: '1,5 GiB'}}", 2, 24, "not '1,5 GiB': did you mean 1.5GiB?", ""),
    "not a number for a size": ("profiles: {a: {memory: NaN}}", 2, 24, "must be a size with its unit, like 2GiB or 500MB, not 'NaN'", ""),
    "infinite memory": ("profiles: {a: {memory: .inf}}", 2, 24, "must be a size with its unit, like 2GiB or 500MB, not '.inf'", ""),
    "a time below zero": ("profiles: {a: {idle: -5h}}", 2, 22, "like 15m, 12h or 7d; '-5h' is below 0 (off: no limit)", ""),
    "a time without a unit": ("profiles: {a: {idle: 12}}", 2, 22, "like 15m, 12h or 7d; 12 has no unit (off: no limit)", ""),
    "a time in words": ("profiles: {a: {idle: 90 minutes}}", 2, 22, "not '90 minutes': did you mean 90m?", ""),
    "a time of two units": ("profiles: {a: {idle: 1h30m}}", 2, 22, "must be a time with one unit, like 15m, 12h or 7d, not '1h30m'", ""),
    "no for a time": ("profiles: {a: {idle: no}}", 2, 22, "not 'no' (off: no limit)", ""),
    "not a number": ("profiles: {a: {cpus: .nan}}", 2, 22, "must be a number above 0, like 1.5, not '.nan'", ""),
    "more than a number can be": ("profiles: {a: {cpus: 1e999}}", 2, 22, "not '1e999': write plain decimal digits, like 10", ""),
    "less than any processor": ("profiles: {a: {cpus: 1e-320}}", 2, 22, "must be a number above 0, like 1.5, not 1e-320", ""),
    "a quoted number": ("profiles: {a: {cpus: '2'}}", 2, 22, "not '2': write it without quotes", ""),
    "a quoted whole number": (RULE + "kernels: {max: '10'}", 5, 18, "must be a whole number, not '10'", "write it without quotes"),
    "an octal number": (RULE + "kernels: {max: 010}", 5, 18, "must be a whole number, not '010'", "write plain decimal digits, like 10"),
    "a hexadecimal number": (RULE + "kernels: {max: 0x10}", 5, 18, "must be a whole number, not '0x10'", "write plain decimal digits, like 10"),
    "digits of another script": (RULE + "kernels: {max: １０}", 5, 18, "must be a whole number, not '１０'", "write plain decimal digits, like 10"),
    "a huge number": (RULE + f"kernels: {{max: {'9' * 40}}}", 5, 18, "must be a whole number", "it is too large"),
    "a large number": (RULE + "kernels: {max: 10001}", 5, 18, "must be at most 10000, not 10001", ""),
    "a number for a name": ("groups: {a: [7]}", 2, 14, "not 7: put it in quotes", ""),
    "a mask without a value": (RULE + "mask: {pii: }", 5, 10, "`rules[1].mask.pii` has no value", MASKS),
    "null for a mask": (RULE + "mask: {pii: null}", 5, 10, "`rules[1].mask.pii` has no value", MASKS),
    "no masks": (RULE + "mask: null", 5, 3, "`rules[1].mask` has no value", MASKS),
    "off for a mask": (RULE + "mask: {pii: off}", 5, 15, "must be 'partial', 'hash', 'constant' or 'blank', not 'off'", MASKS),
    "false for a mask": (RULE + "mask: {pii: false}", 5, 15, "not false", MASKS),
    "a list of masks": (RULE + "mask: [pii]", 5, 9, "`rules[1].mask` must be a mapping, like {key: value}, not a list", MASKS),
    "null for a list": ("rules:\n", 2, 1, "`rules` has no value", "write one, or remove the key"),
    "null in a list": ("groups: {a: [x, ~]}", 2, 17, "entry 2 of `groups.a` has no value", "write one, or remove it"),
    "no for false": (
        RULE + "publish: {to: [a], review: no}",
        5,
        30,
        "must be true or false, not 'no'",
        "write false: yes, no, on and off are plain text",
    ),
    "on for true": (RULE + "allow_soft_deny: on", 5, 20, "must be true or false, not 'on'", "write true: yes, no, on and off are plain text"),
    "yes for a choice": (RULE + "budget: {share: yes}", 5, 19, "must be 'person' or 'group', not 'yes'", ""),
    "false for off": ("promotion: {checks: {order: false}}", 2, 29, "must be 'require', 'warn' or 'off', not false", "did you mean `off`?"),
    "one text for a list": (RULE + "data: {read: nyc}", 5, 16, "must be a list, like [a, b], not 'nyc'", "write [nyc]"),
    "one pattern for a list": (RULE + "data: {read: 'nyc/*'}", 5, 16, "must be a list", 'write ["nyc/*"]'),
    "one rule for a list": ("rules: {name: r, for: everyone}", 2, 8, "`rules` must be a list", "start each entry with `- `"),
    "a list for a mapping": ("profiles:\n- small", 3, 1, "`profiles` must be a mapping", "write `NAME: …` for each"),
    "a list of keys": ("profiles: {a: [cpus: 1]}", 2, 15, "must be a mapping", "write its keys without `- `"),
    "a dash missing": ("rules:\n- name: r\n for: everyone", 4, 2, "is not YAML", "the line is indented neither like line 1"),
    "a quote left open": ("groups:\n  a: ['b]\nmode: warn\n", 5, 1, "is not YAML", "the quote that opens on line 3 is not closed"),
    "a bracket left open": ("groups: {a: [b}\n", 2, 15, "is not YAML", "the `[` of line 2 is not closed"),
    "a star without quotes": (RULE + "data: {read: [*]}", 5, 18, "is not YAML", "a pattern that starts with * needs quotes"),
    "a backslash": ('environment: {set: {A: "C:\\q"}}', 2, 27, "is not YAML", "in double quotes \\ has a meaning of its own"),
}
KEYS = {
    # what: text below the first line, the hint
    "capital letters": ("Mode: warn", "did you mean `mode`?"),
    "all capital letters": (RULE + "MASK: {pii: hash}", "did you mean `mask`?"),
    "another style": ("api_version: guardrails/v1", "did you mean `apiVersion`?"),
    "max in a rule": (RULE + "max: 3", "`max` belongs under `kernels`"),
    "read in a rule": (RULE + "read: ['nyc/*']", "`read` belongs under `data`"),
    "memory in a rule": (RULE + "memory: 2GiB", "`memory` belongs under `profiles`, as in profiles: {NAME: {memory: …}}"),
    "memory in kernels": (RULE + "kernels: {memory: 2GiB}", "`memory` belongs under `profiles`, as in profiles: {NAME: {memory: …}}"),
    "a list of profiles in a rule": (RULE + "profiles: [small]", "`profiles` belongs under `kernels`"),
    "profiles in a rule": (RULE + "profiles: {small: {}}", "`profiles` belongs at the top of the file, beside `rules`"),
    "groups in a rule": (RULE + "groups: [a]", "`groups` belongs under `for`"),
    "definitions of groups in a rule": (RULE + "groups: {a: [b]}", "`groups` belongs at the top of the file, beside `rules`"),
    "deny in data": (RULE + "data: {deny: [hr]}", "`deny` belongs beside `data`, not inside it"),
    "kernels at the top": ("kernels: {max: 3}", "`kernels` belongs under `rules`, as in rules: [{kernels: …}]"),
    "max at the top": ("max: 3", "`max` belongs under `rules`, as in rules: [{kernels: {max: …}}]"),
    "read in the top's data": ("data: {read: [a]}", "`read` belongs under `rules`, as in rules: [{data: {read: …}}]"),
    "one of two": ("reviewers: {users: [a]}", "`reviewers` belongs under `data` or `promotion`"),
    "one of them by its value": ("reviewers: owner", "`reviewers` belongs under `data`"),
    "known nowhere": (RULE + "network: {hosts: []}", "known: allow"),
}
FILES = {
    # what: the whole file, line, column, part of the sentence, the hint's beginning
    "nothing": (b"", 0, 0, "is empty", "a policy starts with `apiVersion: guardrails/v1`"),
    "spaces": (b"  \n\n", 0, 0, "is empty", "a policy starts with"),
    "a comment": (b"# to do\n", 0, 0, "is empty", "a policy starts with"),
    "only the start": (b"---\n", 0, 0, "is empty", "a policy starts with"),
    "null": (b"null\n", 1, 1, "must be a mapping of keys to values", "a policy starts with"),
    "a list": (b"- name: r\n  for: everyone\n", 1, 1, "must be a mapping of keys to values", "a policy starts with"),
    "text": (b"mode=warn\n", 1, 1, "must be a mapping of keys to values", "a policy starts with"),
    "no version": (b"mode: warn\n", 1, 1, "`apiVersion` is missing", "write `apiVersion: guardrails/v1`"),
    "a newer version": (b"apiVersion: guardrails/v2\n", 1, 13, "must be 'guardrails/v1', not 'guardrails/v2'", "did you mean `guardrails/v1`?"),
    "UTF-16": (f"{START}mode: warn\n".encode("utf-16"), 0, 0, "the file is UTF-16, not UTF-8", "save it as UTF-8"),
    "UTF-16, no mark": (f"{START}mode: warn\n".encode("utf-16-be"), 0, 0, "the file is UTF-16, not UTF-8", "save it as UTF-8"),
    "UTF-32": (f"{START}mode: warn\n".encode("utf-32"), 0, 0, "the file is UTF-32, not UTF-8", "save it as UTF-8"),
    "Latin-1": (
        f"{START}groups: {{Müller: [ana]}}\n".encode("latin-1"),
        2,
        11,
        "the byte 0xFC",
        "save it as UTF-8: it looks like Latin-1, where this byte is ü",
    ),
    "Latin-1 behind UTF-8": ("\ufeff# ü日".encode() + b"\xe4\n", 1, 5, "the byte 0xE4 can't stand here: the file is not UTF-8", "save it as UTF-8"),
    "no text at all": (b"\x7fELF\x02\x01\x01", 1, 1, "the character U+007F can't stand in YAML", "remove it"),
}
GOOD = {
    "a byte order mark": ("\ufeff" + START + "mode: warn\n", lambda found: found.mode == "warn"),
    "Windows line ends": (START + "mode: warn\r\ngroups:\r\n  a:\r\n  - x\r\n", lambda found: found.groups == {"a": ("x",)}),
    "a tab behind a colon": (START + "mode:\twarn\n", lambda found: found.mode == "warn"),
    "a first line of dashes": ("---\n" + START + "mode: warn\n", lambda found: found.mode == "warn"),
    "an alias": (START + "groups: {a: &x [ana], b: *x}\n", lambda found: found.groups["a"] == found.groups["b"] == ("ana",)),
    "a date for a name": (START + "groups: {2024-01-01: [2024-02-02]}\n", lambda found: found.groups == {"2024-01-01": ("2024-02-02",)}),
    "zeros before a name": (START + "groups: {a: [007, 0x10, 12:30]}\n", lambda found: found.groups["a"] == ("007", "0x10", "12:30")),
    "yes and no for names": (START + "groups: {yes: [no, on]}\n", lambda found: found.groups == {"yes": ("no", "on")}),
    "another script": (START + "groups: {日本: [Müller]}\n", lambda found: found.groups == {"日本": ("Müller",)}),
    "off": (START + "profiles: {a: {idle: off}}\n", lambda found: found.profiles["a"].idle is None),
    "a space before a unit": (START + "profiles: {a: {memory: 2 GiB}}\n", lambda found: found.profiles["a"].memory == 2 * 2**30),
    "JSON": ('{"apiVersion": "guardrails/v1", "mode": "warn"}', lambda found: found.mode == "warn"),
}


def refused(path):
    """The error of a policy that isn't one."""
    with pytest.raises(PolicyError) as caught:
        load(path)
    assert caught.value.exit_code == 2
    return caught.value


def written(tmp_path, data):
    file = tmp_path / "guardrails.yaml"
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return file


def check(problem, line, column, message, hint):
    assert (problem.line, problem.column) == (line, column)
    assert message in problem.message
    assert problem.hint.startswith(hint)
    assert len(problem.message) < 700
    assert all(text.isprintable() for text in (problem.message, problem.hint, problem.source))


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), ROWS.values(), ids=ROWS)
def test_a_mistake_is_said_in_a_sentence_with_a_step(tmp_path, text, line, column, message, hint):
    check(refused(written(tmp_path, START + text)).problems[0], line, column, message, hint)


@pytest.mark.parametrize(("data", "line", "column", "message", "hint"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_policy_at_all(tmp_path, data, line, column, message, hint):
    (problem,) = refused(written(tmp_path, data)).problems
    check(problem, line, column, message, hint)


@pytest.mark.parametrize(("text", "hint"), KEYS.values(), ids=KEYS)
def test_a_key_in_the_wrong_place_is_told_the_right_one(tmp_path, text, hint):
    (problem,) = refused(written(tmp_path, START + text)).problems
    assert problem.message.startswith("unknown key `")
    assert problem.hint == hint


@pytest.mark.parametrize(("text", "holds"), GOOD.values(), ids=GOOD)
def test_what_only_looks_odd_works(tmp_path, text, holds):
    assert holds(load(written(tmp_path, text)).document)


def test_profiles_among_the_rules_are_sent_to_the_top(tmp_path):
    (problem,) = refused(written(tmp_path, f"{START}rules:\n  profiles: {{small: {{memory: 2GiB}}}}\n")).problems
    assert problem.message == "`rules` must be a list, like [a, b], not a mapping"
    assert problem.hint == "`profiles` belongs at the top of the file, beside `rules`"


def test_a_profile_without_its_name_is_told_where_names_stand(tmp_path):
    (problem,) = refused(written(tmp_path, f"{START}profiles: {{memory: 2GiB}}\n")).problems
    assert problem.hint == "`memory` belongs one level deeper, under a name of your own: {NAME: {memory: …}}"


def test_a_required_key_is_explained(tmp_path):
    (problem,) = refused(written(tmp_path, f"{START}rules:\n- name: r\n")).problems
    assert problem.message == "`for` is missing in `rules[1]`"
    assert problem.hint.startswith("write `for: …`: `everyone`, or `{users: [...]")


def test_all_mistakes_come_at_once(tmp_path):
    """Of every kind: YAML's own that don't stop it, missing values, unknown keys, wrong values, names that are not defined."""
    text = (
        "Mode: warn\nmode: !x warn\nmode: warn\nprofiles: {a: {memory: -1, cpus: }}\n"
        + RULE
        + "max: 3\n  kernels: {default: b, max: 010}\n  mask: {pii: }\n"
    )
    error = refused(written(tmp_path, START + text))
    assert [(p.line, p.column) for p in error.problems] == [(2, 1), (3, 7), (4, 1), (5, 24), (5, 28), (9, 3), (10, 22), (10, 30), (11, 10)]
    assert str(error).count(f"{tmp_path}/guardrails.yaml:") == 9


@pytest.mark.parametrize("size", [50 * 10**6, 50 * 2**30])
def test_a_large_file_is_refused_without_being_read(tmp_path, size):
    file = written(tmp_path, START)
    with file.open("r+b") as stream:
        stream.truncate(size)  # sparse: it takes no room
    tracemalloc.start()
    try:
        (problem,) = refused(file).problems
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (problem.message, problem.hint) == ("is larger than 4 MiB", "split it into several files in one directory")
    assert peak < 16 * 2**20


def test_an_alias_bomb_is_not_built(tmp_path):
    file = written(tmp_path, START + BOMB)
    tracemalloc.start()
    try:
        refused(file)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("groups: {a: [" + "3, " * 3000 + "3]}", ""),
        ("".join(f"k{n}: 3\n" for n in range(3000)), ""),
        ("groups: {a: [" + "~, " * 3000 + "x]}", ""),
        ("mode: warn\n" * 3000, "has 1,000 mistakes up to here; the rest is not read"),
    ],
    ids=["values", "keys", "nothings", "repeats"],
)
def test_of_thousands_of_mistakes_a_thousand_are_told(tmp_path, text, last):
    problems = refused(written(tmp_path, START + text)).problems
    assert MOST_PROBLEMS <= len(problems) <= MOST_PROBLEMS + 1
    assert last in problems[-1].message


def test_how_many_more_there_are_is_said(tmp_path):
    problems = refused(written(tmp_path, f"{START}groups: {{a: [{'3, ' * 3000}3]}}")).problems
    assert problems[0].message == "has 2,001 more mistakes than are listed here"


def command(path):
    """`jupyter guardrails policy check PATH` as an admin runs it."""
    return subprocess.run([sys.executable, "-m", "jupyter_guardrails", "policy", "check", str(path)], capture_output=True, text=True, check=False)


CARETS = {
    # file: its text below the first line, the line that is shown, what stands above the caret
    "plain": ("mode: enforced", "mode: enforced", "enforced"),
    "tab": ("groups: {a: [b,\t3]}", "groups: {a: [b, 3]}", "3]}"),
    "tabs": ("profiles:\n  a:\t{cpus:\t-1}", "  a: {cpus: -1}", "-1}"),
    "umlaut": ("paths: {read: ['/Müller', opt]}", "paths: {read: ['/Müller', opt]}", "opt]}"),
    "mask": (RULE + "mask: {pii: }", "  mask: {pii: }", "pii: }"),
    "bomb": (BOMB, "a5: &a5 [*a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4]", "*a4, *a4, *a4, *a4, *a4, *a4, *a4]"),
    "mark": ("promotion: {run_as: '\u202e*'}", "promotion: {run_as: '\ufffd*'}", "'\ufffd*'}"),
}


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """What the command says of a directory with all of these files."""
    folder = tmp_path_factory.mktemp("policy.d")
    for name, (text, _, _) in CARETS.items():
        (folder / f"{name}.yaml").write_text(START + text)
    return command(folder)


def test_the_command_refuses_without_a_traceback(checked):
    assert (checked.returncode, checked.stdout) == (2, "")
    assert checked.stderr.startswith("jupyter guardrails policy: ")
    assert "Traceback" not in checked.stderr
    assert checked.stderr.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", CARETS)
def test_the_command_puts_a_caret_under_the_mistake(checked, name):
    said = checked.stderr.splitlines()
    at = next(position for position, line in enumerate(said) if f"/{name}.yaml:" in line)
    _, line, under = CARETS[name]
    shown, caret = said[at + 1 : at + 3]
    assert shown == f"    {line}"
    assert caret.strip() == "^"
    assert shown[len(caret) - 1 :] == under


def test_the_command_counts_characters_not_bytes_or_cells(tmp_path):
    file = written(tmp_path, START + "groups: {日本: ana, 🦉: ben}\n")
    done = command(file)
    assert done.returncode == 2
    assert [line.split(f"{file}:")[1].partition(" ")[0] for line in done.stderr.splitlines() if str(file) in line] == ["2:14:", "2:22:"]


def test_the_command_says_yes_to_a_policy(tmp_path):
    done = command(written(tmp_path, START + "mode: warn\r\n"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "no mistakes" in done.stdout


def test_the_command_shows_no_bytes_of_a_file_that_is_none(tmp_path):
    done = command(written(tmp_path, bytes(range(256)) * 40))
    assert done.returncode == 2
    assert "the byte 0x80 can't stand here" in done.stderr
    assert done.stderr.replace("\n", "").isprintable()
