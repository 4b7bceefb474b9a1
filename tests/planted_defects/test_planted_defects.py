"""Each planted defect still has its place and is valid code there; whether tests find it is tried by hand."""

from __future__ import annotations

import pytest

from tests.planted_defects.defects import DEFECTS, Defect


@pytest.mark.parametrize("defect", [pytest.param(one, id=one.name) for one in DEFECTS])
def test_a_defect_can_be_planted(defect: Defect) -> None:
    text = defect.path.read_text(encoding="utf-8")
    assert text.count(defect.right) == 1
    compile(text.replace(defect.right, defect.wrong), defect.file, "exec")
