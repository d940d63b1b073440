"""Mistakes that admins make: each is found at its place, said in one sentence, with a hint where there is one."""

import pytest

RULE = "rules:\n- name: r\n  for: everyone\n  "
CASES = [
    # text, line, column, part of the message, part of the hint
    ("mod: warn", 2, 1, "unknown key `mod`", "did you mean `mode`"),
    ("mode: enforced", 2, 7, "`mode` must be 'observe', 'warn' or 'enforce'", "did you mean `enforce`"),
    ("mode:", 2, 1, "`mode` has no value", "remove the key"),
    ("mode: ~\nrules: null", 2, 1, "`mode` has no value", ""),
    ("require: [files, netwrk]", 2, 18, "`require[2]` must be", "did you mean `network`"),
    ("admins: platform", 2, 9, "`admins` must be a mapping", ""),
    ("groups: {a: ana}", 2, 13, "`groups.a` must be a list", ""),
    ("groups: {a: [3]}", 2, 14, "put it in quotes", ""),
    ("groups: {a: [x/y]}", 2, 14, "name of a person or group", ""),
    ("environment: {set: {A: 1}}", 2, 24, "put it in quotes", ""),
    ("environment: {pass: [A-B]}", 2, 22, "environment variable", ""),
    ("paths: {read: [opt]}", 2, 16, "absolute path", ""),
    ("paths: {read: [/a/../etc]}", 2, 16, "absolute path", ""),
    ("paths: {read: ['/a/*']}", 2, 16, "absolute path", ""),
    ("paths: {write: [/]}", 2, 17, "below /", ""),
    ("paths: {write: ['/x/{group}']}", 2, 17, "below /", ""),
    ("profiles: {small: {memmory: 2GiB}}", 2, 20, "unknown key `memmory` in `profiles.small`", "did you mean `memory`"),
    ("profiles: {memory: {cpu: 1}}", 2, 21, "unknown key `cpu` in `profiles.memory`", "did you mean `cpus`"),
    ("profiles: {small: {memory: 2}}", 2, 28, "2 has no unit", ""),
    ("profiles: {small: {memory: 2048}}", 2, 28, "2048 has no unit", ""),
    ("profiles: {small: {memory: 2Gb}}", 2, 28, "like 2GiB", ""),
    ("profiles: {small: {cpus: '1'}}", 2, 26, "number above 0", ""),
    ("profiles: {small: {idle: 3600}}", 2, 26, "3600 has no unit", ""),
    ("profiles: {small: {tasks: 1.5}}", 2, 27, "whole number", ""),
    ("profiles: {small: {tasks: true}}", 2, 27, "whole number, not true", ""),
    (RULE + "kernels: {profiles: [smal]}\nprofiles: {small: {}}", 5, 24, "`smal` is not defined", "did you mean `small`"),
    (RULE + "kernels: {default: large}", 5, 22, "`large` is not defined", "standard"),
    (RULE + "kernels: {terminals: large}", 5, 24, "`large` is not defined", ""),
    ("promotion: {production_profile: large}", 2, 33, "`large` is not defined", ""),
    (RULE + "kernels: {max: -1}", 5, 18, "at least 0", ""),
    (RULE + "kernels: {max: ten}", 5, 18, "whole number", ""),
    (RULE + "network: {allow: [example.com]}", 5, 21, "has no port", ""),
    (RULE + "network: {allow: ['*:443']}", 5, 21, "write ** for every name", ""),
    (RULE + "network: {allow: [{host: a.b, prt: 1}]}", 5, 21, "`port` is missing", ""),
    (RULE + "network: {allow: [{host: a.b, port: 0}]}", 5, 39, "1 to 65535", ""),
    (RULE + "network: {allow: [{host: a.b, port: 1, private: 10.0.0.1/8}]}", 5, 51, "address range", ""),
    (RULE + "budget: {cpu_hours: 40h}", 5, 23, "number above 0", ""),
    (RULE + "budget: {warn_at: 0.8}", 5, 21, "percentage", ""),
    (RULE + "budget: {per: 7}", 5, 17, "7 has no unit", ""),
    (RULE + "data: {read: nyc}", 5, 16, "must be a list", ""),
    (RULE + "data: {read: ['a?']}", 5, 17, "only * (inside one part) and **", ""),
    (RULE + "data: {reed: []}", 5, 10, "unknown key `reed`", "did you mean `read`"),
    (RULE + "mask: {pii: hsh}", 5, 15, "must be 'partial', 'hash'", "did you mean `hash`"),
    (RULE + "mask: {pii: hash}\n  unmask: [pii]", 3, 3, "masks and unmasks 'pii'", ""),
    (RULE + "rows: {a: 'x == 1'}", 5, 13, "no literal", ""),
    (RULE + "deny: {data: [{}]}", 5, 17, "matches every dataset", ""),
    (RULE + "deny: {data: [{clasification: x}]}", 5, 18, "unknown key", "did you mean `classification`"),
    (RULE + "deny: {network: [10.0.0.0/8]}", 5, 20, "no host:port", ""),
    (RULE + "mode: warn\n  deny: {data: [a]}", 3, 3, "would soften", ""),
    ("rules:\n- for: everyone", 3, 3, "`name` is missing in `rules[1]`", ""),
    ("rules:\n- name: r", 3, 3, "`for` is missing in `rules[1]`", ""),
    ("rules: [{name: r, for: everybody}]", 2, 24, "must be everyone", ""),
    ("rules: [{name: r, for: {users: []}}]", 2, 24, "selects nobody", ""),
    ("rules: [{name: r, for: {not: {users: [a]}}}]", 2, 24, "selects nobody", ""),
    ("rules: [{name: r, for: everyone}, {name: r, for: everyone}]", 2, 42, "used twice", ""),
    ("rules: [3]", 2, 9, "`rules[1]` must be a mapping", ""),
    ("promotion: {approvals: 0}", 2, 24, "at least 1", ""),
    ("promotion: {checks: {secretz: off}}", 2, 22, "is not known", "did you mean `secrets`"),
    ("promotion: {checks: {order: wrn}}", 2, 29, "must be 'require'", "did you mean `warn`"),
    ("promotion: {engines: {slrm: {}}}", 2, 23, "is not known", "did you mean `slurm`"),
    ("audit: {cells: all}", 2, 16, "must be 'off', 'digest' or 'code'", ""),
    (
        "audit: {witness: [journal]}",
        2,
        19,
        "must be journald, syslog, udp://host:port, tcp://host:port or an OTLP collector's https://…, not 'journal'",
        "",
    ),
    ("audit: {witness: ['https://me:pw@logs.example.com']}", 2, 19, "must be an http(s) address without user or password in it", ""),
    ("audit: {witness: [{to: 'udp://a:514', required: true}]}", 2, 19, "can't be required over udp, where nobody knows what arrives", ""),
    ("audit: {witnes: [syslog]}", 2, 9, "unknown key `witnes` in `audit`", "did you mean `witness`"),
    ("Audit: {}", 2, 1, "unknown key `Audit`", "did you mean `audit`"),
    ("users: [ana]", 2, 1, "unknown key `users`", "belongs under `admins`"),
    ("notify: {keep: 90d}", 2, 10, "unknown key `keep` in `notify`", "belongs under `audit`, as in audit: {keep: …}"),
    ("profiles: {small: {size: 1GiB}}", 2, 20, "unknown key `size` in `profiles.small`", "did you mean `file_size`"),
    ("profiles: {small: {max: 1}}", 2, 20, "unknown key `max` in `profiles.small`", "as in rules: [{kernels: {max: …}}]"),
    (RULE + "private: [10.0.0.0/8]", 5, 3, "unknown key `private`", "as in rules: [{network: {allow: [{private: …}]}}]"),
    (RULE + "deny: {network: [{host: a.b}]}", 5, 20, "`port` is missing in `rules[1].deny.network[1]`", "write `port: …`"),
    (RULE + "publish: {to: []}", 5, 17, "needs at least 1 entry", ""),
    (RULE + "deny: {data: hr}", 5, 16, "must be a list", "write [hr]"),
    ("rules: everyone", 2, 8, "must be a list, like [a, b], not 'everyone'", ""),
    ("groups: {a: [[x]]}", 2, 14, "must be the name of a person or group, not a list", ""),
    ("groups: {a: {users: [x]}}", 2, 13, "must be a list, like [a, b], not a mapping", ""),
    ("paths: {write: [/scratch/{user}]}", 2, 26, "is not YAML", "needs quotes"),
]


@pytest.mark.parametrize(("text", "line", "column", "message", "hint"), CASES, ids=[case[0][:60] for case in CASES])
def test_a_mistake_is_found_at_its_place(mistakes, text, line, column, message, hint):
    first = mistakes(text)[0]
    assert (first.line, first.column) == (line, column)
    assert message in first.message
    assert hint in first.hint
    assert "pydantic" not in str(first)


def test_all_mistakes_come_at_once_in_the_order_of_the_file(mistakes):
    found = mistakes(
        "mod: warn\nprofiles: {a: {memory: 2}}\nrules:\n- {name: r, for: everyone, kernels: {max: x, profiles: [b]}}\n- 3\naudit: {keep: 90}\n"
    )
    assert [(p.line, p.column) for p in found] == [(2, 1), (3, 24), (5, 43), (5, 57), (6, 3), (7, 15)]


def test_a_problem_shows_the_line_with_a_caret(mistakes):
    assert str(mistakes("mod: warn")[0]).splitlines()[1:] == ["    mod: warn", "    ^", "    did you mean `mode`?"]


def test_credentials_in_an_address_are_not_repeated_in_the_message(mistakes):
    assert "hunter2" not in mistakes("notify: {webhook: 'https://x:hunter2@hooks.example.com/'}")[0].message


def test_a_soft_deny_can_be_meant(policy):
    assert policy(RULE + "mode: warn\n  allow_soft_deny: true\n  deny: {data: [a]}").document.rules[0].mode == "warn"


def test_plug_ins_are_named_with_a_dot(policy):
    checks = policy("promotion: {checks: {acme.licences: require}, engines: {acme.grid: {queue: prod}}}").document.promotion
    assert (dict(checks.checks), checks.engines["acme.grid"]) == ({"acme.licences": "require"}, {"queue": "prod"})
