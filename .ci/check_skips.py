"""Fails on a skipped test that nobody expects: a missing host feature must not turn into a silent pass."""

import re
import sys
import xml.etree.ElementTree as ElementTree

EXPECTED = (  # reason (regular expression) of each skip that is right on some machine
    r"initdb and pg_ctl are not on this machine's PATH",
    r"needs root",
    r"needs Slurm",
    r"not running as root",
    r"only root can",
    r"is root's only",
    r"an ordinary account tells",
    r"Linux counts no processes of root",
    r"this host has no route",
    r"needs two processors",
    r"this host lets no systemd of the test's own start",
    r"needs bash",
    r"the published attacks are not beside this checkout",
    r"the ordinary account can't read this checkout",  # .ci/test-unprivileged runs the same tests from a copy
    r"the documentation is not beside these tests",
    r"a long run only: GUARDRAILS_SOAK=1",
    r"(node|java|git|buildah|cron|systemd|systemd-journald|rsyslogd|Rscript|IRkernel) is not on this machine",
    r"rotel is not installed: no collector to test with",  # it has no wheel for every processor
)


def main(report: str) -> int:
    """1 when the JUnit report holds an unexpected skip, which is printed."""
    cases = ElementTree.parse(report).iter("testcase")
    skips = [(case.get("classname"), case.get("name"), skip.get("message") or "") for case in cases for skip in case.iter("skipped")]
    unexpected = [skip for skip in skips if not any(re.search(reason, skip[2]) for reason in EXPECTED)]
    for place, name, reason in unexpected:
        print(f"unexpected skip: {place}::{name}: {reason}")
    print(f"{len(skips)} skips, {len(unexpected)} of them unexpected")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
