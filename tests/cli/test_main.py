"""The entry point: what it does for a process of its own, and not for whoever calls it."""

import gc
import importlib.resources
import subprocess
import sys

from jupyter_guardrails.cli import main

POLICY = importlib.resources.files("jupyter_guardrails") / "demo" / "policy.yaml"
PROCESS = """
import gc, sys
from jupyter_guardrails.cli import main
code = main.main()
print(code, gc.isenabled(), gc.get_freeze_count() > 0)
"""


def test_modules_are_kept_from_the_collector_which_runs_on():
    words = ("policy", "check", str(POLICY))
    done = subprocess.run([sys.executable, "-c", PROCESS, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "0 True True"), done.stderr


def test_whoever_calls_it_with_words_keeps_its_own_collector(capsys):
    before, enabled = gc.get_freeze_count(), gc.isenabled()
    assert main.main(["policy", "check", str(POLICY)]) == 0, capsys.readouterr()
    assert gc.get_freeze_count() <= before, "what is kept may end, and nothing is added"
    assert gc.isenabled() == enabled
