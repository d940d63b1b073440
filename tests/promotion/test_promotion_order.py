"""order: counts and hidden state."""

import pytest
from nbformat.v4 import new_code_cell
from work_bench import bench, messages, nothing, places

from jupyter_guardrails.promotion.checks import order


def counted(*counts):
    return [new_code_cell("x = 1", execution_count=count) for count in counts]


def test_cells_in_order_pass_and_an_empty_one_does_not_count(tmp_path):
    work = bench(tmp_path, [*counted(1, 2, 3), new_code_cell("", execution_count=None)])
    assert order.run(work, nothing).state == "passed"


@pytest.mark.parametrize(
    ("counts", "cell", "words"),
    [
        ((1, None, 2), 1, "was not run"),
        ((2, 1, 3), 1, "ran before one that is above it"),
        ((1, 1, 2), 1, "ran before"),
        ((1, 2, 7), None, "no longer here"),
    ],
)
def test_other_orders_are_named_with_their_cell(tmp_path, counts, cell, words):
    result = order.run(bench(tmp_path, counted(*counts)), nothing)
    assert result.state == "failed"
    assert places(result) == [(cell, None)]
    assert words in messages(result)[0]
    assert result.findings[0].fix


def test_a_name_that_nothing_above_defines(tmp_path):
    result = order.run(bench(tmp_path, ["import os\na = 1", "b = a + deleted\nprint(b)", "deleted = 2"]), nothing)
    assert messages(result) == ["`deleted` is used here, and no cell above defines it"]
    assert places(result) == [(1, 1)]


@pytest.mark.parametrize(
    "source",
    [
        "def f(x, *args, **kw):\n    return later(x)\ndef later(x):\n    return x\nf(1)",
        "[y for y in range(3)]\n{k: v for k, v in {}.items()}",
        "try:\n    pass\nexcept ValueError as error:\n    print(error)",
        "with open('x') as (a, b):\n    print(a, b)",
        "match 1:\n    case int() as n:\n        print(n)",
        "import a.b as c, d.e\nprint(c, d)",
        "print(_, In, get_ipython(), display)",
        "lambda q: q + 1",
        "class A:\n    z = 1\n    w = z",
        "total: int = 3\nprint(total)",
        "for i, (j, k) in []:\n    print(i, j, k)",
    ],
)
def test_no_false_alarm_about_names(tmp_path, source):
    assert messages(order.run(bench(tmp_path, [source]), nothing)) == []


def test_after_a_star_import_nothing_is_claimed(tmp_path):
    assert order.run(bench(tmp_path, ["from math import *", "print(pi, anything)"]), nothing).state == "passed"
