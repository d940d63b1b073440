"""Digests of many texts at once are AES-CMAC, as the library gives it for each by itself."""

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC

from jupyter_guardrails.catalog.digests import PIECE, Digests

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")  # RFC 4493, section 4
EXAMPLE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)


def by_itself(text):
    made = CMAC(algorithms.AES(KEY))
    made.update(text.encode())
    return made.finalize().hex()


@pytest.mark.parametrize(
    ("length", "digest"),
    [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ],
)
def test_the_examples_of_the_standard(length, digest):
    texts = pa.array([EXAMPLE[:length]], pa.binary()).view(pa.string())
    assert Digests(KEY).hexadecimal(texts).to_pylist() == [digest]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_every_length_side_by_side(kind):
    texts = [character * length for length in range(300) for character in ("x", "é", "\0")]
    assert Digests(KEY).hexadecimal(pa.array(texts, kind)).to_pylist() == [by_itself(text) for text in texts]


def test_nulls_stay_null_and_a_part_of_an_array_is_its_own():
    texts = [None, "a", "", None, "a" * 40] * PIECE  # several pieces
    known = {text: by_itself(text) for text in set(texts) - {None}} | {None: None}
    made = Digests(KEY).hexadecimal(pa.array(texts).slice(3, 2 * PIECE))
    assert made.to_pylist() == [known[text] for text in texts[3 : 3 + 2 * PIECE]]


def test_nothing_gives_nothing_and_another_key_other_digests():
    assert Digests(KEY).hexadecimal(pa.array([], pa.string())).to_pylist() == []
    assert Digests(KEY).hexadecimal(pa.array([None], pa.string())).to_pylist() == [None]
    assert Digests(bytes(16)).hexadecimal(pa.array(["a"])) != Digests(KEY).hexadecimal(pa.array(["a"]))
