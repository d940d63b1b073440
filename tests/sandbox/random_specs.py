"""Random sandbox specifications, most of them nonsense: made from a number, so that each can be made again."""

import json
import random
from dataclasses import asdict

from jupyter_guardrails.errors import GuardrailsError
from jupyter_guardrails.sandbox.handover import prepare
from jupyter_guardrails.sandbox.spec import GUARANTEES, Limits, SandboxSpec

TEXTS = ("", "/", "/tmp", "/nowhere", "relative", "a\nb", "a\0b", "\ud800", "/" + "x" * 5000, "/usr/../etc", "ü", "/proc/self/fd", " ", "-1", "*")
ARGV = (("/bin/true",), ("/bin/true", "x"), ("true",), (), ("",), ("/usr",), ("/nowhere/at/all",), ("/bin/true", "a\0b"), ("/bin/sh", "-c", "exit 7"))
NUMBERS = (None, 0, 1, -1, 2, 64, 1 << 20, 1 << 30, 1 << 63, 1 << 70, 1.5, float("nan"), "5", True)
SYSTEM = ("/usr", "/lib", "/lib64", "/bin")


def make(number: int) -> SandboxSpec:
    """One of them; each field is sensible most of the time."""
    dice = random.Random(number)
    some = lambda good, *bad: good if dice.random() < 0.85 else dice.choice(bad)  # noqa: E731
    paths = tuple(dice.sample(TEXTS, dice.randrange(4)))
    return SandboxSpec(
        argv=some(("/bin/true",), *ARGV),
        env=some({"A": "b"}, {}, {dice.choice(TEXTS): dice.choice(TEXTS)}, {"A=B": "c"}, {"PATH": "/bin"}),
        cwd=some("/", *TEXTS),
        read=some(SYSTEM, paths, (*SYSTEM, *paths)),
        write=some((), paths),
        devices=some(("/dev/null",), paths),
        network=some("none", "none", "host", "nonsense", "", None),
        proxy_port=some(None, 3128, 0, 1, -1, 70000),
        forwards=some((), (), (("127.64.0.1", 5432),), (("10.0.0.1", 22),), (("127.64.0.1", 0),), ("127.64.0.1",), None, (("127.64.0.1", 22),) * 99),
        channel=some(None, f"fuzz-{number}", "", "x" * 200, "a\0b"),
        limits=Limits(some(1 << 30, *NUMBERS), some(None, 0.5, -0.5, *NUMBERS), some(None, *NUMBERS), some(4096, *NUMBERS[1:]), some(None, *NUMBERS)),
        require=some(("files",), (), ("files", "network"), tuple(dice.sample(GUARANTEES, 3)), ("nonsense",)),
        tty=some(False, 0, None),
        told=some((), (), paths, None, "/tmp"),
        beside=some((), SYSTEM, paths),
        root=some("own", "shared", "", None),
        temporary=some(None, *TEXTS),
        covers=some((), (), ("/a",), (("/a",),), ((dice.choice(TEXTS), "/etc/hosts"),)),
    )


def hand_over(first: int, count: int) -> tuple[int, int]:
    """Validation and hand-over alone, as JSON that reads back the same: how many were prepared, how many refused. Anything else raises."""
    prepared = refused = 0
    for number in range(first, first + count):
        spec = make(number)
        try:
            ready = prepare(spec)
        except GuardrailsError:
            refused += 1
            continue
        ready.close()
        prepared += 1
        assert json.loads(spec.to_json()) == json.loads(json.dumps(asdict(spec))), number
    return prepared, refused
