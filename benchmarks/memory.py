"""Memory bombs against governed kernels: how many sessions survive, and how far above its limit a tree ever was.

    .venv/bin/python benchmarks/memory.py [--each 20] [--kinds numpy,memfd] [--show]

200 bombs of ten kinds, each in a kernel of its own with a limit of 512 MiB: a variable that was set before must still be there, and the next
cell must run. To hold: 99 % of the sessions, peaks of 1.1 of the limit. The last line is JSON.

Nothing is run without guardrails: it would take the machine down. What others do with the same limit (measured by us under 2 GiB, see
docs/compatibility.md): `prlimit --as` refuses at 1.1 GiB of real memory and lets 8 forks have 3.2 GiB, `ulimit -d` likewise; bubblewrap and
jupyter-resource-usage's `mem_limit` hold nothing; a cgroup's `memory.max` (systemdspawner, Docker, Kubernetes) holds exactly and kills the kernel.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "kernels"))
import bombs

SURVIVAL, PEAK = 0.99, 1.1


def main() -> int:
    """0 when both targets are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=20, help="bombs of each kind (default: %(default)s)")
    parser.add_argument("--kinds", default=",".join(bombs.BOMBS), help="which (default: all)")
    parser.add_argument("--show", action="store_true", help="every bomb, with what its person was told")
    arguments = parser.parse_args()
    outcomes = bombs.explode(arguments.each, arguments.kinds.split(","), heard=_show if arguments.show else lambda outcome: None)
    kinds = bombs.summary(outcomes)
    for kind, found in kinds.items():
        print(
            f"{kind:12} {found['survived']} of {found['bombs']} sessions survived, peak {found['peak_median']:.2f} "
            f"(at most {found['peak_max']:.2f}) of {bombs.LIMIT_MIB} MiB, {found['seconds_median']:.1f} s"
        )
    survived = sum(one.survived for one in outcomes) / len(outcomes)
    worst = max(one.peak for one in outcomes)
    print(f"{survived:.1%} of {len(outcomes)} sessions survived (to hold: {SURVIVAL:.0%}); highest peak {worst:.2f} (to hold: {PEAK})")
    print(json.dumps({"bombs": len(outcomes), "survival": round(survived, 4), "peak": round(worst, 3), "kinds": kinds}))
    return 0 if survived >= SURVIVAL and worst <= PEAK else 1


def _show(outcome: bombs.Outcome) -> None:
    print(f"{outcome.kind}: survived {outcome.survived}, peak {outcome.peak:.2f}, {outcome.seconds:.1f} s\n  {outcome.said[-200:]!r}")
    for text in outcome.told:
        print(f"  told: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
