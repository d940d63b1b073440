"""`dataset://` in pandas and pyarrow, found through the entry point as in a foreign environment."""

import subprocess
import sys

import pandas
import pyarrow.parquet
import pytest


@pytest.fixture
def filesystem(guarded):
    """A fresh filesystem object, not one that fsspec kept from another test."""
    from guarded_fsspec import DatasetFileSystem

    DatasetFileSystem.clear_instance_cache()
    return DatasetFileSystem()


def test_pandas_finds_it_by_the_entry_point_alone(kernel_environment):
    code = "import pandas; print(pandas.read_parquet('dataset://nyc/flights', columns=['delay'])['delay'].sum(), pandas.read_csv('dataset://nyc/flights_csv').shape)"
    done = subprocess.run([sys.executable, "-c", code], env=kernel_environment, capture_output=True, text=True, check=True)
    assert done.stdout == "6 (3, 2)\n"


def test_a_folder_is_read_as_one_table(filesystem):
    assert pyarrow.parquet.read_table("nyc/folder", filesystem=filesystem).num_rows == 6
    assert filesystem.ls("dataset://nyc/folder", detail=False) == ["nyc/folder/part-0.parquet", "nyc/folder/part-1.parquet"]
    assert filesystem.info("nyc/folder/part-0.parquet")["type"] == "file"


def test_a_dataset_that_only_a_descriptor_opens_is_read_as_well(filesystem):
    with filesystem.open("nyc/late") as file:
        assert len(pandas.read_parquet(file)) == 3


def test_datasets_are_listed_below_a_prefix(filesystem):
    assert "hr/headcount" in filesystem.ls("dataset://hr", detail=False)
    assert filesystem.isdir("nyc")
    assert len(filesystem.ls("", detail=False)) == 6


def test_a_refusal_comes_through_with_its_reason(filesystem):
    with pytest.raises(PermissionError, match="hr/salaries is classified restricted"):
        filesystem.open("dataset://hr/salaries")
    with pytest.raises(PermissionError, match="hr/salaries is classified restricted"):
        filesystem.isdir("hr/salaries")


def test_an_unknown_name_is_not_found(filesystem):
    assert not filesystem.exists("nyc/nothing")
    assert not filesystem.isdir("nyc/nothing")
    with pytest.raises(FileNotFoundError):
        filesystem.open("nyc/nothing")


@pytest.mark.parametrize("path", ["nyc/folder/../../secret/salaries.csv", "nyc/folder/.."])
def test_nothing_beside_the_dataset_is_reached(filesystem, path):
    with pytest.raises(FileNotFoundError):
        filesystem.open(path)


@pytest.mark.parametrize("mode", ["wb", "ab", "r+b"])
def test_it_is_read_only(filesystem, mode):
    with pytest.raises(PermissionError, match="read-only"):
        filesystem.open("nyc/flights", mode)
