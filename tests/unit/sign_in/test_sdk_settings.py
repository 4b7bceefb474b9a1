"""Settings that the SDK cannot use, and a proxy that is not there: each is named."""

from __future__ import annotations

import socket
from pathlib import Path

import botocore.exceptions as raised
import pytest

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.aws.sdk_settings import proxy_fault
from imgpipe_cli.diagnose.doctor import network
from tests.unit.sign_in.conftest import KEYS, ROLE, Config, cause


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_DEFAULTS_MODE", "fast"),
        ("AWS_REQUEST_CHECKSUM_CALCULATION", "never"),
        ("AWS_RESPONSE_CHECKSUM_VALIDATION", "never"),
        ("AWS_STS_REGIONAL_ENDPOINTS", "mine"),
        ("AWS_ACCOUNT_ID_ENDPOINT_MODE", "maybe"),
        ("AWS_METADATA_SERVICE_TIMEOUT", "long"),
        ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "many"),
        ("AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES", "few"),
        ("AWS_ENDPOINT_URL", "localhost:4566"),
        ("AWS_ENDPOINT_URL_STS", "ftp://localhost"),
        ("AWS_CA_BUNDLE", "/no/bundle.pem"),
        ("REQUESTS_CA_BUNDLE", "/no/bundle.pem"),
        ("HTTPS_PROXY", "socks5://127.0.0.1:1080"),
        ("HTTPS_PROXY", "http://127.0.0.1:port"),
        ("https_proxy", "http://me:hunter2@127.0.0.1:99999"),
        ("HTTPS_PROXY", "http://[::1"),
        ("HTTPS_PROXY", "my proxy"),
    ],
)
def test_a_variable_that_the_sdk_cannot_use_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    found = cause(profile=None)
    assert found.code == ("unreachable" if "ENDPOINT_URL" in name else "bad_aws_setting")
    assert found.message.startswith(f"Could not sign in: {name}: ")
    assert found.hint == f"Correct {name}, or unset it."
    assert "hunter2" not in found.message


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_RETRY_MODE", "quick"), ("AWS_MAX_ATTEMPTS", "many"), ("AWS_MAX_ATTEMPTS", "0")]
)
def test_a_retry_variable_is_named_where_it_counts(
    config: Config, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The SDK takes a role with them; imgpipe's own calls have rules of their own."""
    config(f"[profile base]\n{KEYS}[profile work]\n{ROLE}source_profile = base\n")
    monkeypatch.setenv(name, value)
    found = cause()
    assert found.message.startswith(f"Could not sign in: {name}: ")
    assert found.hint == f"Correct {name}, or unset it."


@pytest.mark.parametrize("what", ["empty", "folder"])
def test_a_file_that_holds_no_certificates_is_named(config: Config, tmp_path: Path, what: str) -> None:
    path = tmp_path / what
    path.mkdir() if what == "folder" else path.write_text("nothing\n")
    file = config(f"[profile work]\n{KEYS}ca_bundle = {path}\n")
    found = cause()
    assert found.message.startswith(f"Could not sign in: ca_bundle of profile work: {path} ")
    assert found.hint == (f"Correct ca_bundle of profile work in {file}, or choose another with --profile.")


@pytest.mark.parametrize(
    "value", ["proxy", "proxy:3128", "http://proxy.example", "HTTPS://me:p%40ss@[::1]:443/", "10.0.0.1:8080"]
)
def test_the_url_of_a_proxy_may_be_short(value: str) -> None:
    assert proxy_fault(value) == ""


def test_doctor_names_the_proxy_that_is_no_url() -> None:
    found = network.proxy({"HTTPS_PROXY": "http://me:hunter2@proxy:port"})
    assert (found.outcome, found.seen) == ("failed", "HTTPS_PROXY: 'proxy:port' is no host and port")
    assert found.fix == "Correct HTTPS_PROXY, or unset it."


@pytest.mark.usefixtures("keys")
def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@127.0.0.1:{port}")
    found = cause(profile=None)
    assert found.code == "unreachable"
    assert f"127.0.0.1:{port}" in found.message
    assert "HTTPS_PROXY" in found.hint
    assert "hunter2" not in found.message + found.hint


def test_certificates_that_are_not_trusted_have_their_own_hint() -> None:
    error = raised.SSLError(endpoint_url="https://sts.eu-west-1.amazonaws.com/", error=OSError("self-signed"))
    found = problem(AwsError("Unreachable", str(error)))
    assert "AWS_CA_BUNDLE" in found.hint
