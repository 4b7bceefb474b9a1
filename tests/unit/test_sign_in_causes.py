"""Why there are no credentials, or no way to AWS: the cause in the SDK's words, and where it stands."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.exceptions as raised
import pytest
from botocore.credentials import AssumeRoleProvider

from imgpipe_cli.aws.client import Aws, AwsError, Place
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.aws.sdk_settings import proxy_fault
from imgpipe_cli.aws.sign_in import SignIn
from imgpipe_cli.diagnose.doctor import network
from imgpipe_cli.diagnose.doctor.checks import of_error
from imgpipe_cli.errors import Problem
from tests.support import loopback
from tests.support.cli import process
from tests.support.loopback import Page

ROLE = "role_arn = arn:aws:iam::123456789012:role/admin\n"
KEYS = "aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n"
Config = Callable[[str], Path]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "NO_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The user's AWS configuration file, with this in it."""

    def write(text: str) -> Path:
        path = tmp_path / "config"
        path.write_text(text)
        monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
        return path

    return write


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def _cause(
    profile: str | None = "work",
    service: str = "sts",
    operation: str = "get_caller_identity",
    endpoint: str | None = None,
    **params: Any,
) -> Problem:
    with pytest.raises(AwsError) as caught:
        Aws(Place("eu-west-1", profile, endpoint)).call(service, operation, once=True, **params)
    return problem(caught.value, "sign in")


# --- credential_process ----------------------------------------------------------------------------


def _program(folder: Path, code: str) -> str:
    path = folder / "keys.py"
    path.write_text(f"import json, sys\n{code}\n")
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(path))}"


def _prints(document: object) -> str:
    return f"print({json.dumps(json.dumps(document))})"


NOT_DOCUMENTED = ": its answer is not the JSON object that AWS documents."


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("sys.exit('Your session is over: run okta login')", "Your session is over: run okta login."),
        ("sys.exit(1)", "it ended with an error and said nothing."),
        ("raise ValueError('the vault is locked')", "ValueError: the vault is locked."),
        ("print('hello')", "it gives no JSON (Expecting value: line 1 column 1 (char 0))."),
        ("", "it gives no JSON (Expecting value: line 1 column 1 (char 0))."),
        *((_prints(answer), NOT_DOCUMENTED) for answer in ([], [1], "keys", 5, None, True)),
        *(
            (_prints({"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "s", **wrong}), NOT_DOCUMENTED)
            for wrong in (
                {"AccessKeyId": 5},
                {"AccessKeyId": None},
                {"AccessKeyId": ""},
                {"SecretAccessKey": ["s"]},
                {"SessionToken": [1]},
                {"Expiration": 5},
            )
        ),
        ("sys.stdout.buffer.write(b'\\xff\\xfe')", "it cannot be read as text ("),
        (_prints({}), "Unsupported version '<Version key not provided>'"),
        (_prints({"Version": 2}), "Unsupported version '2' for credential process provider"),
        (_prints({"Version": 1}), "Missing required key in response: 'AccessKeyId'."),
        (
            _prints(
                {
                    "Version": 1,
                    "AccessKeyId": "AKID",
                    "SecretAccessKey": "s",
                    "Expiration": "2020-01-01T00:00:00Z",
                }
            ),
            "Credentials were refreshed, but the refreshed credentials are still expired.",
        ),
        (
            _prints({"Version": 1, "AccessKeyId": "AKID", "SecretAccessKey": "s", "Expiration": "soon"}),
            "soon",
        ),
    ],
)
def test_what_a_program_for_keys_says_is_told(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    # Numbers that the SDK's words hold by chance are not what they are about.
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    path = config(f"[profile work]\ncredential_process = {_program(tmp_path, code)}\n")
    found = _cause()
    assert found.code == "no_credentials"
    assert found.message.startswith("Could not sign in: credential_process of profile work: ")
    assert words in found.message
    assert found.hint.startswith(f"Correct credential_process of profile work in {path}, or choose")


@pytest.mark.parametrize(
    ("program", "words"),
    [("/no/such/program --now", "/no/such/program"), ("sh -c 'x", "No closing quotation.")],
)
def test_a_program_for_keys_that_cannot_be_started(config: Config, program: str, words: str) -> None:
    config(f"[default]\ncredential_process = {program}\n")
    found = _cause(profile=None)
    assert found.message.startswith("Could not sign in: credential_process of profile default: ")
    assert words in found.message


def test_the_program_of_the_profile_that_a_role_takes_its_keys_from_is_named(config: Config) -> None:
    config(
        "[profile base]\ncredential_process = /no/such/program\n"
        f"[profile work]\n{ROLE}source_profile = base\n"
    )
    assert "credential_process of profile base: " in _cause().message


def test_a_program_that_fails_when_keys_have_to_be_renewed_is_named_too(
    config: Config, tmp_path: Path
) -> None:
    once = (
        "import datetime, pathlib\n"
        f"asked = pathlib.Path({str(tmp_path / 'asked')!r})\n"
        "if asked.exists(): sys.exit('no more keys')\n"
        "asked.touch()\n"
        "end = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)).isoformat()\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': 'A', 'SecretAccessKey': 's', 'Expiration': end}))"
    )
    config(f"[profile work]\ncredential_process = {_program(tmp_path, once)}\n")
    assert "credential_process of profile work: " in (message := _cause().message)
    assert "no more keys" in message


# --- roles, tokens and halves ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        (ROLE, "profile work: Partial credentials found in assume-role, missing: source_profile", "Correct"),
        (f"{ROLE}source_profile = gone\n", 'The source_profile "gone" referenced in', "Correct profile work"),
        (
            f"{ROLE}source_profile = base\n[profile base]\n",
            'source profile "base" must have',
            "Correct profile base",
        ),
        (
            f"{ROLE}source_profile = base\ncredential_source = Environment\n[profile base]\n{KEYS}",
            'The profile "work" contains both',
            "Correct profile work",
        ),
        (f"{ROLE}credential_source = Moon\n", 'The credential source "Moon"', "Correct profile work"),
        (
            f"{ROLE}credential_source = Environment\n",
            "No credentials found in credential_source",
            "Correct profile",
        ),
        (
            f"{ROLE}web_identity_token_file = /no/token\n",
            "web_identity_token_file of profile work: No such file or directory: /no/token.",
            "Correct web_identity_token_file of profile work in ",
        ),
        ("sso_session = gone\nsso_account_id = 1\nsso_role_name = r\n", '"gone"', "Correct sso_session of"),
        (
            "aws_access_key_id = A\n",
            "profile work: Partial credentials found in config-file",
            "aws configure",
        ),
        (
            "aws_secret_access_key = A\n",
            "aws_secret_access_key of profile work is set, and aws_access_key_id is not.",
            "aws configure --profile work",
        ),
        ("output = json\n", "No AWS credentials were found in profile work.", "aws configure --profile work"),
        (
            f"{ROLE}source_profile = base\nretry_mode = often\n[profile base]\n{KEYS}",
            'retry_mode of profile work: Invalid value provided to "mode": "often"',
            "Correct retry_mode of profile work in ",
        ),
    ],
)
def test_what_a_profile_lacks_is_said_with_its_name(config: Config, text: str, words: str, hint: str) -> None:
    config(f"[profile work]\n{text}")
    found = _cause()
    assert words in found.message
    assert hint in found.hint


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (
            {
                "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r",
                "AWS_WEB_IDENTITY_TOKEN_FILE": "/no/token",
            },
            "AWS_WEB_IDENTITY_TOKEN_FILE: No such file or directory: /no/token.",
        ),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/no/token"}, "AWS_WEB_IDENTITY_TOKEN_FILE: The provided profile"),
        (
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/no/token",
            },
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: No such file or directory: /no/token.",
        ),
        (
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://elsewhere.example/"},
            "AWS_CONTAINER_CREDENTIALS_FULL_URI: Unsupported host 'elsewhere.example'.",
        ),
        (
            {
                "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z",
                "AWS_ACCESS_KEY_ID": "A",
                "AWS_SECRET_ACCESS_KEY": "s",
            },
            "AWS_CREDENTIAL_EXPIRATION: Credentials were refreshed, but",
        ),
        ({"AWS_ACCESS_KEY_ID": "A"}, "AWS_ACCESS_KEY_ID: Partial credentials found in env, missing: AWS_S"),
        ({"AWS_SECRET_ACCESS_KEY": "s"}, "AWS_SECRET_ACCESS_KEY is set, and AWS_ACCESS_KEY_ID is not."),
    ],
)
def test_what_a_variable_lacks_is_said_with_its_name(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = _cause(profile=None)
    assert found.code in ("no_credentials", "bad_profile")
    assert words in found.message
    assert next(iter(variables)) in found.hint or words.partition(":")[0] in found.hint


def test_a_profile_for_aws_login_names_what_it_needs(config: Config) -> None:
    config("[profile work]\nlogin_session = arn:aws:iam::123456789012:user/me\n")
    with pytest.raises(AwsError) as caught:
        error = raised.MissingDependencyException(msg='You will need to pip install "botocore[crt]".')
        raise SignIn(Place("eu-west-1", "work")).failure(error)
    found = problem(caught.value)
    assert found.message.startswith("login_session of profile work: Missing Dependency: ")
    assert 'pip install "botocore[crt]"' in found.hint
    assert of_error("identity", caught.value).outcome == "not_checked"


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (raised.UnauthorizedSSOTokenError(), "aws sso login --profile work"),
        (raised.LoginRefreshRequired(), "aws login --profile work"),
    ],
)
def test_a_sign_in_that_has_ended_names_the_command_and_the_profile(
    config: Config, error: Exception, hint: str
) -> None:
    config("[profile work]\noutput = json\n")
    assert f"Run {hint}, then" in problem(SignIn(Place("eu-west-1", "work")).failure(error)).hint


def test_a_code_is_not_asked_for_where_nobody_can_type_it(config: Config) -> None:
    config(
        f"[profile base]\n{KEYS}[profile work]\n{ROLE}source_profile = base\n"
        "mfa_serial = arn:aws:iam::123456789012:mfa/me\n"
    )
    printed = process(
        *("result", "k.jpg", "--region", "eu-west-1", "--profile", "work"),
        input="what is not a code\n",
        start_new_session=True,  # so it has no terminal, whoever runs the tests
    )
    assert printed.code == 1
    error, hint = printed.err.splitlines()
    assert error == (
        "Error: Could not sign in: profile work needs an MFA code, and there is no terminal to type it in."
    )
    assert hint.startswith("Hint: Run it in a terminal.")


@pytest.mark.parametrize("typed", ["", "12", EOFError()], ids=repr)
def test_a_code_that_was_not_typed_to_its_end_is_no_missing_terminal(
    config: Config, monkeypatch: pytest.MonkeyPatch, typed: str | EOFError
) -> None:
    config(
        f"[profile base]\n{KEYS}[profile work]\n{ROLE}source_profile = base\n"
        "mfa_serial = arn:aws:iam::123456789012:mfa/me\n"
    )

    def asked(_prompt: str) -> str:
        if isinstance(typed, EOFError):
            raise typed
        return typed

    monkeypatch.setattr(AssumeRoleProvider.__init__, "__defaults__", (asked, None, None))
    found = _cause()
    assert found.message.endswith("profile work needs an MFA code, and no whole one was typed.")
    assert "next code" in found.hint


def test_a_wrong_code_is_no_missing_permission() -> None:
    text = "MultiFactorAuthentication failed with invalid MFA one time pass code."
    found = problem(AwsError("AccessDenied", text, service="sts", operation="assume_role", status=403))
    assert (found.code, found.message) == ("bad_credentials", text)


def test_a_configuration_file_that_is_none_is_named(config: Config) -> None:
    path = config("no section\n")
    found = _cause(profile=None)
    assert str(path) in found.message
    assert "Correct that file" in found.hint


# --- variables of the SDK --------------------------------------------------------------------------


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
    found = _cause(profile=None)
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
    found = _cause()
    assert found.message.startswith(f"Could not sign in: {name}: ")
    assert found.hint == f"Correct {name}, or unset it."


@pytest.mark.parametrize("what", ["empty", "folder"])
def test_a_file_that_holds_no_certificates_is_named(config: Config, tmp_path: Path, what: str) -> None:
    path = tmp_path / what
    path.mkdir() if what == "folder" else path.write_text("nothing\n")
    file = config(f"[profile work]\n{KEYS}ca_bundle = {path}\n")
    found = _cause()
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
    found = _cause(profile=None)
    assert found.code == "unreachable"
    assert f"127.0.0.1:{port}" in found.message
    assert "HTTPS_PROXY" in found.hint
    assert "hunter2" not in found.message + found.hint


# --- what a proxy answers --------------------------------------------------------------------------


BLOCKED = b"<html><head><title>403</title></head><body>Blocked by policy</body></html>"
HTML = "text/html; charset=utf-8"


@pytest.fixture
def page() -> Iterator[Page]:
    """One answer to everything, as a proxy or a network's sign-in page gives it."""
    with loopback.answering(Page(403, BLOCKED, {"Content-Type": HTML})) as answer:
        yield answer


CALLS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("sts", "get_caller_identity", {}),
    ("iam", "get_role", {"RoleName": "r"}),
    ("s3", "head_bucket", {"Bucket": "bucket"}),
    ("s3", "list_objects_v2", {"Bucket": "bucket"}),
    ("s3", "put_object", {"Bucket": "bucket", "Key": "k", "Body": b"x"}),
    ("dynamodb", "describe_table", {"TableName": "table"}),
    ("lambda", "get_function", {"FunctionName": "f"}),
)
OTHER_PAGES = (b"<!DOCTYPE html><html><p>no<br></html>", b"blocked")


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(("service", "operation", "params"), CALLS)
def test_a_page_of_a_proxys_is_no_missing_permission(
    page: Page, service: str, operation: str, params: dict[str, Any]
) -> None:
    for page.status in (403, 407):
        for page.body in (BLOCKED, *OTHER_PAGES):
            for kind in (HTML, *([] if operation == "head_bucket" else [""])):
                page.headers = {"Content-Type": kind} if kind else {}
                found = _cause(None, service, operation, page.url, **params)
                assert found.code == "not_aws", (page.status, page.body, kind)
                assert "proxy" in found.hint


@pytest.mark.usefixtures("keys")
def test_a_page_is_no_sign_in(page: Page) -> None:
    page.status = 200
    for page.body in (BLOCKED, *OTHER_PAGES):
        assert _cause(None, endpoint=page.url).code == "not_aws"


@pytest.mark.usefixtures("keys")
def test_doctor_takes_a_proxys_page_for_no_answer_of_awss(page: Page) -> None:
    aws = Aws(Place("eu-west-1", None, page.url))
    for page.status in (403, 200):
        with pytest.raises(AwsError) as caught:
            aws.contact()
        assert caught.value.code == "NotAws"


@pytest.mark.usefixtures("keys")
def test_a_proxy_that_lets_nothing_through_says_why(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", page.url)
    found = _cause(profile=None)
    assert "Tunnel connection failed: 403" in found.message
    assert "HTTPS_PROXY" in found.hint


def test_certificates_that_are_not_trusted_have_their_own_hint() -> None:
    error = raised.SSLError(endpoint_url="https://sts.eu-west-1.amazonaws.com/", error=OSError("self-signed"))
    found = problem(AwsError("Unreachable", str(error)))
    assert "AWS_CA_BUNDLE" in found.hint


# --- no region -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("list",), ("result", "k"), ("status",), ("up",)], ids=" ".join)
def test_without_a_region_no_other_command_is_advised(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    from imgpipe_cli.cli import main

    assert main(command) == 2
    hint = capsys.readouterr().err.splitlines()[-1]
    assert hint.startswith("Hint: Name one: add --region eu-west-1, or set AWS_REGION.")
    assert ("imgpipe up --local" in hint) is (command == ("up",))
    assert "imgpipe" not in hint.replace("imgpipe up --local", "")


def test_the_policy_is_there_before_anything_of_aws_is_set_up(capsys: pytest.CaptureFixture[str]) -> None:
    from imgpipe_cli.cli import main

    assert main(["policy", "--for", "logs"]) == 0
    out, err = capsys.readouterr()
    (statement,) = json.loads(out)["Statement"]
    assert statement["Resource"][0] == "arn:aws:logs:*:*:log-group:/aws/lambda/imgpipe-get-result:*"
    assert "--account" in err
    assert "--region" in err


def test_a_file_that_stays_empty_has_a_message_beside_it(tmp_path: Path, config: Config) -> None:
    config("no section\n")
    with (tmp_path / "policy.json").open("w") as file:
        done = subprocess.run(
            [sys.executable, "-m", "imgpipe_cli", "policy"],
            check=False,
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
