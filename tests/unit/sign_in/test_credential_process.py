"""A program that gives keys, and fails: its own words are told, and where it stands."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from tests.unit.sign_in.conftest import ROLE, Config, cause


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
    found = cause()
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
    found = cause(profile=None)
    assert found.message.startswith("Could not sign in: credential_process of profile default: ")
    assert words in found.message


def test_the_program_of_the_profile_that_a_role_takes_its_keys_from_is_named(config: Config) -> None:
    config(
        "[profile base]\ncredential_process = /no/such/program\n"
        f"[profile work]\n{ROLE}source_profile = base\n"
    )
    assert "credential_process of profile base: " in cause().message


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
    assert "credential_process of profile work: " in (message := cause().message)
    assert "no more keys" in message
