"""Object stores: moto's S3 server keeps what every source keeps, in every format; a server that stalls, breaks off or refuses is said in time."""

import http.server
import io
import json
import os
import socketserver
import threading

import pyarrow as pa
import pytest
from pyarrow import csv, feather, ipc, parquet

from jupyter_guardrails.catalog.sources import objects, open_source
from jupyter_guardrails.errors import BadRequest, Conflict, GuardrailsError, NotFound, SourceAway
from jupyter_guardrails.policy.rowfilter import parse_filter
from tests.catalog.source_contract import TABLE, BoundedMemory, SourceContract, none, read, rows

pytest.importorskip("s3fs", reason="s3fs is not installed: object stores are not tested here")
KEY, SECRET = "AKIAEXAMPLE", "hunter2-secret"
CREDENTIALS = {"key": KEY, "secret": SECRET, "ambient": False, "options": {}}
KINDS = {pa.int64(): "integer", pa.string(): "string", pa.float64(): "number"}
BIG_ROWS = 20_000_000 if os.environ.get("GUARDRAILS_SOAK") == "1" else 3_000_000


class Bucket:
    """A bucket `lake` on a real server of this process, on loopback."""

    def __init__(self):
        import boto3
        from moto.server import ThreadedMotoServer

        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        self.host, self.port = self.server.get_host_and_port()
        self.endpoint = f"http://{self.host}:{self.port}"
        self.client = boto3.client("s3", endpoint_url=self.endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1")
        self.client.create_bucket(Bucket="lake")

    def put(self, name, body):
        self.client.put_object(Bucket="lake", Key=name, Body=body)

    def place(self, name, form="parquet", **more):
        return {"kind": "objects", "url": f"s3://lake/{name}".rstrip("/"), "format": form, "endpoint": self.endpoint} | more


@pytest.fixture(scope="module")
def bucket():
    pytest.importorskip("moto", reason="moto is not installed: object stores are not tested here")
    made = Bucket()
    yield made
    made.server.stop()


def as_parquet(table):
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, row_group_size=50_000)
    return buffer.getvalue()


def as_csv(table):
    buffer = io.BytesIO()
    csv.write_csv(table, buffer)
    return buffer.getvalue()


def as_json(table):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist()).encode()


def as_arrow(table):
    buffer = io.BytesIO()
    feather.write_feather(table, buffer)
    return buffer.getvalue()


def as_stream(table):
    buffer = io.BytesIO()
    with ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


def connections_to(port):
    """Open TCP connections of this process's namespace to a port of loopback."""
    with open("/proc/net/tcp") as lines:
        return sum(line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "01" for line in lines)


class OfBucket(SourceContract):
    form, write = "parquet", staticmethod(as_parquet)
    least_connections = 0  # moto's server ends each after its answer; see the last but two of this file

    def test_a_filter_that_is_pushed_down_changes_nothing(self, placed):
        """Nothing is pushed down here, so one filter will do."""
        assert rows(read(*placed(TABLE, "plain"), predicate=parse_filter("origin = 'JFK'"))) == TABLE.to_pylist()

    @pytest.fixture
    def placed(self, bucket):
        made = set()

        def place(table, name):
            name = f"{type(self).__name__}/{name}.{self.form}"
            if name not in made:
                bucket.put(name, self.write(table))
                made.add(name)
            types = {"types": {field.name: KINDS[field.type] for field in table.schema}} if self.form in ("csv", "json") else {}
            return bucket.place(name, self.form, **types), CREDENTIALS

        return place

    @pytest.fixture
    def connections(self, bucket):
        return lambda: connections_to(bucket.port)


class TestParquet(OfBucket, BoundedMemory):
    most_kib = 300 << 10

    @pytest.fixture
    def placed_big(self, bucket):
        ids = pa.array(range(BIG_ROWS), pa.int64())
        buffer = io.BytesIO()
        parquet.write_table(
            pa.table({"id": ids, "x": pa.compute.multiply(ids, 7919), "y": pa.compute.multiply(ids, 104729)}), buffer, row_group_size=BIG_ROWS
        )
        bucket.put("big.parquet", buffer.getvalue())
        yield bucket.place("big.parquet"), CREDENTIALS, BIG_ROWS
        bucket.client.delete_object(Bucket="lake", Key="big.parquet")


class TestCsv(OfBucket):
    form, write = "csv", staticmethod(as_csv)


class TestJson(OfBucket):
    form, write = "json", staticmethod(as_json)

    def test_no_rows(self, placed):
        """A file of JSON lines without a line names no columns."""
        with pytest.raises(GuardrailsError):
            read(*placed(TABLE.slice(0, 0), "empty"))


class TestArrow(OfBucket):
    form, write = "arrow", staticmethod(as_arrow)


class TestArrowStream(OfBucket):
    form, write = "arrow", staticmethod(as_stream)


def test_a_prefix_is_one_table_in_the_order_of_its_names(bucket):
    for name, part in (("b/part-1", TABLE.slice(2)), ("a/part-0", TABLE.slice(0, 2)), ("_temporary/x", TABLE), ("a/.hidden", TABLE)):
        bucket.put(f"many/{name}.parquet", as_parquet(part))
    bucket.put("many/_SUCCESS", b"")
    bucket.put("many/a/", b"")
    bucket.put("many2/other.parquet", as_parquet(TABLE))
    table = read(bucket.place("many"), CREDENTIALS)
    assert table.to_pylist() == TABLE.to_pylist()


def test_objects_that_are_not_alike(bucket):
    bucket.put("unlike/1.parquet", as_parquet(pa.table({"a": [1], "b": ["x"]})))
    bucket.put("unlike/2.parquet", as_parquet(pa.table({"b": ["y"], "a": [2], "c": [0]})))
    assert read(bucket.place("unlike"), CREDENTIALS, columns=["a"]).to_pylist() == [{"a": 1}, {"a": 2}]
    bucket.put("unlike/3.parquet", as_parquet(pa.table({"a": ["no number"], "b": ["z"]})))
    with pytest.raises(Conflict, match="have other types") as refused:
        read(bucket.place("unlike"), CREDENTIALS, columns=["a"])
    assert "no number" not in str(refused.value)
    bucket.put("unlike/3.parquet", as_parquet(pa.table({"A": [1], "b": ["z"]})))
    with pytest.raises(Conflict, match="has no column a"):
        read(bucket.place("unlike"), CREDENTIALS, columns=["a"])


def test_ten_thousand_columns(bucket):
    wide = pa.table({f"c{number}": [number, None] for number in range(10_000)})
    bucket.put("wide.parquet", as_parquet(wide))
    assert read(bucket.place("wide.parquet"), CREDENTIALS).num_columns == 10_000
    assert read(bucket.place("wide.parquet"), CREDENTIALS, columns=["c9999", "c3"]).to_pylist() == [
        {"c9999": 9999, "c3": 3},
        {"c9999": None, "c3": None},
    ]


def test_delimiters_and_text_that_looks_like_a_number(bucket):
    bucket.put("codes.csv", b'code;text\n007;"a;b"\n008;"two\nlines"\n')
    place = bucket.place("codes.csv", "csv", delimiter=";", types={"code": "string"})
    assert read(place, CREDENTIALS).to_pylist() == [{"code": "007", "text": "a;b"}, {"code": "008", "text": "two\nlines"}]


BROKEN = {
    "no parquet": ("parquet", b"PAR1 what is this PAR1"),
    "cut parquet": ("parquet", as_parquet(TABLE)[:-20]),
    "empty parquet": ("parquet", b"P"),
    "no arrow": ("arrow", b"ARROW1 and then nothing"),
    "uneven csv": ("csv", b"a,b\n1,2\n1,2,3,Mustermann\n"),
    "csv of another type": ("csv", b"a\n" + b"1\n" * 2_200_000 + b"Mustermann\n"),
    "no json": ("json", b'{"a": 1}\n{"a": Mustermann}\n'),
}


@pytest.mark.parametrize(("form", "body"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_objects_quote_nothing(bucket, form, body):
    bucket.put("broken/x", body)
    with pytest.raises(Conflict, match="can't be read as") as refused:
        read(bucket.place("broken/x", form), CREDENTIALS)
    assert "Mustermann" not in str(refused.value) + repr(refused.value.__cause__)


def test_empty_objects(bucket):
    bucket.put("nothing/x.json", b"")
    with pytest.raises(NotFound, match="holds no data"):
        read(bucket.place("nothing", "json"), CREDENTIALS)
    with pytest.raises(GuardrailsError):
        read(bucket.place("nothing/x.json", "json"), CREDENTIALS)


def test_an_object_that_is_replaced_while_it_is_read(bucket):
    """Neither the rest of the old nor a part of the new one: an error."""
    big = pa.table({"id": pa.array(range(400_000), pa.int64()), "text": [os.urandom(20).hex() for _ in range(400_000)]})
    bucket.put("moving.parquet", as_parquet(big))
    source = open_source(bucket.place("moving.parquet"), columns=None, credentials=CREDENTIALS)
    batches = source.batches()
    next(batches)
    bucket.put("moving.parquet", as_parquet(big.slice(0, 100_000)))
    with pytest.raises(Conflict, match="was changed while it was read"):
        list(batches)
    source.close()


def test_an_object_that_vanishes_while_it_is_read(bucket):
    big = pa.table({"id": pa.array(range(400_000), pa.int64()), "text": [os.urandom(20).hex() for _ in range(400_000)]})
    bucket.put("gone.parquet", as_parquet(big))
    source = open_source(bucket.place("gone.parquet"), columns=None, credentials=CREDENTIALS)
    batches = source.batches()
    next(batches)
    bucket.client.delete_object(Bucket="lake", Key="gone.parquet")
    with pytest.raises(GuardrailsError, match=r"is not there|changed while"):
        list(batches)
    source.close()


@pytest.mark.parametrize("url", ["s3://lake/none.parquet", "s3://lake/none", "s3://no-such-bucket/x.parquet"])
def test_what_is_not_there(bucket, url):
    with pytest.raises(NotFound, match="is not there"):
        read(bucket.place("") | {"url": url}, CREDENTIALS)


def test_without_an_entry_nothing_of_this_machine_is_used(monkeypatch):
    """No key from the environment, no request for one: an anonymous request, which a store may refuse."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with Answering(lambda handler: handler.refuse(403)) as server:
        with pytest.raises(SourceAway, match="lets control not in"):
            read(server.place, None)
        assert server.seen
        assert not any("Authorization" in headers for headers in server.seen)
        with pytest.raises(SourceAway):
            read(server.place, CREDENTIALS)
        assert any(KEY in headers.get("Authorization", "") for headers in server.seen)


CODES = {403: "AccessDenied", 404: "NoSuchKey", 500: "InternalError", 503: "SlowDown"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append(self.headers)
        self.server.answer(self)

    do_HEAD = do_GET

    def log_message(self, *arguments):
        """Nothing: the test says what was seen."""

    def refuse(self, status):
        body = f"<Error><Code>{CODES.get(status, 'Whatever')}</Code><Message>{KEY} {SECRET} Mustermann</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def serve(self, body, sent, said=None):
        """Say that the object is `body`, and send `sent` of it."""
        self.send_response(200 if self.command == "HEAD" else 206)
        self.send_header("Content-Length", str(len(body) if self.command == "HEAD" else said or len(sent)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(sent)
            self.wfile.flush()


class Answering(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A server on loopback that answers every request by one function; `stalled` ends those that wait for ever."""

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.seen, self.stalled = answer, [], threading.Event()
        endpoint = f"http://127.0.0.1:{self.server_port}"
        self.place = {"kind": "objects", "url": "s3://lake/x.parquet", "format": "parquet", "endpoint": endpoint}

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *failure):
        self.stalled.set()
        self.shutdown()
        self.server_close()


BODY = as_parquet(TABLE)


def stall(handler):
    handler.server.stalled.wait(60)


def stall_in_the_body(handler):
    handler.serve(BODY, BODY[:10], said=len(BODY))
    if handler.command == "GET":
        stall(handler)


def reset(handler):
    handler.connection.close()


def less_than_said(handler):
    handler.serve(BODY, BODY[:10])


ANSWERS = {
    "stalls": (stall, SourceAway, "did not answer"),
    "stalls in the body": (stall_in_the_body, SourceAway, "did not answer"),
    "resets": (reset, SourceAway, "can't be read now|did not answer"),
    "403": (lambda handler: handler.refuse(403), SourceAway, "lets control not in"),
    "404": (lambda handler: handler.refuse(404), NotFound, "is not there"),
    "500": (lambda handler: handler.refuse(500), SourceAway, "can't be read now|did not answer"),
    "503": (lambda handler: handler.refuse(503), SourceAway, "can't be read now|did not answer"),
    "301 to elsewhere": (lambda handler: handler.refuse(301), SourceAway, "can't be read now|did not answer"),
    "shrinks": (less_than_said, Conflict, "was changed while it was read"),
}


@pytest.mark.parametrize(("answer", "kind", "sentence"), ANSWERS.values(), ids=ANSWERS.keys())
def test_a_server_that_fails_is_said_in_bounded_time_and_nothing_is_leaked(monkeypatch, caplog, capfd, answer, kind, sentence):
    if answer in (stall, stall_in_the_body, reset):  # the others answer, and a busy machine may take a while for it
        monkeypatch.setattr(objects, "TIMEOUT_S", 3.0)
    with Answering(answer) as server:
        with pytest.raises(kind, match=sentence) as refused:
            read(server.place, CREDENTIALS)
    said = str(refused.value) + repr(refused.value.__cause__) + caplog.text + "".join(capfd.readouterr())
    assert not any(word in said for word in (KEY, SECRET, "Mustermann"))
    assert refused.value.next_step


def serve(handler):
    first, last = (int(end) for end in handler.headers.get("Range", f"bytes=0-{len(BODY) - 1}").partition("=")[2].split("-"))
    handler.serve(BODY, BODY[first : last + 1])


def test_the_same_server_serves_when_it_does_not_fail_and_closed_there_is_no_connection_left():
    with Answering(serve) as server:
        assert rows(read(server.place, CREDENTIALS)) == TABLE.to_pylist()
        source = open_source(server.place, columns=None, credentials=CREDENTIALS)
        next(source.batches())
        assert connections_to(server.server_port) >= 1
        source.close()
        assert none(lambda: connections_to(server.server_port)) == 0


@pytest.mark.parametrize(
    ("url", "kind", "sentence"),
    [
        ("file:///etc/passwd", BadRequest, "leads to files of this machine"),
        ("local:///etc/passwd", BadRequest, "leads to files of this machine"),
        ("memory://a/b", BadRequest, "leads to files of this machine"),
        ("gs://lake/x.parquet", SourceAway, "gcsfs"),
        ("abfs://lake/x.parquet", SourceAway, "adlfs"),
        ("nosuch://lake/x.parquet", SourceAway, "nosuch://"),
    ],
)
def test_schemes_that_are_not_for_us(url, kind, sentence):
    with pytest.raises(kind) as refused:
        read({"kind": "objects", "url": url, "format": "parquet"}, None)
    assert sentence in str(refused.value)


def test_nobody_listens():
    with pytest.raises(SourceAway):
        read({"kind": "objects", "url": "s3://lake/x.parquet", "format": "parquet", "endpoint": "http://127.0.0.1:1"}, CREDENTIALS)
