"""A plain open() that fails under a dataset's path is explained where people look: under the traceback."""

import os
import subprocess
import sys
import textwrap

import pytest


@pytest.fixture
def ipython(kernel_environment):
    """Runs a cell in an IPython of its own and gives what it printed."""

    def run(cell: str, *, first: str = "import guarded") -> str:
        code = f"""
            from IPython.core.interactiveshell import InteractiveShell
            shell = InteractiveShell.instance()
            shell.colors = "nocolor"
            shell.run_cell({first!r}, store_history=False)
            shell.run_cell({cell!r})
        """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=kernel_environment, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    return run


def refused(path: str) -> str:
    return f"raise PermissionError(13, 'Permission denied', {path!r})"


def test_a_refused_open_is_explained_after_its_traceback(ipython, world):
    shown = ipython(refused(world["datasets"]["hr/salaries"]["path"] + "/salaries.csv"))
    assert "PermissionError: [Errno 13] Permission denied" in shown
    assert shown.rstrip().endswith("hr/salaries is refused by guardrails.yaml:9 shut")


def test_a_file_that_is_not_in_this_kernels_view_is_explained_too(ipython, world):
    shown = ipython(f"open({world['datasets']['hr/headcount']['path']!r})")
    assert "FileNotFoundError" in shown
    assert "hr/headcount is refused" in shown


def test_a_library_that_names_the_file_in_its_message_only_is_explained(ipython, world):
    assert "hr/salaries is refused" in ipython(f"raise PermissionError(\"Failed to open local file '{world['datasets']['hr/salaries']['path']}/x'\")")


def test_a_relative_path_is_explained_too(ipython, world):
    place = world["datasets"]["hr/headcount"]["path"]
    assert "hr/headcount is refused" in ipython(f"import os; os.chdir({os.path.dirname(place)!r}); open({os.path.basename(place)!r})")


def test_a_refusal_shows_the_readers_code_and_none_of_ours(ipython):
    shown = ipython("def study():\n    return guarded.open('hr/salaries')\nstudy()")
    assert "return guarded.open('hr/salaries')" in shown
    assert ("Refused" in shown, "channel.py" in shown, "opened.py" in shown) == (True, False, False)
    assert "hr/salaries" in shown.splitlines()[-1] + shown.splitlines()[-2] + shown.splitlines()[-3]


def test_a_mistake_in_the_arguments_shows_where_it_happened(ipython):
    shown = ipython("guarded.open({'hr/salaries'})")
    assert "TypeError" in shown
    assert "channel.py" in shown or "opened.py" in shown


def test_other_files_get_no_explanation(ipython):
    shown = ipython(refused("/etc/shadow"))
    assert "Permission denied" in shown
    assert "refused by" not in shown


def test_without_the_client_there_is_no_explanation(ipython, world):
    assert "refused by" not in ipython(refused(world["datasets"]["hr/salaries"]["path"]), first="pass")


def test_a_refusal_of_ours_is_not_explained_twice(ipython):
    assert ipython("guarded.path('hr/salaries')").count("guardrails.yaml:9") == 1


def test_a_broker_that_is_gone_costs_no_traceback(kernel_environment):
    code = "import guarded; open('/nowhere/at/all')"
    environment = {**kernel_environment, "GUARDRAILS_CHANNEL": "@nobody-listens-here"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "FileNotFoundError" in done.stderr
    assert "no explanation" in done.stderr


def test_a_script_is_explained_as_well(kernel_environment, world):
    code = f"import guarded; {refused(world['datasets']['hr/salaries']['path'])}"
    done = subprocess.run([sys.executable, "-c", code], env=kernel_environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("hr/salaries is refused by guardrails.yaml:9 shut")
