"""Each command about data in docs/scientists.md runs as it stands there, in a shell outside of JupyterLab, over a control of ana's own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jupyter_guardrails.control.interface import Settings, start_own_control

GUIDE = Path(__file__).parents[2] / "docs" / "scientists.md"
SECTION = GUIDE.read_text().partition("## Data\n")[2].partition("## Limits")[0]
(COMMANDS,) = re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL)
INLINE = re.findall(r"`((?:jupyter guardrails )?(?:exec|data) [^`]+)`", re.sub(r"```.*?```", "", SECTION, flags=re.DOTALL))
(PUBLISH,) = re.findall(r"```python\n(.*?)```", SECTION.partition("### Publish what you made")[2], re.DOTALL)
POLICY = """\
apiVersion: guardrails/v1
mode: enforce
require: [files, network]
groups: {team: [ana, ben]}
profiles: {small: {memory: 1GiB, cpus: 1}}
rules:
  - name: everyone
    for: everyone
    kernels: {profiles: [small], default: small, max: 5}
    data: {read: ["nyc/*"]}
  - name: team
    for: {groups: [team]}
    publish: {to: [team]}
    uploads: {max_size: 1MiB, types: [csv, parquet]}
"""
JOB = """\
import guarded, os
for name in ("nyc/flights", "nyc/planes"):
    place = os.path.join(os.environ["GUARDRAILS_DATA"], name)
    print(name, open(place, "rb").read(4) if os.path.exists(place) else "is not there")
print("carries", guarded.labels().classification or "nothing", *(one["name"] for one in guarded.labels().inputs))
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("s")
    for folder in ("catalog", "state", "home"):
        (root / folder).mkdir(mode=0o700)
    (root / "guardrails.yaml").write_text(POLICY)
    for name in ("flights", "planes"):
        contract(root, name)
    settings = Settings(root / "guardrails.yaml", root / "catalog", root / "state", root / "state" / "control.sock", True, "ana")
    control = start_own_control(settings)
    yield root
    control.stop()


def contract(root, name):
    pq.write_table(pa.table({"origin": ["JFK", None]}), root / f"{name}.parquet")
    said = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"nyc/{name}",
        "name": name,
        "version": "1.0.0",
        "status": "active",
        "domain": "nyc",
    }
    said |= {"description": {"purpose": f"All {name}"}, "team": {"name": "team", "members": [{"username": "dana", "role": "owner"}]}}
    said |= {"servers": [{"server": "here", "type": "local", "path": str(root / f"{name}.parquet"), "format": "parquet"}]}
    rule = {"metric": "nullValues", "mustBeLessThan": 2}
    said |= {"schema": [{"name": name, "properties": [{"name": "origin", "logicalType": "string", "quality": [rule]}]}]}
    said |= {"customProperties": [{"property": "guardrails.classification", "value": "internal"}]}
    (root / "catalog" / f"{name}.yaml").write_text(yaml.safe_dump(said))


@pytest.fixture
def shell(place, tmp_path):
    """What bash prints of a text in a fresh folder, with the command line on its path; each of its commands has to succeed."""

    def run(text):
        names = {"GUARDRAILS_POLICY": "guardrails.yaml", "GUARDRAILS_CATALOG": "catalog", "GUARDRAILS_STATE_DIR": "state", "HOME": "home"}
        variables = {name: str(place / path) for name, path in names.items()} | {"GUARDRAILS_AS": "ana", "LANG": "C.UTF-8"}
        variables["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        command = ["bash", "-euo", "pipefail", "-c", text]
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_guide_names_these_commands_and_no_others():
    assert [line.split("#")[0].split()[3] for line in COMMANDS.splitlines()] == ["import", "publications", "publications", "propose", "withdraw"]
    assert sorted(set(INLINE)) == [
        "data import",
        "exec --data nyc/flights -- …",
        "jupyter guardrails data show NAME",
        "jupyter guardrails exec --no-data -- python job.py",
    ]


def test_a_kernel_is_given_no_data_one_dataset_or_all(shell, tmp_path):
    (tmp_path / "job.py").write_text(JOB)
    nothing, one = (line for line in INLINE if "exec" in line)
    assert shell(nothing).splitlines() == ["nyc/flights is not there", "nyc/planes is not there", "carries nothing"]
    said = shell(f"jupyter guardrails {one.replace('…', 'python job.py')}").splitlines()
    assert said == ["nyc/flights b'PAR1'", "nyc/planes is not there", "carries internal nyc/flights"]
    assert shell("jupyter guardrails exec -- python job.py").splitlines()[:2] == ["nyc/flights b'PAR1'", "nyc/planes b'PAR1'"]


def test_python_is_the_one_that_the_shell_finds(shell):
    assert shell("jupyter guardrails exec --no-data -- python -c 'import sys; print(sys.prefix)'").strip() == sys.prefix
    assert sys.prefix not in shell("jupyter guardrails exec --no-data -- /usr/bin/env | grep ^PATH=")  # the twin: a program of the system


def test_what_a_dataset_is_and_how_good_is_shown(shell):
    (show,) = (line for line in INLINE if " show " in line)
    said = shell(show.replace("NAME", "nyc/flights"))
    assert "All flights" in said
    assert "quality: not checked yet" in said


def test_from_the_notebook_over_the_shell_to_the_withdrawal(shell, tmp_path):
    (tmp_path / "publish.py").write_text(f"import guarded, pandas as pd\n{PUBLISH}")
    shell("jupyter guardrails exec --no-data -- python publish.py")
    (tmp_path / "survey.csv").write_text("question,answers\none,1\n")
    said = shell(COMMANDS)
    for words in ("team/survey", "team/churn-csv", "monthly churn scores", "proposed", "withdrawn"):
        assert words in said
