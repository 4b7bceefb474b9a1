"""Proxies and certificates hold for AWS's C library as for the SDK."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgpipe_cli.aws.client import Aws, Place, Timeouts
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Event, Note
from imgpipe_cli.pictures.sending.send import Outcome, send
from tests.crash_matrix import certificates
from tests.functional.sending.conftest import NAMES, pictures, sent
from tests.support.account import nothing
from tests.support.loopback_s3 import LoopbackS3, loopback_s3

pytestmark = pytest.mark.usefixtures("quick_sending")


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
