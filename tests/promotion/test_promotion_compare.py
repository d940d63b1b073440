"""Outputs compared: what differs is shown, what only looks different is not."""

import base64
import struct

import pytest
from nbformat.v4 import new_code_cell, new_output

from jupyter_guardrails.promotion.compare import differences, same_text
from jupyter_guardrails.promotion.pictures import size_of


def printed(*texts):
    return [new_output("stream", name="stdout", text=text) for text in texts]


def result(**data):
    return [new_output("execute_result", data={key.replace("_", "/"): value for key, value in data.items()}, execution_count=1)]


def compared(before, after, count=1):
    old, new = new_code_cell("x", outputs=before, execution_count=count), new_code_cell("x", outputs=after, execution_count=1)
    return [finding.message for finding in differences([old], [new])]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a", "a"),
        ("1.0000001", "1.0000002"),
        ("[1e-12, 3]", "[2e-12, 3]"),
        ("1,000,000.0", "1,000,000.1"),
        ("<Axes at 0x7f0123456789>", "<Axes at 0x7fabcdef0123>"),
        ("total = 0.30000000000000004", "total = 0.3"),
    ],
)
def test_what_counts_as_the_same(old, new):
    assert same_text(old, new)


@pytest.mark.parametrize(("old", "new"), [("a", "b"), ("1.0", "1.1"), ("1 2", "1"), ("x 1", "y 1"), ("3", "-3"), ("1.0", "nan"), ("", "1")])
def test_what_does_not(old, new):
    assert not same_text(old, new)


def test_a_difference_is_shown_with_its_cell_and_line():
    assert compared(printed("a\nb\n"), printed("a\nc\n")) == ["the output differs from the author's: 'b' before, 'c' now"]


def test_pieces_of_a_stream_are_one_and_order_of_kinds_does_not_matter():
    assert compared(printed("a", "b") + result(text_plain="1"), result(text_plain="1") + printed("ab")) == []


def test_pictures_are_compared_by_kind():
    assert compared(result(image_png="AAAA", text_plain="<F>"), result(image_png="BBBB", text_plain="<G>")) == []
    assert compared(result(image_png="AAAA"), result(text_plain="1")) != []


def test_missing_outputs_are_named():
    assert compared(printed("a"), []) == ["the output differs from the author's: stream stdout before, nothing now"]


def test_cells_that_the_author_never_ran_are_left_out():
    assert compared(printed("a"), printed("b"), count=None) == []


def encoded(content):
    return base64.encodebytes(content).decode()


def png(width, height, rest=b""):
    return encoded(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + rest)


def test_pictures_of_another_size_differ_and_of_the_same_size_do_not():
    assert compared(result(image_png=png(640, 480, b"a")), result(image_png=png(640, 480, b"b"))) == []
    said = compared(result(image_png=png(640, 480)), result(image_png=png(640, 481)))
    assert said == ["the output differs from the author's: image/png of 640x480 before, of 640x481 now"]


THUMBNAIL = b"\xff\xe1" + struct.pack(">H", 102) + bytes(100)
FRAME = b"\xff\xc2" + struct.pack(">HBHH", 17, 8, 480, 640)


@pytest.mark.parametrize(
    ("kind", "data", "size"),
    [
        ("image/png", png(3, 4), "3x4"),
        ("image/gif", encoded(b"GIF89a" + struct.pack("<HH", 3, 4) + b"rest"), "3x4"),
        ("image/jpeg", encoded(b"\xff\xd8" + THUMBNAIL + FRAME), "640x480"),
        ("image/svg+xml", "<?xml version='1.0'?><svg xmlns='x' width=\"3pt\" height='4pt'><g/></svg>", "3ptx4pt"),
        ("image/svg+xml", "<svg viewBox='0 0 1 1'/>", ""),
        ("image/png", "AAAA", ""),
        ("image/png", "no base64!", ""),
        ("image/png", "", ""),
        ("image/jpeg", encoded(b"\xff\xd8\xff\xe1\xff"), ""),
    ],
)
def test_how_large_a_picture_is(kind, data, size):
    assert size_of(kind, data) == size
