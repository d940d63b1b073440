"""Ways to a masked column: what a person could type in a kernel, or ask around it. Each gives what it obtained as text."""

import json

from masked_world import SECRETS

BEFORE = """
import hashlib, os, pathlib, stat, subprocess, sys
import guarded, pyarrow as pa, pyarrow.parquet as pq
def tried(*attempts):
    for attempt in attempts:
        try: print(attempt())
        except Exception as error: print(type(error).__name__, error)
def bytes_of(path):
    return pathlib.Path(path).read_bytes()
"""
IN_A_KERNEL = {
    "direct path": """
def linked(make, link):
    make(PLACE, link)
    return bytes_of(link)
shown = os.path.join(os.environ["GUARDRAILS_DATA"], NAME)
fresh = os.urandom(4).hex()
def again(file):
    links = [f"/proc/self/fd/{link}" for link in os.listdir("/proc/self/fd")]
    return [bytes_of(link).strip(bytes(1)) for link in links if os.path.exists(link) and stat.S_ISREG(os.stat(link).st_mode)], file
tried(
    lambda: bytes_of(PLACE),
    lambda: subprocess.run(["cat", PLACE], capture_output=True),
    lambda: bytes_of(guarded.path(NAME)),
    lambda: bytes_of(shown),
    lambda: bytes_of(os.path.join(os.environ["GUARDRAILS_DATA"], "nyc", "..", NAME)),
    lambda: linked(os.symlink, f"soft {fresh}"),
    lambda: linked(os.link, f"hard {fresh}"),
    lambda: guarded.open(NAME).read(),
    lambda: guarded.open(NAME).to_pandas().to_string(),
    lambda: again(guarded.open(NAME).file()),
)
""",
    "/proc": """
kept = guarded.open(NAME).scan()  # a worker of control has the file open now
def descriptors(pid):
    for link in os.listdir(f"/proc/{pid}/fd"):
        if stat.S_ISREG(os.stat(f"/proc/{pid}/fd/{link}").st_mode):
            yield bytes_of(f"/proc/{pid}/fd/{link}").strip(bytes(1))
for pid in {"self", *filter(str.isdigit, os.listdir("/proc")), *PIDS}:
    tried(
        lambda: bytes_of(f"/proc/{pid}/environ"),
        lambda: bytes_of(f"/proc/{pid}/cmdline"),
        lambda: list(descriptors(pid)),
        lambda: bytes_of(f"/proc/{pid}/root{PLACE}"),
    )
looking = '''
import re, sys, guarded
kept = guarded.open(sys.argv[1]).to_arrow()
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as memory:
    for line in maps:
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if " rw" in line and "[v" not in line:
            memory.seek(first)
            print(re.findall(rb"ada[@]example.com|Analytical[ ]Engine", memory.read(last - first))[:1])
'''
small = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}  # the other one reserves gigabytes that would be looked through
tried(lambda: subprocess.check_output([sys.executable, "-c", looking, NAME], text=True, env=small))
""",
    "filter probing": """
table = guarded.open(NAME).to_arrow()
def count(where):
    return guarded.open(NAME).scan(filter=where).read_all().num_rows
def differs(column, guess, other):
    return [guess] if count([[column, "=", guess]]) != count([[column, "=", other]]) else []
def between(column, low, high):
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if count([[column, ">", middle]]) else (low, middle)
    return low
def hashed(guess):
    return [guess, *(hashlib.new(kind, guess.encode()).hexdigest()[:32] for kind in ("md5", "sha1", "sha256", "blake2b", "blake2s"))]
tried(
    lambda: differs("email", "ada@example.com", "eve@example.com"),
    lambda: differs("note", "Analytical Engine", "Steam Engine"),
    lambda: differs("salary", 91250, 91251),
    lambda: between("salary", 0, 1 << 20),
    lambda: bytes_of(f"{STATE}/mask.salt") and "who has the salt tries ada@example.com",
    lambda: [guess for guess in ("ada@example.com", "bob@example.com") if set(hashed(guess)) & set(table["email"].to_pylist())],
)
""",
    "error text": """
def cast(column, kind):
    return guarded.open(NAME).to_arrow()[column].cast(kind)
tried(
    lambda: cast("email", pa.int64()),
    lambda: cast("note", pa.timestamp("s")),
    lambda: guarded.open(NAME).scan(filter="email > 5").read_all(),
    lambda: guarded.open(NAME).scan(filter="salary = 'Analytical'").read_all(),
    lambda: guarded.open(NAME).scan(columns=["email", "ghost"]).read_all(),
    lambda: guarded.open(NAME, file="../../etc/passwd"),
    lambda: guarded.open(f"{NAME}-torn").to_arrow()["salary"].cast(pa.int64()),  # a text where its contract says that there are numbers
)
""",
    "statistics": """
def chunks(file):
    found = pq.ParquetFile(file)
    groups = [found.metadata.row_group(number) for number in range(found.metadata.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    return [column.statistics and (column.statistics.min, column.statistics.max) for column in columns], found.metadata.metadata
tried(
    lambda: chunks(guarded.open(NAME).file()),
    lambda: guarded.open(NAME).scan().schema.metadata,
    lambda: pq.read_table(guarded.open(NAME).file(), read_dictionary=["email"])["email"].chunk(0).dictionary,
)
""",
    "search": """
for secret in SAID:
    tried(lambda: [row for row in guarded.datasets(secret) if row["name"] == NAME] and f"there is {secret}")
""",
    "product": """
made = guarded.open(f"{NAME}-product")
tried(
    lambda: made.to_pandas().to_string(),
    lambda: made.scan(filter=[["mail", "=", "ada@example.com"]]).read_all().num_rows and "it is ada@example.com",
    lambda: made.scan(filter=[["pay", ">", 91249]]).read_all().num_rows and "it is 91250 or more",
    lambda: bytes_of(guarded.path(f"{NAME}-product")),
)
""",
    "SQL": """
tried(
    lambda: guarded.sql(f"{NAME}-table", f"select * from {TABLE}").read_all().to_pylist(),
    lambda: guarded.sql(f"{NAME}-table", f"select name from {TABLE} where email = 'ada@example.com'").read_all().num_rows and "it is ada@example.com",
)
""",
}


def preview(world, name):
    """In the panel, and at the command line."""
    shown = world.server.rest("GET", f"guardrails/datasets/{name.replace('/', '%2F')}")
    assert (shown.status_code, len(shown.json()["preview"]["rows"])) == (200, 3)
    return shown.text + world.command("data", "show", name)


def search(world, name):
    found = world.server.rest("GET", "guardrails/datasets", params={"q": SECRETS[0]}).json()["datasets"]
    return str([SECRETS[0] for row in found if row["name"] == name]) + in_a_kernel(IN_A_KERNEL["search"])(world, name)


def quality(world, name):
    """A contract that counts how often a value is there tells who knows the count whether it is."""
    shown = world.command("data", "show", f"{name}-measured", "--json")
    (check,) = json.loads(shown)["quality"]["checks"]
    assert check["state"] == "passed"
    return shown.replace(SECRETS[0], "") + (SECRETS[0] if check["count"] is not None else "") + world.command("data", "check", f"{name}-measured")


def in_a_kernel(code):
    return lambda world, name: world.run(BEFORE + code, name)


WAYS = {way: in_a_kernel(code) for way, code in IN_A_KERNEL.items()} | {"preview": preview, "search": search, "quality": quality}
