"""Each picture arrives as it is, in one request."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from imgpipe_cli.events import Event, Sent
from imgpipe_cli.pictures.sending import send as sending
from imgpipe_cli.pictures.sending.journal import forget
from imgpipe_cli.pictures.sending.send import Outcome
from imgpipe_cli.pictures.sources import Source
from tests.functional.sending.conftest import CAT, MB, NAMES, picture, pictures, sent
from tests.support import photos
from tests.support.loopback_s3 import LoopbackS3

pytestmark = pytest.mark.usefixtures("quick_sending")


def test_all_but_the_first_go_through_the_library_each_in_one_request(s3: LoopbackS3) -> None:
    told: list[Event] = []
    assert sent(pictures(30), told) == Outcome(sent=30)
    assert [one.by_crt for one in s3.puts()] == [False] + [True] * 29
    for number in range(30):
        (version,) = s3.keys[f"p/{number:06}.jpg"]
        assert version.body == CAT + b"%d" % number
        assert version.content_type == "image/jpeg"
        assert Sent(f"p/{number:06}.jpg", f"{number}.jpg", version.version_id, False, version.size) in told


def test_s3_is_told_whose_bucket_it_must_be_and_to_replace_nothing(s3: LoopbackS3) -> None:
    """And verifies the SHA-256: it would have answered BadDigest."""
    sent(pictures(3))
    for one in s3.puts():
        assert one.headers["x-amz-expected-bucket-owner"] == NAMES.account
        assert one.headers["if-none-match"] == "*"
        digest = hashlib.sha256(s3.newest(one.key)).digest()
        assert one.headers["x-amz-checksum-sha256"] == base64.b64encode(digest).decode()


def test_the_largest_picture_goes_in_one_request_too(s3: LoopbackS3) -> None:
    """So its checksum and its ETag are those of its bytes."""
    large = [
        Source(f"{number}.jpg", f"{number}.jpg", data=CAT + bytes(15 * MB - len(CAT))) for number in range(2)
    ]
    assert sent(large) == Outcome(sent=2)
    assert len(s3.puts()) == 2
    assert s3.keys["1.jpg"][0].etag == hashlib.md5(large[1].read()[0]).hexdigest()


@pytest.mark.parametrize(
    "key", ["a b.jpg", "a+b.jpg", "a//b.jpg", "a/../b.jpg", "100%.jpg", "a?b#c.jpg", "ü/é.jpg"]
)
def test_every_key_arrives_as_it_is(s3: LoopbackS3, key: str) -> None:
    assert sent([picture(1), Source(key, key, data=CAT)]) == Outcome(sent=2)
    assert s3.newest(key) == CAT
    assert s3.puts()[-1].by_crt


def test_one_picture_needs_no_library(s3: LoopbackS3) -> None:
    assert sent(pictures(1)) == Outcome(sent=1)
    assert [one.by_crt for one in s3.puts()] == [False]


def test_converted_pictures_say_what_they_were_and_are_known_again(
    s3: LoopbackS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the list of what is there, and what this machine has sent; else each is looked at."""
    monkeypatch.setattr(sending, "FEW", 1)
    made = [Source(f"p/{turn}.webp", f"{turn}.webp", data=photos.MADE["WebP"](turn)) for turn in (1, 6, 8)]
    assert sent([picture(0), *made]) == Outcome(sent=4)
    for source in made:
        metadata = s3.keys[f"{source.key}.jpg"][0].metadata
        assert metadata["x-amz-meta-imgpipe-source-sha256"] == source.sha256(10**6).hex()
        assert metadata["x-amz-meta-imgpipe-original-kind"] == "WebP"
    assert s3.puts()[-1].by_crt
    s3.asked.clear()
    assert sent([picture(0), *made]) == Outcome(unchanged=4)
    assert {one.kind for one in s3.asked} == {"LIST"}
    forget(NAMES.bucket)
    assert sent([picture(0), *made]) == Outcome(unchanged=4)
    assert Counter(one.kind for one in s3.asked)["HEAD"] == 3
    assert s3.puts() == []


@pytest.mark.parametrize(("config", "loaded"), [("", "False"), ("[profile a]\nlogin_session = x\n", "True")])
def test_the_sdk_has_the_library_only_where_a_login_needs_it(
    tmp_path: Path, config: str, loaded: str
) -> None:
    (tmp_path / "config").write_text(config)
    code = (
        "import sys; from imgpipe_cli.aws.client import Aws, Place; "
        "Aws(Place(region='eu-west-1')).client('s3'); from botocore.compat import HAS_CRT; "
        "print('awscrt' in sys.modules, HAS_CRT); import awscrt.s3"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "AWS_CONFIG_FILE": str(tmp_path / "config")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [loaded, loaded]
