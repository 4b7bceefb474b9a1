"""Sending through AWS's own C library, to an S3 of this machine that can have faults."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.aws.client import Aws, AwsError, Place, Timeouts
from imgpipe_cli.aws.names import Names
from imgpipe_cli.aws.object_puts import ObjectPuts
from imgpipe_cli.aws.put import Cancel, Stored
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Event, Note, Refused, Sent, Unchanged
from imgpipe_cli.pictures.sending import send as sending
from imgpipe_cli.pictures.sending.journal import forget
from imgpipe_cli.pictures.sending.picture import Picture
from imgpipe_cli.pictures.sending.plan import Planned
from imgpipe_cli.pictures.sending.send import FEW, Outcome, send
from imgpipe_cli.pictures.sending.window import OnEnd, Window
from imgpipe_cli.pictures.sources import Source
from shared.forced import is_forced
from tests.crash_matrix import certificates
from tests.support import photos
from tests.support.account import nothing
from tests.support.loopback_s3 import Asked, LoopbackS3, loopback_s3

NAMES = Names("demo", "123456789012", "eu-west-1")
CAT = (Path(__file__).parents[2] / "examples" / "cat.jpg").read_bytes()
MB = 1024 * 1024

pytestmark = pytest.mark.usefixtures("quick_sending")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackS3]:
    for name, value in {"ACCESS_KEY_ID": "AKIDLOOPBACK", "SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with loopback_s3(NAMES.bucket) as found:
        monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
        yield found


def aws() -> Aws:
    return Aws(Place(region=NAMES.region))


def picture(number: int) -> Source:
    return Source(f"p/{number:06}.jpg", f"{number}.jpg", data=CAT + b"%d" % number)


def pictures(count: int) -> list[Planned]:
    return [picture(number) for number in range(count)]


def sent(planned: Any, told: list[Event] | None = None, **options: Any) -> Outcome:
    return send(aws(), NAMES, planned, nothing if told is None else told.append, **options)


# --- the requests --------------------------------------------------------------------------------


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


# --- faults --------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> list[Source]:
    """Pictures in files, of which one has a name that is no UTF-8."""
    made = [tmp_path / f"{number}.jpg" for number in range(5)]
    made += [Path(os.fsdecode(os.fsencode(tmp_path / "caf") + b"\xe9.jpg"))] if os.name == "posix" else []
    for number, path in enumerate(made):
        path.write_bytes(CAT + b"%d" % number)
    return [Source(f"{number}.jpg", str(path), path) for number, path in enumerate(made)]


def test_files_arrive_whatever_their_names_are(s3: LoopbackS3, files: list[Source]) -> None:
    assert sent(files) == Outcome(sent=len(files))
    assert [s3.newest(one.key) for one in files] == [CAT + b"%d" % number for number in range(len(files))]
    assert [one.by_crt for one in s3.puts()].count(False) == 1


@pytest.mark.parametrize("change", ["other", "longer", "shorter", "gone"])
def test_a_file_that_changes_once_it_was_checked_arrives_as_it_was(
    s3: LoopbackS3, files: list[Source], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The second one has been read by then, and is not sent yet."""
    path, before = files[1].path, CAT + b"1"
    assert path is not None
    quicken = ObjectPuts.quicken

    def changed(puts: ObjectPuts) -> None:
        if change == "gone":
            path.unlink()
        else:
            path.write_bytes({"other": CAT + b"9", "longer": before + b"9", "shorter": CAT}[change])
        quicken(puts)

    monkeypatch.setattr(ObjectPuts, "quicken", changed)
    assert sent(files) == Outcome(sent=len(files))
    assert s3.newest("1.jpg") == before
    assert len(s3.keys["1.jpg"]) == 1


def test_a_wave_of_throttling_loses_no_picture(s3: LoopbackS3) -> None:
    """Its usual way to try again would give up: each failure costs all others their attempts."""
    met: Counter[str] = Counter()

    def slow_down(asked: Asked) -> tuple[int, str] | None:
        met[asked.key] += 1
        return (503, "SlowDown") if asked.by_crt and met[asked.key] <= 2 else None

    s3.fault = slow_down
    assert sent(pictures(90)) == Outcome(sent=90)
    assert len(s3.keys) == 90
    assert all(len(versions) == 1 for versions in s3.keys.values())


def test_where_the_library_gives_up_the_sdk_sends_once_more(s3: LoopbackS3) -> None:
    s3.fault = lambda asked: (403, "AccessDenied") if asked.by_crt else None
    assert sent(pictures(10)) == Outcome(sent=10)
    assert len(s3.keys) == 10


def test_the_error_that_is_reported_is_the_sdks(s3: LoopbackS3) -> None:
    s3.fault = lambda asked: (400, "InvalidArgument") if asked.key.endswith("5.jpg") else None
    told: list[Event] = []
    assert sent(pictures(10), told) == Outcome(sent=9)
    (refused,) = [one for one in told if isinstance(one, Refused)]
    assert (refused.source, refused.code) == ("5.jpg", "key_refused")


def test_no_bucket_is_met_by_the_first_picture_alone(s3: LoopbackS3) -> None:
    s3.fault = lambda _asked: (404, "NoSuchBucket")
    with pytest.raises(Problem) as caught:
        sent(pictures(50))
    assert caught.value.code == "not_set_up"
    assert len(s3.puts()) == 1


def test_credentials_that_cannot_be_renewed_are_reported_with_their_own_words(s3: LoopbackS3) -> None:
    class Expiring(Aws):
        left = 5

        def signing_keys(self) -> tuple[str, str, str | None]:
            self.left -= 1
            if self.left < 0:
                raise AwsError("ExpiredToken", "The SSO session is over.", status=400)
            return super().signing_keys()

    hours = itertools.count(step=3600).__next__
    with pytest.raises(Problem) as caught:
        send(Expiring(Place(region=NAMES.region), clock=hours), NAMES, pictures(50), nothing)
    assert caught.value.code == "expired_token"
    assert len(s3.keys) < 50


def test_new_credentials_are_used_at_once(s3: LoopbackS3) -> None:
    class Renewing(Aws):
        asked = 0

        def signing_keys(self) -> tuple[str, str, str | None]:
            self.asked += 1
            return f"AKID{self.asked}", "secret", None

    hours = itertools.count(step=3600).__next__
    send(Renewing(Place(region=NAMES.region), clock=hours), NAMES, pictures(12), nothing)
    later = [one.headers["authorization"] for one in s3.puts() if one.by_crt]
    assert len({one.partition("Credential=")[2].partition("/")[0] for one in later}) == 11


def test_a_fault_that_nobody_has_thought_of_ends_the_upload(s3: LoopbackS3) -> None:
    class Broken(Aws):
        def call(self, *_what: Any, **_parameters: Any) -> dict[str, Any]:
            raise TypeError("nobody has thought of it")

    with pytest.raises(TypeError):
        send(Broken(Place(region=NAMES.region)), NAMES, pictures(5), nothing)


def test_where_the_library_is_not_there_the_sdk_sends_all_and_that_is_said(
    s3: LoopbackS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "awscrt.s3", None)
    told: list[Event] = []
    assert sent(pictures(20), told) == Outcome(sent=20)
    assert not any(one.by_crt for one in s3.puts())
    assert [one.code for one in told if isinstance(one, Note)] == ["sent_slowly"]


# --- networks ------------------------------------------------------------------------------------


def test_the_users_proxy_is_gone_through(s3: LoopbackS3, monkeypatch: pytest.MonkeyPatch) -> None:
    """The S3 of these tests takes whole URLs as a proxy does; the name of the endpoint leads nowhere."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3.invalid")
    monkeypatch.setenv("HTTP_PROXY", s3.url)
    monkeypatch.setenv("http_proxy", s3.url)
    assert sent(pictures(5)) == Outcome(sent=5)
    assert [one.by_crt for one in s3.puts()] == [False, True, True, True, True]


def test_to_this_machine_nothing_goes_through_the_users_proxy(
    s3: LoopbackS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    local = Place(NAMES.region, endpoint=s3.url, access_key_id="local", secret_access_key="local")
    told: list[Event] = []
    assert send(Aws(local), NAMES, pictures(5), told.append) == Outcome(sent=5)
    assert not [one for one in told if isinstance(one, Note)]


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_the_certificates_that_the_user_names_are_trusted_by_the_library_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: LoopbackS3, variable: str
) -> None:
    made = certificates.make(tmp_path)
    monkeypatch.setenv(variable, str(made))
    with loopback_s3(NAMES.bucket, certificates.served_with(made)) as secure:
        monkeypatch.setenv("AWS_ENDPOINT_URL", secure.url)
        assert sent(pictures(4)) == Outcome(sent=4)
        assert [one.by_crt for one in secure.puts()] == [False, True, True, True]


def test_a_certificate_that_nobody_trusts_is_met_by_the_first_picture_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: LoopbackS3
) -> None:
    with loopback_s3(NAMES.bucket, certificates.served_with(certificates.make(tmp_path))) as secure:
        monkeypatch.setenv("AWS_ENDPOINT_URL", secure.url)
        impatient = Aws(Place(region=NAMES.region), timeouts=Timeouts(attempts=1))
        with pytest.raises(Problem) as caught:
            send(impatient, NAMES, pictures(4), nothing)
    assert caught.value.code == "unreachable"
    assert "AWS_CA_BUNDLE" in caught.value.hint
    assert secure.puts() == []


# --- a bounded pipeline --------------------------------------------------------------------------


def test_the_first_picture_is_stored_before_the_last_one_is_found(s3: LoopbackS3) -> None:
    stored = threading.Event()
    s3.on_stored = lambda _key: stored.set()

    def found() -> Iterator[Planned]:
        yield from pictures(FEW + 2)
        assert stored.wait(60)
        yield picture(FEW + 2)

    assert sent(found()) == Outcome(sent=FEW + 3)


def test_no_more_are_read_ahead_than_the_window_holds(s3: LoopbackS3) -> None:
    read = stored = most = 0

    class Counted(Source):
        def read(self) -> tuple[bytes, int]:
            nonlocal read, most
            read += 1
            most = max(most, read - stored)
            return super().read()

    def emit(event: Event) -> None:
        nonlocal stored
        stored += isinstance(event, Sent)

    many = [Counted(f"{number:04}.jpg", "", data=CAT) for number in range(300)]
    assert send(aws(), NAMES, many, emit) == Outcome(sent=300)
    assert 2 < most <= 129


def test_no_more_bytes_are_read_ahead_than_the_window_holds(s3: LoopbackS3) -> None:
    under_way: list[int] = []
    gate = threading.Lock()
    most = 0

    def begun(_asked: Asked) -> None:
        nonlocal most
        with gate:
            under_way.append(1)
            most = max(most, len(under_way))

    def ended(_key: str) -> None:
        with gate:
            under_way.pop()

    s3.fault, s3.on_stored, s3.keeps = begun, ended, False
    large = CAT + bytes(14 * MB)
    assert sent([Source(f"{number}.jpg", "", data=large) for number in range(8)]) == Outcome(sent=8)
    assert 1 < most <= 4  # of 14 MB each in 64 MB


def test_ctrl_c_before_a_picture_is_counted_leaves_it_under_way() -> None:
    def interrupted(*_what: Any) -> None:
        raise KeyboardInterrupt

    window = Window(interrupted)
    one = Picture(picture(1), 3, b"abc")

    def begin(on_end: OnEnd) -> Cancel:
        on_end(Stored("0", None))
        return lambda: None

    window.add(one, begin)
    with pytest.raises(KeyboardInterrupt):
        window.drain()
    assert window.pictures == [one]


# --- what is there already -----------------------------------------------------------------------


def test_a_few_pictures_that_are_there_are_asked_for_one_by_one(s3: LoopbackS3) -> None:
    sent(pictures(5))
    s3.asked.clear()
    told: list[Event] = []
    assert sent(pictures(5), told) == Outcome(unchanged=5)
    assert Counter(one.kind for one in s3.asked) == {"PUT": 5, "HEAD": 5}
    assert all(len(versions) == 1 for versions in s3.keys.values())
    assert {(one.key, one.version_id) for one in told if isinstance(one, Unchanged)} == {
        (key, versions[0].version_id) for key, versions in s3.keys.items()
    }


def test_a_thousand_that_are_there_cost_no_put_and_few_requests(s3: LoopbackS3) -> None:
    many = pictures(1000)
    for one in many:
        assert isinstance(one, Source)
        s3.store(one.key, one.read()[0])
    for number in range(3000):  # of others, before and after
        s3.store(f"{'aoz'[number % 3]}/{number}.jpg", b"x")
    assert sent(many) == Outcome(unchanged=1000)
    assert s3.puts() == []
    assert len(s3.asked) <= 20


def test_pictures_in_any_order_are_found_as_well(s3: LoopbackS3) -> None:
    many = pictures(FEW + 50)
    for one in many:
        assert isinstance(one, Source)
        s3.store(one.key, one.read()[0])
    assert sent([*many[50:], *many[:50]]) == Outcome(unchanged=FEW + 50)
    assert s3.puts() == []


@pytest.mark.parametrize("count", [5, FEW + 5], ids=["few", "many"])
def test_only_those_that_changed_are_sent_each_as_a_new_version(s3: LoopbackS3, count: int) -> None:
    many = pictures(count)
    sent(many)
    s3.asked.clear()
    many[2] = Source(picture(2).key, "2.jpg", data=CAT + b"x")  # of the same size
    many[3] = Source(picture(3).key, "3.jpg", data=CAT + b"longer")
    told: list[Event] = []
    assert sent(many, told) == Outcome(sent=2, unchanged=count - 2)
    assert {one.key for one in told if isinstance(one, Sent) and one.replaced} == {many[2].key, many[3].key}  # type: ignore[union-attr]
    assert {key for key, versions in s3.keys.items() if len(versions) == 2} == {many[2].key, many[3].key}  # type: ignore[union-attr]


def metadata(put: Asked) -> dict[str, str]:
    """The user's own that a request carries."""
    found = {name.removeprefix("x-amz-meta-"): value for name, value in put.headers.items()}
    return {name: value for name, value in found.items() if name not in put.headers}


@pytest.mark.parametrize("count", [5, FEW + 5], ids=["few", "many"])
def test_with_force_all_are_sent_each_as_a_new_version(s3: LoopbackS3, count: int) -> None:
    sent(pictures(count))
    told: list[Event] = []
    s3.asked.clear()
    assert sent(pictures(count), told, force=True) == Outcome(sent=count)
    # By either library, each says for itself that it is to be analyzed again.
    assert {is_forced(one.key, metadata(one)) for one in s3.puts()} == {True}
    assert all(one.replaced for one in told if isinstance(one, Sent))
    assert all(len(versions) == 2 for versions in s3.keys.values())


def test_an_etag_that_is_no_md5_is_known_again_from_the_journal(s3: LoopbackS3) -> None:
    s3.encrypted = True
    sent(pictures(FEW + 5))
    s3.asked.clear()
    assert sent(pictures(FEW + 5)) == Outcome(unchanged=FEW + 5)
    assert Counter(one.kind for one in s3.asked) == {"LIST": 1}


def test_without_the_journal_the_sha_256_that_s3_keeps_decides(s3: LoopbackS3, state: Path) -> None:
    s3.encrypted = True
    sent(pictures(FEW + 5))
    (journal,) = state.glob("sent-*")
    journal.unlink()
    s3.asked.clear()
    assert sent(pictures(FEW + 5)) == Outcome(unchanged=FEW + 5)
    assert Counter(one.kind for one in s3.asked) == {"LIST": 1, "HEAD": FEW + 5}


def test_a_picture_whose_state_cannot_be_asked_is_sent(s3: LoopbackS3) -> None:
    sent(pictures(2))
    s3.fault = lambda asked: (403, "AccessDenied") if asked.kind in ("HEAD", "LIST") else None
    assert sent(pictures(2)) == Outcome(sent=2)


def test_where_the_list_is_refused_nothing_is_sent_and_the_permission_is_named(s3: LoopbackS3) -> None:
    s3.fault = lambda asked: (403, "AccessDenied") if asked.kind == "LIST" else None
    with pytest.raises(Problem) as caught:
        sent(pictures(FEW + 5))
    assert "s3:ListBucketVersions" in caught.value.message
    assert s3.puts() == []


# --- the SDK without the library -----------------------------------------------------------------


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
