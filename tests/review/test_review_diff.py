"""What differs between two versions of a job, as its reviewer reads it."""

from jupyter_guardrails.review import diff
from jupyter_guardrails.review.diff import Change


def notebook(*sources):
    return {"cells": [{"cell_type": "code", "source": source} for source in sources]}


def test_cells_are_aligned_by_what_they_say():
    before = notebook("import pandas", "a = 1\nb = 2", "show(a)", "old()")
    now = notebook("import pandas", "a = 1\nb = 3", "new()", "show(a)")
    assert diff.notebooks(before, now) == [
        Change("cell 2 (code)", ("@@ -1,2 +1,2 @@", " a = 1", "-b = 2", "+b = 3")),
        Change("cell 3 (code) is new", ("+new()",)),
        Change("cell 4 (code) is gone", ("-old()",)),
    ]


def test_the_same_notebook_has_no_changes_whatever_its_outputs_and_lists_of_lines():
    before = {"cells": [{"cell_type": "code", "source": ["a\n", "b"], "outputs": [{"text": "1"}]}]}
    assert diff.notebooks(before, notebook("a\nb")) == []


def test_a_cell_that_becomes_another_kind_is_a_change():
    markdown = {"cells": [{"cell_type": "markdown", "source": "x = 1"}]}
    assert [change.what for change in diff.notebooks(markdown, notebook("x = 1"))] == ["cell 1 (code)"]


def test_files_are_compared_as_text_or_by_their_size():
    before = {"a.py": b"x = 1\n", "gone.py": b"y\n", "b.bin": b"\xff\x00", "c.bin": b"\xff\x00", "same": b"1"}
    now = {"a.py": b"x = 2\n", "new.py": b"z\n", "b.bin": b"\xff\x01\x02", "c.bin": b"\xff\x01", "same": b"1"}
    found = {change.what: change.lines for change in diff.files(before, now)}
    assert found == {
        "a.py was changed": ("@@ -1 +1 @@", "-x = 1", "+x = 2"),
        "b.bin was changed": ("-2 bytes", "+3 bytes"),
        "c.bin was changed": ("-2 bytes", "+2 bytes", "+other bytes"),
        "gone.py is gone": ("@@ -1 +0,0 @@", "-y"),
        "new.py is new": ("@@ -0,0 +1 @@", "+z"),
    }


def lock(**versions):
    return "".join(f'[[packages]]\nname = "{name}"\nversion = "{version}"\n' for name, version in versions.items())


def test_packages_that_are_other_versions_new_or_gone():
    found = diff.locks(lock(pandas="2.0", numpy="1.0", old="1"), lock(pandas="2.1", numpy="1.0", new="3"))
    assert found == [Change("environment", ("+new 3", "-old 1", "-pandas 2.0", "+pandas 2.1"))]
    assert diff.locks(lock(a="1"), lock(a="1")) == []


def test_datasets_resources_and_network_are_told_and_the_policys_digest_is_not():
    before = {"inputs": [{"name": "nyc/flights"}], "network": [], "policy_digest": "1", "same": 1}
    now = {"inputs": [{"name": "hr/salaries"}], "network": ["a.example.com:443"], "policy_digest": "2", "same": 1}
    found = {change.what: change.lines for change in diff.jobs(before, now)}
    assert set(found) == {"inputs", "network"}
    assert '+  "name": "hr/salaries"' in found["inputs"]


def test_outputs_are_told_column_by_column_whoever_said_them():
    def job(columns, **said):
        return {"outputs": [{"name": "d", "path": "d.csv", "columns": columns} | said, "log.txt"]}

    old, new = job({"a": "integer", "b": "string", "c": "date"}), job({"a": "number", "c": "date", "z": "string"}, dataset="nyc/d")
    lines = ("-column a (integer)", "+column a (number)", "-column b (string)", "+column z (string)", "+dataset nyc/d")
    assert diff.outputs(old, new) == [Change("output d.csv is another", lines)]
    assert diff.outputs(old, old) == diff.jobs(old, new) == []
    gone = diff.outputs(old, {"outputs": ["new.txt"]})
    assert [change.what for change in gone] == ["output d.csv is no longer made", "output log.txt is no longer made", "output new.txt is new"]


def test_a_change_without_end_is_cut():
    found = diff.notebooks(notebook(""), notebook("\n".join(map(str, range(10_000)))))
    assert len(found[0].lines) == diff.MOST_LINES + 1
    assert found[0].lines[-1].endswith("lines more")
