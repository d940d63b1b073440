"""docs/admins.md, "From `init` to `enforce`": every command of it is run, in its order, on a machine with an /etc of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "admins.md").read_text()
GUIDE = PAGE[PAGE.index("## From `init` to `enforce`") : PAGE.index("### Presets")]
BLOCKS = re.findall(r"```bash\n(.*?)```", GUIDE, re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines() if line.strip()]

# What stands for the admin's hands: sudo is this shell itself, and a Lab that runs is ended as by Ctrl-C.
HANDS = """
set -euo pipefail
cp -a /etc etc && mkdir -p etc/jupyter && rm -rf etc/jupyter/guardrails && mount --bind etc /etc
sudo() { "$@"; }
jupyter() {
  if [ "$2" != lab ]; then command jupyter "$@"; return; fi
  mkfifo said; command jupyter "$@" --no-browser --allow-root >said 2>&1 & pid=$!
  ready=no
  while read -r line; do
    echo "$line"
    if [ $ready = no ] && [[ $line =~ (http://127\.0\.0\.1:[0-9]+) ]]; then
      ready=yes; curl -s -o /dev/null --retry 60 --retry-connrefused --retry-delay 1 "${BASH_REMATCH[1]}/api"; kill -TERM $pid
    fi
  done <said
  rm said; wait $pid || true
  [ $ready = yes ]
}
step() { echo "STEP $1"; }
"""


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """(command, what it printed) of each line; the whole guide runs once, in one shell."""
    if os.getuid() != 0:
        pytest.skip("only root can make an /etc of its own to try an admin's folder in")
    folder = tmp_path_factory.mktemp("guide").resolve()
    script = folder / "guide.sh"
    script.write_text(HANDS + "".join(f"step {number}\n{line}\n" for number, line in enumerate(LINES)) + "step done\n")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8"}
    command = ["unshare", "--mount", "bash", str(script)]
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    parts = re.split(r"^STEP (\S+)\n", done.stdout, flags=re.MULTILINE)[1:]
    return [(LINES[int(number)], said) for number, said in zip(parts[::2], parts[1::2], strict=True) if number != "done"]


def said_by(steps, *words):
    """What each command that holds these words printed, in order."""
    return [said for line, said in steps if all(word in line for word in words)]


pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_every_command_of_the_guide_ran(steps):
    assert [line for line, _ in steps] == LINES
    assert len(steps) >= 25
    assert [said[said.index("Traceback") :] for line, said in steps if "Traceback" in said and "urllib" not in line] == []


def test_init_and_check_have_nothing_to_complain_of(steps):
    assert "mode observe" in said_by(steps, " init ")[0]
    assert all("no mistakes" in said for said in said_by(steps, "policy check"))
    assert all(re.search(r"(\d+) of \1 rows as expected", said) for said in said_by(steps, "policy test"))


def test_the_question_is_answered_with_no_and_not_carried_out(steps):
    (said,) = said_by(steps, "--action network.connect")
    assert "REFUSED  ana  network.connect  files.example.com:443" in said
    assert "the refusal is not carried out" in said


def test_what_is_observed_is_recorded_and_what_is_enforced_is_refused(steps):
    observed, enforced = said_by(steps, "urllib")
    assert "403" not in observed
    assert "203.0.113.7:80 is not on the approved network list" in said_by(steps, "grep")[0]
    assert "403" in enforced
    assert "not on the approved network list" in enforced


def test_differences_are_those_that_were_made(steps):
    first, last = said_by(steps, "policy diff")
    assert "observe -> warn" in first
    assert re.search(r"loses +kernels.max +6 -> 4", first)
    assert "warn -> enforce" in last


def test_the_admin_s_folder_wins_and_says_so(steps):
    before, after = said_by(steps, "guardrails doctor")
    assert "self-chosen" in before
    assert "self-chosen policy" not in after
    assert "GUARDRAILS_POLICY" in after, "what doesn't count is named"
    assert "/etc/jupyter/guardrails" in said_by(steps, "policy check")[-1]
    trial, machine = said_by(steps, "guardrails lab")
    assert "Self-chosen policy" in trial
    assert "The policy is this machine's admin's" in machine


def test_the_guide_shows_no_command_in_another_kind_of_block():
    assert "```console" not in GUIDE
    assert GUIDE.count("```bash") == len(BLOCKS)
