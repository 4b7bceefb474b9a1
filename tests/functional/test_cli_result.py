"""`imgpipe result` against a played API and a bucket of moto's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from PIL import Image

from imgpipe_cli.session.times import iso
from tests.support.api_server import Answer, FakeApi, failed, item
from tests.support.cli import NAMES, REGION, Cli, remember

EXAMPLES = Path(__file__).parents[2] / "examples"
LABELS = [{"Name": "Cat", "Confidence": 98.5}, {"Name": "Sofa", "Confidence": 60.0}]


def _put(bucket: Any, *keys: str) -> list[str]:
    return [bucket.put_object(Bucket=NAMES.bucket, Key=key, Body=b"x")["VersionId"] for key in keys]


def test_the_labels_are_a_table_and_the_target_a_note(cli: Cli, played: FakeApi) -> None:
    played.store(item("cat.jpg", labels=LABELS))
    printed = cli("result", "cat.jpg")
    assert printed.code == 0
    assert "Cat" in printed.out
    assert "Sofa" not in printed.out
    assert printed.err == "project demo · AWS 123456789012 · eu-west-1\n"


@pytest.mark.parametrize(("flag", "shown"), [("50", True), ("60", True), ("60.1", False), ("0", True)])
def test_the_threshold_filters_when_reading(cli: Cli, played: FakeApi, flag: str, shown: bool) -> None:
    played.store(item("cat.jpg", labels=LABELS))
    assert ("Sofa" in cli("result", "cat.jpg", "--min-confidence", flag).out) is shown
    data = cli("result", "cat.jpg", "--min-confidence", flag, "--json").document["data"]
    assert len(data[0]["labels"]) == (2 if shown else 1)


def test_the_pipelines_own_threshold_counts_for_tables_and_json_is_whole(cli: Cli, played: FakeApi) -> None:
    remember(played.url, min_confidence=50.0)
    played.store(item("cat.jpg", labels=LABELS))
    assert "Sofa" in cli("result", "cat.jpg").out
    remember(played.url, min_confidence=99.0)
    assert cli("result", "cat.jpg", "--json").document["data"] == [item("cat.jpg", labels=LABELS)]


def test_the_folders_file_can_set_the_threshold(cli: Cli, played: FakeApi) -> None:
    Path("imgpipe.toml").write_text("min_confidence = 55")
    played.store(item("cat.jpg", labels=LABELS))
    assert "Sofa" in cli("result", "cat.jpg").out


def test_a_failed_picture_is_shown_and_exits_1(cli: Cli, played: FakeApi) -> None:
    played.store(failed("a.jpg", retryable=False))
    printed = cli("result", "a.jpg")
    assert printed.code == 1
    assert "Too busy." in printed.out
    assert "Wait." in printed.out


def test_a_key_asked_for_twice_is_answered_once(cli: Cli, played: FakeApi) -> None:
    played.store(item("a"))
    assert len(cli("result", "a", "a", "--json").document["data"]) == 1
    assert len(played.asked) == 1


def test_the_token_is_sent_to_a_public_pipeline_too_since_it_opens_more(cli: Cli, played: FakeApi) -> None:
    played.store(item("a"))
    cli("result", "a")
    remember(played.url, private=True)
    played.private = True
    assert cli("result", "a").code == 0
    assert ["authorization" in request.headers for request in played.asked] == [True, True]


def test_a_picture_without_a_result_is_pending_and_exits_4(cli: Cli, played: FakeApi, bucket: Any) -> None:
    _put(bucket, "new.jpg")
    printed = cli("result", "new.jpg")
    assert printed.code == 4
    assert printed.out == ""
    assert "new.jpg is in the bucket since" in printed.err
    assert "--wait" in printed.err
    document = cli("result", "new.jpg", "--json").document
    assert (document["status"], document["data"]) == ("pending", [])


def test_a_picture_that_is_not_there_exits_1_with_the_nearest_keys(
    cli: Cli, played: FakeApi, bucket: Any
) -> None:
    _put(bucket, "pics/photo.jpg", "cat.jpg")
    printed = cli("result", "photo.jpg")
    assert printed.code == 1
    assert "There is no picture photo.jpg in the bucket." in printed.err
    assert "Hint: Did you mean pics/photo.jpg" in printed.err


def test_an_empty_bucket_says_how_to_fill_it(cli: Cli, played: FakeApi, bucket: Any) -> None:
    printed = cli("result", "photo.jpg", "--json")
    assert printed.code == 1
    assert printed.error == "not_found"
    assert "imgpipe upload" in printed.document["errors"][0]["hint"]


def test_with_several_keys_a_failure_wins_over_one_still_to_come(
    cli: Cli, played: FakeApi, bucket: Any
) -> None:
    _put(bucket, "new.jpg")
    played.store(item("done.jpg"))
    assert cli("result", "done.jpg", "new.jpg").code == 4
    printed = cli("result", "done.jpg", "new.jpg", "nope.jpg", "--json")
    assert printed.code == 1
    assert [one["objectKey"] for one in printed.document["data"]] == ["done.jpg"]
    assert [one["code"] for one in printed.document["errors"]] == ["pending", "not_found"]


def test_waiting_ends_with_the_result_of_the_version_in_the_bucket(
    cli: Cli, played: FakeApi, bucket: Any
) -> None:
    (version,) = _put(bucket, "new.jpg")

    def answer_later(_request: object) -> None:
        if len(played.asked) == 3:
            played.store(item("new.jpg", version))

    played.before = answer_later
    printed = cli("result", "new.jpg", "--wait", "--json")
    assert printed.code == 0
    assert printed.document["data"] == [item("new.jpg", version)]


def test_a_picture_replaced_while_it_is_tried_again_is_waited_for_in_its_new_version(
    cli: Cli, played: FakeApi, bucket: Any
) -> None:
    old, new = _put(bucket, "a.jpg", "a.jpg")
    played.store(failed("a.jpg", retryable=True, version=old, at=iso(datetime.now(UTC))))

    def answer_later(_request: object) -> None:
        if len(played.asked) == 3:
            played.store(item("a.jpg", new))

    played.before = answer_later
    printed = cli("result", "a.jpg", "--wait", "--timeout", "20", "--json")
    assert printed.code == 0
    assert printed.document["data"] == [item("a.jpg", new)]


def test_waiting_has_an_end(cli: Cli, played: FakeApi, bucket: Any) -> None:
    _put(bucket, "new.jpg")
    printed = cli("result", "new.jpg", "--wait", "--timeout", "0")
    assert printed.code == 4
    assert "new.jpg" in printed.err


def test_a_bucket_that_is_gone_is_a_pipeline_not_set_up(cli: Cli, played: FakeApi) -> None:
    with mock_aws():
        printed = cli("result", "a.jpg", "--json")
    assert printed.code == 3
    assert printed.error == "not_set_up"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, {"message": "Not Found"}),
        Answer(401, {"error": {"code": "unauthorized", "message": "No."}}),
        Answer(body=b"<html>"),
    ],
)
def test_an_api_that_is_not_as_remembered_is_looked_up_again(
    cli: Cli, played: FakeApi, answer: Answer
) -> None:
    played.instead = [answer]
    with mock_aws():
        printed = cli("result", "a.jpg", "--json")
    assert printed.code == 3  # and the cloud says that there is none
    assert printed.error == "not_set_up"


def test_a_broken_state_file_is_as_good_as_none(cli: Cli, played: FakeApi, state: Path) -> None:
    (state / "targets.json").write_text("{")
    with mock_aws():
        assert cli("result", "a.jpg", "--region", REGION).code == 3


def test_credentials_of_another_account_are_refused(cli: Cli, played: FakeApi) -> None:
    remember(played.url, account="999999999999")
    with mock_aws():
        printed = cli("result", "a.jpg", "--json")
    assert printed.code == 1
    assert printed.error == "other_account"


@pytest.mark.parametrize("wait", [(), ("--wait", "--timeout", "0")])
def test_a_folder_marker_is_no_picture_and_not_waited_for(
    cli: Cli, played: FakeApi, bucket: Any, wait: tuple[str, ...]
) -> None:
    bucket.put_object(Bucket=NAMES.bucket, Key="dfolder/", Body=b"")
    printed = cli("result", "dfolder/", *wait, "--json")
    assert (printed.code, printed.error) == (1, "folder")
    assert "imgpipe list --prefix dfolder/" in printed.document["errors"][0]["hint"]


# --- drawn on the picture ----------------------------------------------------------------------

BOX = {"Left": 0.25, "Top": 0.25, "Width": 0.5, "Height": 0.5}
PLACED = [{**LABELS[0], "Instances": [{"BoundingBox": BOX, "Confidence": 97.0}]}]


def _stored(bucket: Any, played: FakeApi, *keys: str) -> None:
    """Pictures with their results."""
    for key in keys:
        found = bucket.put_object(Bucket=NAMES.bucket, Key=key, Body=(EXAMPLES / "cat.jpg").read_bytes())
        played.store(item(key, found["VersionId"], labels=PLACED, contentType="image/jpeg"))


def test_what_was_found_is_drawn_on_the_picture(cli: Cli, played: FakeApi, bucket: Any) -> None:
    _stored(bucket, played, "cat.jpg")
    printed = cli("result", "cat.jpg", "--annotate", "drawn.png")
    assert printed.code == 0
    assert "Cat" in printed.out
    assert "Drawn: drawn.png." in printed.err
    with Image.open("drawn.png") as drawn, Image.open(EXAMPLES / "cat.jpg") as original:
        assert drawn.size == original.size
    # What is less sure than the threshold is not drawn.
    again = cli("result", "cat.jpg", "--annotate", "drawn.png", "--min-confidence", "99", "--json")
    assert again.document["annotated"] == [{"key": "cat.jpg", "path": "drawn.png", "boxes": 0}]
    assert "nothing that was found has a place" in again.err


def test_several_pictures_are_drawn_into_a_folder(cli: Cli, played: FakeApi, bucket: Any) -> None:
    _stored(bucket, played, "a/cat.jpg", "a_cat.jpg")
    played.store(failed("bad.jpg", retryable=False), item("gone.jpg"))
    printed = cli(
        "result", "a/cat.jpg", "a_cat.jpg", "bad.jpg", "gone.jpg", "--annotate", "drawn/x", "--json"
    )
    assert printed.code == 1
    assert [one["code"] for one in printed.document["errors"]] == ["picture_gone"]
    assert [one["path"] for one in printed.document["annotated"]] == [
        str(Path("drawn/x/a_cat.jpg")),
        str(Path("drawn/x/a_cat-2.jpg")),
    ]
    assert sorted(one.name for one in Path("drawn/x").iterdir()) == ["a_cat-2.jpg", "a_cat.jpg"]


def test_a_slash_behind_the_name_of_one_picture_makes_a_folder(
    cli: Cli, played: FakeApi, bucket: Any
) -> None:
    _stored(bucket, played, "cat.jpg")
    assert cli("result", "cat.jpg", "--annotate", "drawn/").code == 0
    assert Path("drawn/cat.jpg").exists()


def test_a_picture_that_was_replaced_since_its_result_is_not_drawn_on(
    cli: Cli, played: FakeApi, bucket: Any
) -> None:
    _stored(bucket, played, "cat.jpg")
    _put(bucket, "cat.jpg")
    printed = cli("result", "cat.jpg", "--annotate", "drawn.jpg", "--json")
    assert (printed.code, printed.error) == (1, "picture_replaced")
    assert not Path("drawn.jpg").exists()


def test_the_picture_itself_is_never_drawn_over(cli: Cli, played: FakeApi, bucket: Any) -> None:
    _stored(bucket, played, "cat.jpg")
    Path("cat.jpg").write_bytes(b"mine")
    for out in ("cat.jpg", "."):
        assert cli("result", "cat.jpg", "--annotate", out, "--json").error == "file_exists"
    assert Path("cat.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "words", [("a", "--annotate", "a.gif"), ("a", "--annotate", "x"), ("a", "b", "--annotate", "c.jpg")]
)
def test_a_name_that_is_no_picture_asks_nothing(cli: Cli, played: FakeApi, words: tuple[str, ...]) -> None:
    assert cli("result", *words).code == 2
    assert played.asked == []
