"""What finished pictures lack, and how many do."""

from __future__ import annotations

from typing import Any, cast

import pytest

from imgpipe_cli.local.rekognition.capabilities import RoleState, capabilities
from imgpipe_cli.pictures.lacking import Expected, count_lacking, models_of
from shared.result_item import ResultItem

NOW = {"labels": "two", "faces": "two", "properties": "two"}


def _item(key: str = "a.jpg", status: str = "done", **findings: Any) -> ResultItem:
    """models: by feature; a finding is an empty list."""
    models = {feature: model for feature, model in findings.items() if model and feature != "unavailable"}
    given: dict[str, Any] = {feature: [] for feature in findings if feature != "unavailable"}
    unavailable = findings.get("unavailable")
    return cast(
        "ResultItem",
        {
            "objectKey": key,
            "status": status,
            "models": models,
            **given,
            **({"unavailable": unavailable} if unavailable else {}),
        },
    )


@pytest.mark.parametrize(
    ("features", "models", "item", "unanswered", "outdated"),
    [
        (("labels",), {}, _item(labels="one"), (), {}),
        (("labels", "faces"), {}, _item(labels="one"), ("faces",), {}),
        (("labels", "faces"), {}, _item(labels="one", unavailable={"faces": {}}), (), {}),
        # Only the local cloud tells which model answers now.
        (("labels",), NOW, _item(labels="two"), (), {}),
        (("labels", "faces"), NOW, _item(labels="one", faces="two"), (), {"labels": "one"}),
        (("labels", "faces"), NOW, _item(labels="one"), ("faces",), {"labels": "one"}),
        (("labels",), NOW, _item(labels=""), (), {"labels": ""}),
        (("faces",), NOW, _item(unavailable={"faces": {}}), (), {"faces": ""}),
        (("moderation",), NOW, _item(unavailable={"moderation": {}}), (), {}),
        # A feature that the pipeline no longer asks for is not missed.
        (("labels",), NOW, _item(labels="two", faces="one"), (), {}),
    ],
)
def test_a_result_lacks_what_is_not_answered_or_of_another_model(
    features: tuple[str, ...],
    models: dict[str, str],
    item: ResultItem,
    unanswered: tuple[str, ...],
    outdated: dict[str, str],
) -> None:
    expected = Expected(features, models)
    assert expected.unanswered(item) == unanswered
    assert expected.outdated(item) == outdated
    assert set(expected.lacking(item)) == {*unanswered, *outdated}


def test_each_finished_picture_is_counted_once() -> None:
    pages = [
        [_item("a", labels="one"), _item("b", labels="one", faces="one")],
        [_item("a", labels="one"), _item("c", labels="one"), _item("d", status="failed")],
    ]
    found = count_lacking(pages, Expected(("labels", "faces")))
    assert (found.pictures, found.features, found.complete) == (2, {"faces": 2}, True)


def test_the_count_ends_where_it_would_take_too_long() -> None:
    def endless() -> Any:
        for number in range(10**9):
            yield [_item(f"{number}-{place}", labels="one") for place in range(100)]

    found = count_lacking(endless(), Expected(("faces",)), at_most=250)
    assert (found.pictures, found.complete) == (300, False)


def test_the_models_are_those_of_the_local_analysis() -> None:
    missing = RoleState("", "missing")
    models = models_of(capabilities({"object": missing, "class": missing, "face": missing}, moderation=False))
    assert models.keys() == {"labels", "text", "properties"}
    with_faces = capabilities(
        {"object": missing, "class": missing, "face": RoleState("faces@1", "installed")}, moderation=False
    )
    assert "faces@1" in models_of(with_faces)["faces"]
    assert models["labels"] == models["properties"]
    assert models_of(None) == models_of({"unavailable": "loading"}) == {}
