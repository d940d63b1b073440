"""paths: what goes along, and what another machine doesn't have."""

import os

import pytest
from work_bench import bench, fixes, messages, nothing, places

from jupyter_guardrails.promotion import freeze
from jupyter_guardrails.promotion.checks import paths


def frozen(work):
    root = work.order.frozen
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and path != work.notebook.path)


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "ws"
    (folder / "sub" / "pkg").mkdir(parents=True)
    for name in ("a.csv", "sub/b.csv", "sub/c d.csv", "sub/pkg/__init__.py", "sub/pkg/part.py", "unused.csv"):
        (folder / name).write_text(name)
    (folder / "sub" / "helper.py").write_text("import other\nopen('deep.txt')\n")
    (folder / "sub" / "other.py").write_text("")
    (folder / "sub" / "deep.txt").write_text("")
    (tmp_path / "outside.csv").write_text("")
    return folder


def test_files_and_modules_that_are_used_go_along_and_no_others(tmp_path, workspace):
    cells = [
        "open('b.csv')",
        "from pathlib import Path\nPath('..') / 'a.csv'",
        "import helper, pkg.part, json",
        "%run other.py",
        "!cat 'c d.csv' b.csv",
    ]
    work = bench(tmp_path, cells, notebook="sub/nb.ipynb")
    assert messages(paths.run(work, nothing)) == []
    wanted = {"a.csv", "sub/b.csv", "sub/helper.py", "sub/other.py", "sub/deep.txt", "sub/pkg/__init__.py", "sub/pkg/part.py"}
    assert set(frozen(work)) == wanted


@pytest.mark.parametrize("source", ["open('/data/x.csv')", "p = '/usr/share/dict/words'", "pd.read_csv('~/x.csv')", "read_x('file:///a/b')"])
def test_places_of_this_machine_are_named(tmp_path, source):
    result = paths.run(bench(tmp_path, ["a = 1", "b = 2\n" + source]), nothing)
    assert result.state == "failed"
    assert places(result) == [(1, 2)]
    assert "a place of this machine" in messages(result)[0]


@pytest.mark.parametrize(
    "source",
    ["requests.get('/v1/items')", "x = '/'", "open('/dev/null')", "s = 'a/b'", "print('https://x.example/usr/lib')", "d = 'dataset://nyc/x'"],
)
def test_what_only_looks_like_a_path_is_left_alone(tmp_path, source):
    assert messages(paths.run(bench(tmp_path, [source]), nothing)) == []


def test_an_absolute_path_into_the_workspace_has_its_relative_form_as_fix(tmp_path, workspace):
    result = paths.run(bench(tmp_path, [f"open({str(workspace / 'a.csv')!r})"], notebook="sub/nb.ipynb"), nothing)
    assert fixes(result) == ["write it as a path relative to the notebook: ../a.csv"]


def test_a_path_of_a_dataset_is_for_the_data_check(tmp_path):
    work = bench(tmp_path, ["open('/usr/lib/nyc/part.csv')"], places={"/usr/lib/nyc": "nyc/flights"})
    assert messages(paths.run(work, nothing)) == []


def test_files_outside_the_workspace(tmp_path, workspace):
    result = paths.run(bench(tmp_path, ["open('../outside.csv')"]), nothing)
    assert messages(result) == ["../outside.csv lies outside the workspace"]


def test_a_link_out_of_the_workspace_is_not_followed(tmp_path, workspace):
    (workspace / "link.csv").symlink_to(tmp_path / "outside.csv")
    (workspace / "inner.csv").symlink_to("a.csv")
    work = bench(tmp_path, ["open('link.csv'), open('inner.csv')"])
    paths.run(work, nothing)
    assert frozen(work) == ["inner.csv"]


def test_what_the_notebook_writes_does_not_go_along(tmp_path, workspace):
    work = bench(tmp_path, ["open('a.csv', 'w')", "df.to_csv('unused.csv')"])
    paths.run(work, nothing)
    assert frozen(work) == []


def test_control_s_own_files_never_go_along(tmp_path):
    work = bench(tmp_path, ["open('state/submissions/x/control.token')"])
    state = tmp_path / "ws" / "state"
    (state / "submissions" / "x").mkdir(parents=True)
    (state / "control.token").write_text("secret")
    freezer = freeze.Freezer(tmp_path / "ws", work.order.frozen, never=state)
    assert freezer.freeze("state/control.token") is False
    (tmp_path / "ws" / "fine.txt").write_text("")
    assert freezer.freeze("fine.txt") is True


def test_too_much_is_refused(tmp_path, workspace, monkeypatch):
    monkeypatch.setattr(freeze, "MAX_FILE_BYTES", 1)
    result = paths.run(bench(tmp_path, ["open('a.csv')"]), nothing)
    assert "MiB" in messages(result)[0]


def test_a_fifo_does_not_hang_it(tmp_path, workspace):
    os.mkfifo(workspace / "pipe")
    work = bench(tmp_path, ["open('pipe')"])
    assert paths.run(work, nothing).state == "passed"
    assert frozen(work) == []


def test_code_that_is_no_python(tmp_path):
    result = paths.run(bench(tmp_path, ["x = 1", "a =\n"]), nothing)
    assert places(result) == [(1, 1)]
    assert "no Python" in messages(result)[0]
    assert paths.run(bench(tmp_path, ["%%bash\nnot python (", "%time x = 1\nfiles = !ls\ny = %who_ls\nx?"]), nothing).state == "passed"
