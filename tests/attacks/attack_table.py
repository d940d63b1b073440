"""Run every published case of some groups, print what it came to plain and here: `python tests/attacks/attack_table.py WEB XSS`."""

import os
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from test_attacks_packages import LIBRARY
from test_attacks_published import CASES, COVERED, ESCAPED, PLAIN, accounts, cases_of, listed

ROOT = Path(__file__).parents[2]
PUBLISHED = "tests/attacks/test_attacks_published.py::test_what_escapes_on_plain_jupyter_is_blocked"
HERE = "tests/attacks/test_attacks_packages.py"
PACKAGES = {  # those of packages and parsers that are tried otherwise than by one call of one function
    "PKG-12": "test_a_copy_that_was_handed_over_is_out_of_reach",
    "PARSE-04": "test_a_deep_body_is_a_bad_request",
    "PARSE-07": "test_no_odd_number_is_a_quantity",
}
SQL = "tests/control/test_control_sql_attacks.py::test_it_obtains_nothing"


def nodes_of(case):
    """The tests that try a case."""
    if case in CASES:
        return [f"{PUBLISHED}[{case}-{who}]" for who in accounts()]
    if case.startswith("DATA-") and case in ESCAPED:
        return [f"{SQL}[{case}]"]
    if case in PACKAGES:
        return [f"{HERE}::{PACKAGES[case]}"]
    if case in LIBRARY:
        return [f"{HERE}::test_it_obtains_nothing[{case}]"]
    return COVERED.get(case, {}).get("tests", [])


class Outcomes:
    """How each test ended, by its name without what stands in brackets and with it."""

    def __init__(self):
        self.found = defaultdict(list)

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            for name in {report.nodeid, report.nodeid.partition("[")[0]}:
                self.found[name].append(report.outcome)


def line(name, case, found):
    plain = PLAIN[name]["result"].lower() if name in PLAIN else "not run"
    nodes = nodes_of(name)
    ends = [end for node in nodes for end in found[node]]
    counted = ", ".join(f"{ends.count(kind)} {kind}" for kind in ("passed", "skipped", "failed") if kind in ends)
    by = "its snippet" if nodes and nodes[0].startswith((PUBLISHED, SQL, HERE)) else "tests of ours"
    by = "a test of ours" if any(listed(name, who) for who in accounts()) else by
    here = f"{by}: {counted}" if ends else f"open: {COVERED[name]['open']}" if name in COVERED else "not tried here"
    return f"| {name} | {case['title']} | {plain} | {here} |"


def main(groups):
    cases, outcomes = cases_of(*groups), Outcomes()
    nodes = list(dict.fromkeys(node for case in cases for node in nodes_of(case)))
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))  # as `python -m pytest` has it
    code = pytest.main(["-q", "-p", "no:cacheprovider", "--no-header", *nodes], plugins=[outcomes])
    print("| case | what is tried | plain JupyterLab | here |\n| --- | --- | --- | --- |")
    print("\n".join(line(name, case, outcomes.found) for name, case in cases.items()))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["DATA", "PATH", "PKG", "PARSE", "FLOW", "WEB", "XSS"]))
