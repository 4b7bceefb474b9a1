"""JPEG headers as libjpeg reads them: no file that its program djpeg decodes is refused as damaged."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.picture import Size, measure, refusal
from tests.support.exhaustive import cases

FACE = (Path(__file__).parents[2] / "examples" / "astronaut.jpg").read_bytes()
DJPEG = shutil.which("djpeg")
_SCAN = b"\xff\xda"


def _segments() -> list[int]:
    """Where each segment up to the scan begins."""
    found = [2]
    while FACE[found[-1] :][:2] != _SCAN:
        at = found[-1] + 2
        found.append(at + int.from_bytes(FACE[at : at + 2], "big"))
    return found


STARTS = _segments()


def _anywhere(chance: random.Random, data: bytearray) -> int:
    return chance.randrange(2, max(data.find(_SCAN) + 14, 20))


def _flip(chance: random.Random, data: bytearray) -> None:
    data[_anywhere(chance, data)] ^= 1 << chance.randrange(8)


def _delete(chance: random.Random, data: bytearray) -> None:
    at = _anywhere(chance, data)
    del data[at : at + chance.randrange(1, 9)]


def _insert(chance: random.Random, data: bytearray) -> None:
    at = _anywhere(chance, data)
    data[at:at] = chance.randbytes(chance.randrange(1, 9))


def _between(chance: random.Random, data: bytearray) -> None:
    at, strays = chance.choice(STARTS), (b"\xff", b"\xff\0", b"\0", b"\xff\xd0", b"\xff\x01", b"\0\xe1\0\4ab")
    data[at:at] = chance.choice(strays) * chance.randrange(1, 60)


def _segment(chance: random.Random, data: bytearray) -> None:
    at, length = chance.choice(STARTS), chance.randrange(200)
    start = bytes((0xFF, chance.randrange(256))) + length.to_bytes(2, "big")
    data[at:at] = start + chance.randbytes(max(length - 2, 0))


def _length(chance: random.Random, data: bytearray) -> None:
    at = chance.choice(STARTS) + 2
    data[at : at + 2] = chance.randrange(400).to_bytes(2, "big")


def _twice(chance: random.Random, data: bytearray) -> None:
    place = chance.randrange(len(STARTS) - 1)
    at = chance.choice(STARTS)
    data[at:at] = FACE[STARTS[place] : STARTS[place + 1]]


def _leave_out(chance: random.Random, data: bytearray) -> None:
    place = chance.randrange(len(STARTS) - 1)
    del data[STARTS[place] : STARTS[place + 1]]


_CHANGES: tuple[Callable[[random.Random, bytearray], None], ...] = (
    *(_flip, _delete, _insert, _between, _segment, _length, _twice, _leave_out),
)


def mutated(seed: int) -> bytes:
    """The portrait with one to three changes in its header; the same ones for the same seed."""
    chance, data = random.Random(seed), bytearray(FACE)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        chance.choice(_CHANGES)(chance, data)
    return bytes(data)


def _decoded(data: bytes) -> Size | None:
    """The size of the picture as djpeg decodes it; None where it refuses the file."""
    assert DJPEG
    done = subprocess.run([DJPEG, "-pnm"], input=data, capture_output=True, check=False)
    if done.returncode not in (0, 2):  # 2: with warnings
        return None
    _kind, width, height, _most = done.stdout[:40].split(maxsplit=4)[:4]
    return Size(width=int(width), height=int(height))


@pytest.mark.skipif(DJPEG is None, reason="NOT COVERED: there is no djpeg here (libjpeg-turbo-progs)")
@pytest.mark.parametrize("seed", cases(range(500), keep=40))
def test_only_what_djpeg_refuses_is_refused_as_damaged(seed: int) -> None:
    data = mutated(seed)
    decoded, fault = _decoded(data), refusal(data)
    if decoded is not None:
        assert fault is None or fault.code in ("too_small", "too_many_pixels"), fault
        assert measure(data) in (decoded, None)


def test_the_changes_make_both_sound_and_damaged_headers() -> None:
    found = [refusal(mutated(seed)) for seed in range(100)]
    assert 10 < sum(fault is not None for fault in found) < 90


@pytest.mark.parametrize(
    "stray", [b"\0", b"\xff\0", bytes(21), b"\x12\x34\x56"], ids=["byte", "stuffing", "zeros", "bytes"]
)
def test_a_stray_byte_may_stand_right_behind_the_start(stray: bytes) -> None:
    odd = FACE[:2] + stray + FACE[2:]
    assert refusal(odd) is None
    assert measure(odd) == measure(FACE)
