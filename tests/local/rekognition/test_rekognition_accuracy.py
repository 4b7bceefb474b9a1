"""The photographs of `make accuracy`: from the confidence that imgpipe shows from, nothing wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from accuracy import Count, Counts, count_picture
from imgpipe_cli.local.rekognition import Rekognition
from tests.support.exhaustive import cases, only
from truth import Truth, pictures

SHOWN_FROM = 70
PICTURES = list(pictures())


@pytest.mark.parametrize(
    ("path", "truth"), cases(PICTURES, keep=6), ids=lambda value: getattr(value, "name", "truth")
)
def test_no_picture_gets_a_wrong_label_or_face(seeing: Rekognition, path: Path, truth: Truth) -> None:
    counts = Counts()
    count_picture(counts, seeing, path, truth)
    assert counts.labels[SHOWN_FROM].wrong == []
    assert (counts.faces.wrong, counts.faces.missed) == ([], [])


@pytest.mark.parametrize("every", [only([PICTURES])])
def test_the_figures_of_the_documentation_hold(
    seeing: Rekognition, every: list[list[tuple[Path, Truth]]]
) -> None:
    counts = Counts()
    for path, truth in every[0]:
        count_picture(counts, seeing, path, truth)
    assert len(counts.labels[SHOWN_FROM].right) >= 12
    assert len(counts.lines.right) >= 11
    assert len(counts.lines.wrong) <= 2


def test_what_is_wanted_twice_has_to_be_found_twice() -> None:
    count = Count()
    count.add("a.jpg", ["Cat", "Animal", "Dog"], ["Cat", "Cat", "Cup"], ("Animal",))
    assert (count.right, count.wrong) == (["a.jpg Cat"], ["a.jpg Dog"])
    assert count.missed == ["a.jpg Cat", "a.jpg Cup"]
