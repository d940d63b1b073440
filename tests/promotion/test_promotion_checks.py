"""What checks say where they can't look, the types of parameters, and the fixes that findings offer."""

import ast
import importlib.util
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest

sys.path.append(str(Path(__file__).parents[1] / "control"))

from advisories import serve_advisories, serve_public_index
from nbformat.v4 import new_code_cell, new_output
from receivers import make_certificate
from work_bench import bench, nothing

from jupyter_guardrails.engines.parameters import check as check_parameters
from jupyter_guardrails.errors import BadRequest, GuardrailsError
from jupyter_guardrails.package.job import Job, Parameters, Python, Resources
from jupyter_guardrails.promotion import advisories, builder, package_facts, personal
from jupyter_guardrails.promotion.checks import order, parameters, paths, personal_data, secrets, size, vulnerabilities
from jupyter_guardrails.promotion.parameter_types import kind_of, schema_of

LOCK = """\
lock-version = "1.0"
created-by = "test"
[[packages]]
name = "tiny-thing"
version = "1.0"
wheels = [{path = "../wheels/tiny_thing-1.0-py3-none-any.whl", hashes = {sha256 = "00"}}]
[[packages]]
name = "other-thing"
version = "2.0"
wheels = [{path = "../wheels/other_thing-2.0-py3-none-any.whl", hashes = {sha256 = "00"}}]
"""


def locked(root):
    work = bench(root, ["a = 1"])
    work.locks["kernel"] = LOCK
    return work


@pytest.fixture
def ask(monkeypatch):
    """A function that names the index of advisories."""
    pytest.importorskip("pip_audit", reason="the extra `vulnerabilities` is not installed")

    def set_up(address):
        monkeypatch.setenv("PIP_AUDIT_VULNERABILITY_SERVICE", "osv")
        monkeypatch.setenv("PIP_AUDIT_OSV_URL", address)

    return set_up


def test_a_known_vulnerability_comes_with_the_version_that_mends_it(tmp_path, ask):
    with serve_advisories({"tiny-thing": {"id": "PYSEC-2099-1", "fixed": "1.1"}}) as address:
        ask(address)
        result = vulnerabilities.run(locked(tmp_path), nothing)
    again = vulnerabilities.run(locked(tmp_path), nothing)
    assert (result.state, result.detail.partition("; the index was asked on 2")[0]) == ("failed", "1 known in 2 packages")
    assert result.findings[0].message.startswith("tiny-thing 1.0: PYSEC-2099-1")
    assert result.findings[0].offer == {"do": "install", "requirement": "tiny-thing==1.1"}
    assert again == result  # nobody listens any more: what was told is kept


def test_what_was_told_is_kept_for_a_day_and_for_its_index(tmp_path, ask):
    ask("")  # where pip-audit is not installed this is skipped
    first, asked, day = time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, 0)), [], 24 * 3600
    with serve_advisories({}, asked=asked) as address:
        index = {"PATH": "/usr/bin:/bin", "PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": address}

        def find(packages, *, after=0, environ=index):
            told = advisories.find(packages, store=tmp_path / "kept", scratch=tmp_path, now=first + after, environ=environ)
            names, told_at = [entry["name"] for entry in told.entries], told.asked_at - first
            asked_now = asked[:]
            asked.clear()
            return names, told_at, asked_now

        assert find({"tiny-thing": "1.0"}) == (["tiny-thing"], 0, ["tiny-thing"])
        assert find({"tiny-thing": "1.0", "other-thing": "2.0"}, after=5) == (["tiny-thing", "other-thing"], 0, ["other-thing"])
        assert find({"tiny-thing": "1.0", "other-thing": "2.0"}, after=day - 1) == (["tiny-thing", "other-thing"], 0, [])
        assert find({"tiny-thing": "1.0", "other-thing": "2.0"}, after=day + 1) == (["tiny-thing", "other-thing"], 5, ["tiny-thing"])
        with serve_advisories({}, asked=asked) as another:
            assert find({"tiny-thing": "1.0"}, after=day + 2, environ=index | {"PIP_AUDIT_OSV_URL": another})[2] == ["tiny-thing"]
    with pytest.raises(GuardrailsError, match="no index of advisories answers"):
        find({"tiny-thing": "1.1"}, after=day + 2)  # another version is another package
    assert find({"tiny-thing": "1.0"}, after=day + 2) == (["tiny-thing"], day + 1, [])


def test_what_an_index_never_heard_of_is_asked_again_after_an_hour(tmp_path):
    pytest.importorskip("pip_audit", reason="the extra `vulnerabilities` is not installed")
    certificate, asked = make_certificate(tmp_path / "proxy.pem", urlsplit(package_facts.default_index()).hostname), []
    with serve_public_index(certificate, known={"tiny-thing"}, asked=asked) as environ:

        def find(after):
            asked.clear()
            packages = {"tiny-thing": "1.0", "our-own": "2.0"}
            told = advisories.find(packages, store=tmp_path / "kept", scratch=tmp_path, now=1e9 + after, environ=environ | {"PATH": "/usr/bin:/bin"})
            return [entry["name"] for entry in told.entries], sorted(asked)

        assert find(0) == (["tiny-thing"], ["our-own", "tiny-thing"])
        assert find(3599) == (["tiny-thing"], [])
        assert find(3601) == (["tiny-thing"], ["our-own"])


def test_an_index_that_knows_none_passes_and_one_that_fails_is_not_checked(tmp_path, ask):
    with serve_advisories({}) as address:
        ask(address)
        assert vulnerabilities.run(locked(tmp_path), nothing).state == "passed"
    with serve_advisories({}, status=503) as address:
        ask(address)
        result = vulnerabilities.run(locked(tmp_path / "away"), nothing)
    assert (result.state, "no index of advisories answers" in result.detail) == ("not_checked", True)


def test_a_company_s_own_certificate_is_trusted_as_the_package_index_is(tmp_path, ask, monkeypatch):
    certificate = make_certificate(tmp_path / "company.pem")
    with serve_advisories({}, certificate=certificate) as address:
        ask(address)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert vulnerabilities.run(locked(tmp_path / "trusted"), nothing).state == "passed"
        monkeypatch.delenv("SSL_CERT_FILE")
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)
        assert vulnerabilities.run(locked(tmp_path / "not"), nothing).state == "not_checked", "the twin"


def test_where_nobody_listens_it_is_not_checked(tmp_path, ask):
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        ask(f"http://127.0.0.1:{place.getsockname()[1]}/v1/query")
        result = vulnerabilities.run(locked(tmp_path), nothing)
    assert (result.state, "no index of advisories answers: 127.0.0.1" in result.detail) == ("not_checked", True)


def test_names_are_told_to_no_index_but_the_one_that_is_used(tmp_path, monkeypatch):
    pytest.importorskip("pip_audit", reason="the extra `vulnerabilities` is not installed")
    monkeypatch.delenv("PIP_AUDIT_VULNERABILITY_SERVICE", raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://packages.example.com/simple")
    result = vulnerabilities.run(locked(tmp_path), nothing)
    assert (result.state, "PIP_AUDIT_OSV_URL" in result.detail) == ("not_checked", True)


@pytest.mark.parametrize(("check", "library"), [(vulnerabilities, "pip_audit"), (personal_data, "presidio_analyzer")])
def test_what_is_not_installed_is_said(tmp_path, monkeypatch, check, library):
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None if name == library else found(name, *more))
    result = check.run(locked(tmp_path), nothing)
    assert (result.state, "is not installed" in result.detail) == ("not_checked", True)


def shown(text):
    return new_code_cell("a", outputs=[new_output("stream", name="stdout", text=text)], execution_count=1)


def test_personal_data_is_counted_and_never_shown(tmp_path):
    work = bench(tmp_path, ["a = 1", shown("ana@example.org\nbo@example.org\nana@example.org\nIBAN DE89370400440532013000\n")])
    result = personal_data.run(work, nothing)
    assert [(finding.cell, finding.message) for finding in result.findings] == [
        (1, "3 × email address in the outputs"),
        (1, "1 × iban code in the outputs"),
    ]
    assert "ana" not in str(result)


@pytest.mark.parametrize(
    "text", ["0.4111111111111111", "1357034400000000000", "5 @ 3", "e+49 30 901820", "AB12 CD34", "2013-01-15", "4111111111111112"]
)
def test_numbers_are_no_personal_data(tmp_path, text):
    assert personal_data.run(bench(tmp_path, [shown(f"{text}\n")]), nothing).state == "passed"


def test_too_much_of_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(personal, "MAX_LINES", 5)
    lines = "".join(f"row {number} a{number} @ b\n" for number in range(9))
    result = personal_data.run(bench(tmp_path, [shown(lines)]), nothing)
    assert (result.state, result.findings[0].kind) == ("failed", "not_looked_at")


@pytest.mark.parametrize(
    ("written", "schema", "kind"),
    [
        ("int", {"type": "integer"}, "integer"),
        ("'float'", {"type": "number"}, "number"),
        ("int | None", {"type": ["integer", "null"]}, "integer or null"),
        ("Optional[str]", {"type": ["string", "null"]}, "string or null"),
        ("typing.List[int]", {"type": "array", "items": {"type": "integer"}}, "array"),
        ("dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}, "object"),
        ("Literal['a', 'b']", {"type": "string", "enum": ["a", "b"]}, "one of 'a', 'b'"),
        ("Literal['a'] | None", {"type": ["string", "null"], "enum": ["a", None]}, "one of 'a', None"),
        ("int | str", {"type": ["integer", "string"]}, "integer or string"),
        ("pd.Timestamp", {"type": "string"}, "string"),
        ("Callable[[int], int]", {"type": "string"}, "string"),
    ],
)
def test_annotations_become_types_and_others_leave_it_to_the_default(written, schema, kind):
    found = schema_of(ast.parse(written, mode="eval").body, "x")
    assert (found, kind_of(found)) == (schema, kind)


def parameter_cell(source):
    return new_code_cell(source, metadata={"tags": ["parameters"]}, execution_count=1)


TYPED = "limit: int | None = None\nkind: Literal['a', 'b'] = 'a'\nmonths: list[int] = [1]\nname: str | None = None"


@pytest.mark.parametrize("values", [{"limit": 3}, {"limit": None}, {"kind": "b"}, {"months": []}, {"name": "x"}])
def test_values_that_fit_their_annotations_pass(tmp_path, values):
    assert parameters.run(bench(tmp_path, [parameter_cell(TYPED)], parameters=values), nothing).state == "passed"


@pytest.mark.parametrize("values", [{"limit": "3"}, {"kind": "c"}, {"kind": None}, {"months": ["x"]}, {"name": 1}])
def test_values_that_do_not_fit_fail(tmp_path, values):
    assert parameters.run(bench(tmp_path, [parameter_cell(TYPED)], parameters=values), nothing).state == "failed"


def test_a_finding_names_the_parameter_whose_value_it_is_about(tmp_path):
    values = {"limit": "3", "name": "x", "months": [1, "x", "y"], "nmae": "x"}
    findings = parameters.run(bench(tmp_path, [parameter_cell(TYPED)], parameters=values), nothing).findings
    assert [finding.parameter for finding in findings] == ["limit", "months", "months", "nmae"]
    assert findings[0].message == "the submitted value of limit: '3' is not of type 'integer', 'null'"
    assert findings[3].message == "a value for nmae was submitted, which is no parameter"
    assert ("parameter" in findings[0].to_json(), "parameter" in replace(findings[0], parameter="").to_json()) == (True, False)


def job(root):
    work = bench(root, [parameter_cell(TYPED)])
    parameters.run(work, nothing)
    python = Python(version="3.11", implementation="cpython", system="linux", machine="x86_64")
    resources = Resources(memory_bytes=1, cpus=1, tasks=1, wall_s=1)
    schema = Parameters(json_schema=work.schema, values={})
    return Job(name="nb", entry="nb.ipynb", owner="ana", python=python, parameters=schema, resources=resources, policy_digest="0")


@pytest.mark.parametrize("given", [{"limit": "3"}, {"limit": "null"}, {"kind": "b"}, {"months": "[1, 2]"}, {"name": "x"}, {"name": "null"}])
def test_a_deployment_takes_what_the_annotations_say(tmp_path, given):
    check_parameters(job(tmp_path), given)


@pytest.mark.parametrize("given", [{"limit": "x"}, {"kind": "c"}, {"months": "1"}])
def test_and_refuses_what_they_do_not(tmp_path, given):
    with pytest.raises(BadRequest):
        check_parameters(job(tmp_path), given)


@pytest.fixture(scope="module")
def run_py():
    """The package's own run.py as a module."""
    spec = importlib.util.spec_from_file_location("package_run", builder.RUN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("3", {"type": ["integer", "null"]}, 3),
        ("null", {"type": ["string", "null"]}, None),
        ("nul", {"type": ["string", "null"]}, "nul"),
        ("b", {"type": "string", "enum": ["a", "b"]}, "b"),
        ("[1]", {"type": "array", "items": {"type": "integer"}}, [1]),
        ("true", {"type": ["boolean", "integer"]}, True),
    ],
)
def test_the_package_itself_reads_a_value_as_its_annotation_says(run_py, text, schema, value):
    assert run_py.typed("p", text, schema) == value


@pytest.mark.parametrize(
    ("text", "schema"), [("x", {"type": ["integer", "null"]}), ("true", {"type": ["integer", "null"]}), ("c", {"type": "string", "enum": ["a"]})]
)
def test_and_ends_for_one_that_fits_none_of_its_types(run_py, text, schema):
    with pytest.raises(SystemExit) as ended:
        run_py.typed("p", text, schema)
    assert ended.value.code == 2


def test_fixes_are_offered_as_data(tmp_path):
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "sales.csv").write_text("a\n")
    absolute = f"open('{tmp_path / 'ws' / 'sales.csv'}')"
    out_of_order = new_code_cell("b = 1", execution_count=1)
    work = bench(tmp_path, [new_code_cell(absolute, execution_count=2), out_of_order], parameters={"b": 2})
    assert paths.run(work, nothing).findings[0].offer == {"do": "replace", "old": str(tmp_path / "ws" / "sales.csv"), "new": "sales.csv"}
    assert order.run(work, nothing).findings[0].offer == {"do": "run_all"}
    assert [(finding.cell, finding.offer) for finding in parameters.run(work, nothing).findings] == [(1, {"do": "tag", "tag": "parameters"})]


def test_the_notebook_s_own_name_does_not_bring_another_version_of_it_along(tmp_path):
    """What is checked is what was submitted, even where the code names the notebook and the author has changed it since."""
    work = bench(tmp_path, ["import glob\nopen('nb.ipynb'), glob.glob('*.ipynb')"])
    before = work.notebook.path.read_bytes()
    (tmp_path / "ws" / "nb.ipynb").write_text("changed")
    assert paths.run(work, nothing).detail == "the notebook needs no other file"
    assert work.notebook.path.read_bytes() == before


def test_a_notebook_that_hardly_opens_is_named(tmp_path, monkeypatch):
    cells = [shown("a line of text\n" * 100) for _ in range(4)]
    assert size.run(bench(tmp_path, cells), nothing).state == "passed", "the twin"
    monkeypatch.setattr(size, "NOTEBOOK_BYTES", 5000)
    result = size.run(bench(tmp_path, cells), nothing)
    assert (result.state, [(finding.cell, finding.kind) for finding in result.findings]) == ("failed", [(None, "large_notebook")])


def test_files_that_nobody_reads_are_named(tmp_path):
    work = bench(tmp_path, ["open('picture.bin')"])
    (work.order.frozen / "picture.bin").write_bytes(b"\0\1")
    assert "not looked at: picture.bin" in secrets.run(work, nothing).detail
    assert nbformat.read(work.notebook.path, 4).cells[0].source == "open('picture.bin')"
