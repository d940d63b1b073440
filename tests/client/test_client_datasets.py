"""Find, open, ask, be refused: what a person types in a notebook."""

import os
import pickle
import sys

import pandas
import pytest


def test_a_granted_path_is_a_real_one(guarded):
    assert list(pandas.read_parquet(guarded.path("nyc/flights"))["delay"]) == [1, 2, 3]


def test_a_refused_path_is_a_permission_error_that_says_why(guarded):
    with pytest.raises(PermissionError) as caught:
        guarded.path("hr/salaries")
    text = str(caught.value)
    assert "hr/salaries is classified restricted" in text
    assert "guardrails.yaml:9 shut" in text
    assert "next: ask about" in text


def test_an_unknown_dataset_is_a_file_not_found_error(guarded):
    with pytest.raises(FileNotFoundError, match="no dataset nyc/nothing"):
        guarded.path("nyc/nothing")


def test_a_refusal_survives_the_way_from_a_worker_process(guarded):
    copy = pickle.loads(pickle.dumps(guarded.Refused("no", next_step="ask", rule="r:1 x")))
    assert (type(copy), str(copy)) == (guarded.Refused, "no\n  rule: r:1 x\n  next: ask")


@pytest.mark.parametrize("name", ["nyc/flights", "nyc/flights_csv"])
def test_an_opened_dataset_is_a_table_in_each_library(guarded, name):
    opened = guarded.open(name)
    assert list(opened.to_pandas(columns=["delay"]).columns) == ["delay"]
    assert opened.to_pandas().shape == (3, 2)
    assert opened.to_arrow(columns=["carrier"]).column_names == ["carrier"]
    assert opened.to_arrow().num_rows == 3


def test_a_folder_is_one_table(guarded):
    assert len(guarded.open("nyc/folder").to_pandas()) == 6
    with pytest.raises(IsADirectoryError, match="use its path"):
        guarded.open("nyc/folder").read()


def test_a_missing_library_is_said_with_what_works_without(guarded, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)  # as the import system marks what can't be imported
    with pytest.raises(ImportError, match=r"polars is not installed.*\.read\(\)"):
        guarded.open("nyc/flights").to_polars()


def test_data_that_this_kernel_cannot_open_comes_by_descriptor(guarded):
    late = guarded.open("nyc/late")
    assert not os.path.exists(late.path)
    assert list(late.to_pandas()["delay"]) == [1, 2, 3]
    assert late.to_arrow().num_rows == 3
    assert late.read(4) == b"PAR1"


def test_a_path_that_came_too_late_is_refused_with_what_works(guarded):
    with pytest.raises(PermissionError, match=r"granted after this kernel started[\s\S]*restart the kernel"):
        guarded.path("nyc/late")


def test_two_files_of_one_descriptor_keep_their_own_places(guarded):
    late = guarded.open("nyc/late")
    first, second = late.file(), late.file()
    assert (first.read(4), second.read(4)) == (b"PAR1", b"PAR1")
    second.seek(-4, os.SEEK_END)
    assert (second.read(), first.tell()) == (b"PAR1", 4)


def test_the_table_says_how_to_get_each_dataset(guarded):
    text = repr(guarded.datasets())
    assert "guarded.path('nyc/flights')" in text
    assert "guarded.request('hr/headcount', purpose='…')" in text
    assert "ask carol" in text


def test_the_table_is_escaped_in_both_forms(guarded):
    table = guarded.datasets("hr")
    assert len(table) == 2
    assert "<script>" not in table._repr_html_()
    assert "&lt;script&gt;" in table._repr_html_()
    assert "\x1b" not in repr(table) + table._repr_html_()


def test_nothing_found_is_said(guarded):
    assert (repr(guarded.datasets("zebra")), guarded.datasets("zebra")._repr_html_()) == ("no datasets", "<p>no datasets</p>")


def test_a_request_says_how_it_stands(guarded):
    asked = guarded.request("hr/headcount", purpose="a study", days=7)
    assert (asked["state"], asked["dataset"], asked["days"]) == ("open", "hr/headcount", 7)
