"""What a profile or a variable lacks to sign in: the cause in the SDK's words, and where it stands."""

from __future__ import annotations

import botocore.exceptions as raised
import pytest
from botocore.credentials import AssumeRoleProvider

from imgpipe_cli.aws.client import AwsError, Place
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.aws.sign_in import SignIn
from imgpipe_cli.diagnose.doctor.checks import of_error
from tests.support.cli import process
from tests.unit.sign_in.conftest import KEYS, ROLE, Config, cause


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
    found = cause()
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
    found = cause(profile=None)
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
    found = cause()
    assert found.message.endswith("profile work needs an MFA code, and no whole one was typed.")
    assert "next code" in found.hint


def test_a_wrong_code_is_no_missing_permission() -> None:
    text = "MultiFactorAuthentication failed with invalid MFA one time pass code."
    found = problem(AwsError("AccessDenied", text, service="sts", operation="assume_role", status=403))
    assert (found.code, found.message) == ("bad_credentials", text)


def test_a_configuration_file_that_is_none_is_named(config: Config) -> None:
    path = config("no section\n")
    found = cause(profile=None)
    assert str(path) in found.message
    assert "Correct that file" in found.hint
