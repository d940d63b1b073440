"""What matplotlib knows of fonts goes from one kernel to the next, and nothing else does."""

import os

import pytest

from jupyter_guardrails.kernels import folders, fonts

LIST = "fontlist-v3.11.0.json"
CONTENT = '{"fonts": []}\n'


def written(kernel, name=LIST, content=CONTENT):
    """A file where matplotlib writes in a kernel."""
    place = kernel.root / fonts.PLACE
    place.mkdir(exist_ok=True)
    (place / name).write_text(content)
    return place / name


def carried(run_dir):
    """What the next kernel has when it starts: name -> text."""
    kernel = folders.make_folders(run_dir)
    fonts.carry(kernel)
    place = kernel.root / fonts.PLACE
    return {file.name: file.read_text() for file in place.iterdir()} if place.exists() else {}


def test_the_next_kernel_has_it_while_the_first_one_runs(tmp_path):
    assert carried(tmp_path) == {}
    written(folders.make_folders(tmp_path))
    assert carried(tmp_path) == {LIST: CONTENT}


def test_the_next_kernel_has_it_when_the_first_one_has_ended(tmp_path):
    first = folders.make_folders(tmp_path)
    written(first)
    fonts.keep(first)
    folders.remove_folders(first)
    assert carried(tmp_path) == {LIST: CONTENT}


def test_another_server_has_nothing_of_it(tmp_path):
    written(folders.make_folders(tmp_path / "one"))
    assert carried(tmp_path / "two") == {}
    assert carried(tmp_path / "one") == {LIST: CONTENT}


@pytest.mark.parametrize(
    ("name", "content"),
    [("matplotlibrc", CONTENT), ("fontlist-v3.json.py", CONTENT), (LIST, '{"fonts": ['), (LIST, ""), (LIST, " " * fonts.BYTES_MOST + "}")],
    ids=["another file", "another ending", "half of one", "nothing", "too large"],
)
def test_other_files_stay_where_they_are(tmp_path, name, content):
    written(folders.make_folders(tmp_path), name, content)
    assert carried(tmp_path) == {}


def test_a_link_to_what_the_server_may_read_is_not_followed(tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text('{"token": 1}')
    written(folders.make_folders(tmp_path), "other").with_name(LIST).symlink_to(secret)
    (folders.make_folders(tmp_path).root / fonts.PLACE).symlink_to(tmp_path)
    (tmp_path / "fontlist-v2.json").write_text(CONTENT)
    assert carried(tmp_path) == {}


def test_a_pipe_holds_nobody_up(tmp_path):
    kernel = folders.make_folders(tmp_path)
    written(kernel, "other")
    os.mkfifo(kernel.root / fonts.PLACE / LIST)
    assert carried(tmp_path) == {}
    written(folders.make_folders(tmp_path))
    assert carried(tmp_path) == {LIST: CONTENT}
