"""What recording costs in `observe` and `warn`: the same sandbox traced and untraced, in turn, in one run.

    .venv/bin/python benchmarks/traced_open.py [--rounds 5] [--opens 20000] [--import pandas]

Two programs: one that opens and closes files, the same few again and again and many different ones; and one that starts Python and imports
a big package. To hold: the wall time of a whole notebook <= 1.03. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from jupyter_guardrails.sandbox.run import start
from jupyter_guardrails.sandbox.spec import SandboxSpec
from jupyter_guardrails.sandbox.tracer import Tracer

READ = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/proc", sys.prefix, sys.base_prefix)
OPENS = """
import os, sys, time
count, paths = int(sys.argv[1]), sys.argv[2:]
begin = time.perf_counter()
for number in range(count):
    os.close(os.open(paths[number % len(paths)], os.O_RDONLY))
print((time.perf_counter() - begin) / count * 1e6)
"""


def main() -> int:
    """Measure, print a line for readers and one for programs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="of each (default: %(default)s)")
    parser.add_argument("--opens", type=int, default=20000, help="in a round (default: %(default)s)")
    parser.add_argument("--import", dest="package", default="pandas", help="the package to import (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gr-bench-") as place:
        report = measure(place, arguments.rounds, arguments.opens, arguments.package)
    opens = ", ".join(f"{name} {report[f'{name}_plain_us']:.1f} -> {report[f'{name}_traced_us']:.1f} µs" for name in ("same", "different"))
    print(f"open and close: {opens}")
    imported = f"{report['import_plain_s']:.3f} -> {report['import_traced_s']:.3f} s"
    print(f"python -c 'import {arguments.package}': {imported}, ratio {report['import_ratio']:.3f}")
    print(json.dumps(report))
    return 0


def measure(place: str, rounds: int, opens: int, package: str) -> dict[str, float]:
    """Medians over the rounds; `_us` is one open and close, `_s` a whole process from start to end."""
    files = [f"{place}/{number}" for number in range(2000)]
    for path in files:
        open(path, "w").close()
    programs = {
        "same": (OPENS, str(opens), *files[:4]),
        "different": (OPENS, str(len(files)), *files),
        "import": (f"import {package}",),
    }
    found: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for name, program in programs.items():
            for trace in (bool(number % 2), not number % 2):
                value = one_run(place, program, trace=trace)
                if number:  # the first round fills the disk's caches
                    found.setdefault(f"{name}_{'traced' if trace else 'plain'}_{'s' if name == 'import' else 'us'}", []).append(value)
    report = {name: statistics.median(values) for name, values in found.items()}
    return report | {"import_ratio": report["import_traced_s"] / report["import_plain_s"]}


def one_run(place: str, program: tuple[str, ...], *, trace: bool) -> float:
    """What the program printed, else the seconds from its start to its end."""
    spec = SandboxSpec(
        (sys.executable, "-c", *program), {"PATH": os.defpath, "HOME": place}, place, read=READ, observed=True, trace=trace, network="host"
    )
    begin = time.perf_counter()
    started = start(spec, stdout=subprocess.PIPE, text=True)
    printed, _ = started.process.communicate()
    spent_s = time.perf_counter() - begin
    follow(started.tracer)
    return float(printed) if printed else spent_s


def follow(tracer: Tracer | None) -> None:
    """Take what was found, until the tracer ends."""
    for _ in tracer.batches() if tracer else ():
        pass


if __name__ == "__main__":
    raise SystemExit(main())
