"""A catalogue that follows its files one by one is the one that would be made of them from nothing."""

import os
import random
import threading

import pytest

from jupyter_guardrails.catalog import CatalogFolder, load_catalog, reading
from jupyter_guardrails.catalog.numbered import Numbered
from jupyter_guardrails.catalog.search import SearchIndex
from jupyter_guardrails.catalog.watching import Watch

NAMES = ("a/x", "a/y", "b/z", "b/sum", "b/top")
SUFFIXED = ("one.yaml", "two.yaml", "deep/one.yaml", "deep/three.yaml", "deep/er/four.yaml", "wide/five.yml", "wide/six.yaml")


CLAIMS = ("is also the name in", "is also the place of", "holds the place of", "is not in the catalogue", "has mistakes", "cannot be reached")
SOAK = os.environ.get("GUARDRAILS_SOAK") == "1"


class Changing:
    """Contract files that change in every way that a seed finds; each step is what one admin does."""

    def __init__(self, world, seed):
        self.world, self.some, self.steps = world, random.Random(seed), 0
        self.places = [world.parquet(name) for name in ("o.parquet", "m.parquet", "z.parquet", "d/in.parquet", "d/e/in.parquet")]
        self.places += [world.data / "d", world.data / "later.parquet"]

    def step(self):
        """One change; whether it is one of data, and not of contracts."""
        self.steps += 1
        return self.some.choices((self.write, self.remove, self.rename, self.spoil, self.move_data), (16, 2, 2, 1, 2))[0]()

    def file(self):
        return self.some.choice(SUFFIXED)

    def write(self):
        name = self.some.choice(NAMES)
        usual = self.some.random() < 0.7  # a file and a place of its own
        file = SUFFIXED[NAMES.index(name)] if usual else self.file()
        (self.world.folder / file).parent.mkdir(parents=True, exist_ok=True)
        said = {"version": f"1.{self.some.randrange(3)}.0", "tags": [self.some.choice(("red", "blue"))]}
        if name in ("b/sum", "b/top"):
            self.world.write(name, "", file=file, servers=None, customProperties=self.product(name), **said)
        else:
            place = self.places[NAMES.index(name)] if usual else self.some.choice(self.places)
            self.world.write(name, place, file=file, **said)
        with (self.world.folder / file).open("a") as stream:  # another size each time: two changes in one tick of the clock are two
            stream.write(f"#{'x' * self.steps}\n")
        return False

    def product(self, name):
        inputs = self.some.sample(["a/x", "a/y", "b/z"] if name == "b/sum" and self.some.random() < 0.9 else ["a/x", "b/z", "b/sum", "b/top"], 2)
        own = {"classification": self.some.choice(("internal", "restricted")), "product": {"from": inputs, "how": "union"}}
        return [{"property": f"guardrails.{key}", "value": value} for key, value in own.items()]

    def remove(self):
        (self.world.folder / self.file()).unlink(missing_ok=True)
        return False

    def rename(self):
        before, after = self.world.folder / self.file(), self.world.folder / self.file()
        if before.exists():
            after.parent.mkdir(parents=True, exist_ok=True)
            before.rename(after)
        return False

    def spoil(self):
        (self.world.folder / "two.yaml").write_text(f"status: [active\n#{'x' * self.steps}\n")
        return False

    def move_data(self):
        one, other, later = self.places[0], self.places[1], self.places[-1]
        if self.some.random() < 0.3 and not later.exists():
            self.world.parquet("later.parquet")
        elif os.path.samefile(one, other):
            other.unlink()
            self.world.parquet("m.parquet")
        else:
            other.unlink()
            os.link(one, other)
        return True


def assert_as_from_nothing(folder, world):
    """Contracts, mistakes, numbers and index."""
    shelf, expected = folder._shelf, load_catalog(world.folder)
    assert shelf.catalog == expected
    assert {shelf.numbered.contracts[number].name: number for number in shelf.numbered.ordered} == shelf.numbered.numbers
    assert {name: shelf.numbered.contracts[number] for name, number in shelf.numbered.numbers.items()} == expected.by_name
    assert [shelf.numbered.contracts[number].name for number in shelf.numbered.ordered] == sorted(expected.by_name)
    assert shelf.numbered.there == sum(1 << number for number in shelf.numbered.numbers.values())
    fresh = Numbered().after(expected.by_name.values())
    for words in ("red", "blue x"):
        found = shelf.index.search(words, shelf.numbered.there, shelf.numbered)
        wanted = SearchIndex(fresh).search(words, fresh.there, fresh)
        assert [shelf.numbered.contracts[n].name for n in found.numbers] == [fresh.contracts[n].name for n in wanted.numbers]


@pytest.fixture
def one_by_one(monkeypatch):
    """What contracts claim is kept up to date however much changes, as in a big catalogue where little does."""
    monkeypatch.setattr("jupyter_guardrails.catalog.assembly.PART", 0)


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize("seed", range(20 if SOAK else 2))
def test_any_changes_one_by_one_are_what_reading_anew_gives(world, seed):
    changing = Changing(world, seed)
    folder = CatalogFolder(world.folder, check_every_s=1e9)
    seen = set()
    for _ in range(150):
        data = changing.step()
        folder.refresh(places=data)
        assert_as_from_nothing(folder, world)
        seen |= {problem.message for problem in folder.current.problems} | {*folder.current.contracts}
    assert {*NAMES[:4]} <= seen
    for words in CLAIMS if seed < 2 else ():
        assert any(words in message for message in seen), words


@pytest.mark.parametrize("seed", range(2))
def test_several_changes_at_once_are_what_reading_anew_gives(world, seed):
    changing = Changing(world, seed)
    folder = CatalogFolder(world.folder, check_every_s=1e9)
    for _ in range(30):
        data = [changing.step() for _ in range(changing.some.randrange(1, 5))]
        folder.refresh(places=any(data))
        assert_as_from_nothing(folder, world)


def test_what_a_change_does_not_touch_stays_the_same_object(world):
    for name in ("nyc/flights", "nyc/planes", "nyc/trains"):
        world.write(name)
    folder = CatalogFolder(world.folder, check_every_s=1e9)
    before = folder.current
    world.write("nyc/planes", version="2.0.0")
    folder.refresh()
    assert folder.current.contracts["nyc/planes"].version == "2.0.0"
    for name in ("nyc/flights", "nyc/trains"):
        assert folder.current.contracts[name] is before.contracts[name]


def test_nothing_changed_is_the_same_catalogue(world):
    file = world.write("nyc/flights")
    folder = CatalogFolder(world.folder, check_every_s=1e9)
    before = folder.shelf
    folder.refresh()
    os.utime(file)
    folder.refresh()
    assert folder.shelf is before


def test_a_change_is_read_alone(world, monkeypatch):
    for number in range(20):
        world.write(f"nyc/d{number}", world.parquet(f"{number}.parquet"))
    folder = CatalogFolder(world.folder, check_every_s=1e9)
    read, real = [], reading.read_contract
    monkeypatch.setattr("jupyter_guardrails.catalog.reading.read_contract", lambda file: read.append(file.name) or real(file))
    world.write("nyc/d7", world.data / "7.parquet", version="2.0.0")
    folder.refresh(places=False)
    assert read == ["nyc-d7.odcs.yaml"]
    assert folder.current.contracts["nyc/d7"].version == "2.0.0"


def test_a_look_that_fails_is_done_anew(world, monkeypatch):
    """What was there stays in force, and nothing of the change that failed is lost."""
    for name in ("nyc/flights", "nyc/planes", "nyc/trains"):
        world.write(name)
    folder = CatalogFolder(world.folder, check_every_s=1e9)
    before = folder.current
    (world.folder / "nyc-planes.odcs.yaml").unlink()
    world.write("nyc/trains", version="2.0.0")
    with monkeypatch.context() as patched:
        patched.setattr(Numbered, "changed", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            folder.refresh()
    assert folder.current is before
    world.write("nyc/boats")
    folder.refresh()
    assert {name: one.version for name, one in folder.current.contracts.items()} == {
        "nyc/flights": "1.2.0",
        "nyc/trains": "2.0.0",
        "nyc/boats": "1.2.0",
    }
    assert_as_from_nothing(folder, world)


def test_many_same_names_are_told_in_short(world):
    for number in range(14):
        world.write("nyc/flights", world.parquet(f"{number}.parquet"), file=f"f{number:02}.yaml")
    problem = load_catalog(world.folder).broken[0].problems[0]
    assert problem.message.count(".yaml") == 10
    assert problem.message.endswith("f10.yaml and 3 more")


def test_a_folder_stirs_when_something_in_it_changes(tmp_path):
    (tmp_path / "inner").mkdir()
    watch = Watch()
    for folder in (tmp_path, tmp_path / "inner"):
        watch.add(str(folder))
    assert not watch.stirred()
    (tmp_path / "inner" / "a.yaml").write_text("x")
    assert watch.stirred()
    assert watch.take() == {str(tmp_path / "inner")}
    assert not watch.stirred()
    (tmp_path / "inner" / "a.yaml").read_text()
    assert watch.take() == set()
    (tmp_path / "more").mkdir()
    assert watch.take() is None  # another folder: it may be anywhere
    assert not watch.stirred()


def test_a_big_catalogue_is_looked_at_again_as_soon_as_something_stirs(world):
    for name in ("nyc/flights", "nyc/planes"):
        world.write(name)
    now = [0.0]
    folder = CatalogFolder(world.folder, small=1, clock=lambda: now[0])
    wait_for_readers()
    folder._next_check = 1e9  # as after a look that took long
    now[0] = 2.0
    _ = folder.current
    wait_for_readers()
    assert set(folder.current.contracts) == {"nyc/flights", "nyc/planes"}
    world.write("nyc/trains")
    _ = folder.current
    wait_for_readers()
    assert set(folder.current.contracts) == {"nyc/flights", "nyc/planes", "nyc/trains"}


def wait_for_readers():
    for thread in threading.enumerate():
        if thread.name == "catalogue":
            thread.join(30)
