"""Sending pictures into a bucket that moto plays."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.events import Refused, Sent
from imgpipe_cli.pictures.sending.plan import Plan
from imgpipe_cli.pictures.sending.send import Outcome, send
from tests.support.uploads import NAMES, Account

EXAMPLES = Path(__file__).parents[2] / "examples"


def _picture(path: Path, width: int, height: int) -> Path:
    Image.new("L", (width, height)).save(path)
    return path


def test_pictures_arrive_unchanged_with_their_type_and_version(account: Account) -> None:
    sent = account.send(EXAMPLES / "cat.jpg", EXAMPLES / "sign.png")
    assert [(one.key, one.replaced) for one in sent] == [("cat.jpg", False), ("sign.png", False)]
    for one, kind in zip(sent, ("image/jpeg", "image/png"), strict=True):
        stored = account.stored(one.key, one.version_id)
        assert stored["Body"].read() == (EXAMPLES / one.key).read_bytes()
        assert stored["ContentType"] == kind
    assert [one for one in account.events if isinstance(one, Sent)] != []
    assert account.refused == {}


def test_the_type_is_that_of_the_content_not_of_the_name(account: Account, tmp_path: Path) -> None:
    misnamed = Path(shutil.copy(EXAMPLES / "sign.png", tmp_path / "sign.jpg"))
    (sent,) = account.send(misnamed)
    assert account.stored("sign.jpg", sent.version_id)["ContentType"] == "image/png"


def test_the_same_key_again_is_a_new_version_and_is_said(account: Account, tmp_path: Path) -> None:
    (first,) = account.send(EXAMPLES / "cat.jpg")
    (second,) = account.send(Path(shutil.copy(EXAMPLES / "coffee.jpg", tmp_path / "cat.jpg")))
    assert (first.replaced, second.replaced) == (False, True)
    assert first.version_id != second.version_id
    assert account.stored("cat.jpg", first.version_id)["Body"].read() == (EXAMPLES / "cat.jpg").read_bytes()


def test_every_picture_ends_in_one_event(account: Account, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    account.send(EXAMPLES / "cat.jpg", tmp_path / "text.jpg", EXAMPLES / "coffee.jpg", prefix="x")
    ends = [one for one in account.events if isinstance(one, Sent | Refused)]
    assert len(ends) == 3
    assert {one.key for one in ends if isinstance(one, Sent)} == {"x/cat.jpg", "x/coffee.jpg"}


def _gif() -> bytes:
    content = io.BytesIO()
    Image.new("P", (100, 100)).save(content, "GIF")
    return content.getvalue()


CAT = (EXAMPLES / "cat.jpg").read_bytes()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (_gif(), "unsupported_format"),
        (b"%PDF-1.7\n", "unsupported_format"),
        (b"", "unsupported_format"),
        (b"just words", "unsupported_format"),
        (CAT[:20], "corrupt"),
        (CAT + bytes(15 * 1024 * 1024), "too_large"),
    ],
    ids=["gif", "pdf", "empty", "text", "truncated", "large"],
)
def test_what_is_no_picture_is_refused_by_its_content_and_the_others_go(
    account: Account, tmp_path: Path, content: bytes, code: str
) -> None:
    (tmp_path / "fake.jpg").write_bytes(content)
    sent = account.send(tmp_path / "fake.jpg", EXAMPLES / "cat.jpg")
    assert [one.key for one in sent] == ["cat.jpg"]
    assert account.refused == {"fake.jpg": code}
    listed = account.s3.list_object_versions(Bucket=NAMES.bucket)["Versions"]
    assert [one["Key"] for one in listed] == ["cat.jpg"]


def test_every_refusal_has_a_reason_and_a_way_out(account: Account, tmp_path: Path) -> None:
    (tmp_path / "anim.jpg").write_bytes(_gif())
    account.send(tmp_path / "anim.jpg")
    (refused,) = (one for one in account.events if isinstance(one, Refused))
    assert "GIF" in refused.message
    assert "Convert" in refused.hint


def test_sides_from_80_to_10000_pixels_go_and_others_are_refused(account: Account, tmp_path: Path) -> None:
    sizes = {"s79": (79, 80), "s80": (80, 80), "l10000": (80, 10_000), "l10001": (10_001, 80)}
    paths = [_picture(tmp_path / f"{name}.png", *size) for name, size in sizes.items()]
    sent = account.send(*paths)
    assert [one.key for one in sent] == ["l10000.png", "s80.png"]
    assert account.refused == {"s79.png": "too_small", "l10001.png": "too_many_pixels"}


def test_a_file_that_goes_away_is_refused_and_the_others_go(account: Account, tmp_path: Path) -> None:
    path = Path(shutil.copy(EXAMPLES / "cat.jpg", tmp_path / "gone.jpg"))
    planned = list(Plan([str(path), str(EXAMPLES / "cat.jpg")]))
    path.unlink()
    assert send(account.aws, NAMES, planned, account.events.append) == Outcome(sent=1)
    assert account.refused == {"gone.jpg": "unreadable"}


def test_without_a_bucket_it_is_not_set_up(empty_account: Account) -> None:
    with pytest.raises(Problem) as caught:
        empty_account.send(EXAMPLES / "cat.jpg")
    assert (caught.value.code, caught.value.exit_code) == ("not_set_up", ExitCode.NOT_SET_UP)
    assert "imgpipe up" in caught.value.hint


def test_s3_is_told_whose_bucket_it_must_be(account: Account) -> None:
    owners = []

    def note(params: dict[str, Any], **_context: Any) -> None:
        owners.append(params.get("ExpectedBucketOwner"))

    account.s3.meta.events.register("provide-client-params.s3.PutObject", note)
    for _ in range(2):
        account.send(EXAMPLES / "cat.jpg", force=True)
    account.s3.meta.events.unregister("provide-client-params.s3.PutObject", note)
    assert owners == ["123456789012"] * 3  # once new; then first refused as there already, then replaced


def test_nothing_to_send_asks_nothing(empty_account: Account) -> None:
    assert send(empty_account.aws, NAMES, [], empty_account.events.append) == Outcome()
