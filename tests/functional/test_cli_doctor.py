"""`imgpipe doctor` against AWS as moto and a loopback server play it: one thing wrong at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.assert_doctor import AS_PLAYED, KEY_ID, SECRET, checks, doctor, not_ok, signed_in
from tests.support.cli import ACCOUNT, REGION, Cli, remember
from tests.support.loopback_aws import LoopbackAws


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackAws]:
    with signed_in(monkeypatch) as played:
        yield played


def test_where_nothing_is_wrong_everything_is_ok(aws: LoopbackAws, cli: Cli) -> None:
    printed = doctor(cli)
    found = checks(printed)
    assert not_ok(printed) == AS_PLAYED
    assert (printed.code, printed.document["status"], printed.document["errors"]) == (0, "done", [])
    assert found["region"]["seen"] == "eu-west-1 (AWS_REGION)"
    assert found["credentials"]["seen"] == "the environment (AWS_ACCESS_KEY_ID): key ...MPLE"
    assert found["identity"]["seen"] == f"user/ann of account {ACCOUNT}"
    assert found["clock"]["seen"] == "right to two seconds"
    assert found["concurrency"]["seen"] == "1,000 functions may run at once"
    assert found["pipeline"]["seen"] == "demo is not set up here (imgpipe up --project demo)"
    assert printed.err.startswith("project demo · AWS") or f"account {ACCOUNT}" in printed.err


def test_the_ids_and_the_keys_of_a_check_are_what_scripts_rely_on(aws: LoopbackAws, cli: Cli) -> None:
    found = doctor(cli).document["data"]["checks"]
    assert [check["id"] for check in found] == [
        *("python", "libraries", "local_extra", "state_dir", "configuration", "environment"),
        *("region", "rekognition", "credentials", "identity", "proxy", "endpoints", "network", "clock"),
        *("concurrency", "permissions", "pipeline", "local_cloud", "local_models", "disk"),
    ]
    assert all(list(check) == ["id", "title", "verdict", "seen", "fix", "details"] for check in found)


def test_nothing_is_changed_not_even_the_state_folder_made(
    aws: LoopbackAws, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(tmp_path / "state"))
    assert doctor(cli).code == 0
    assert not (tmp_path / "state").exists()
    assert {one.get("Action") for one in aws.requests} == {"GetCallerIdentity", "SimulatePrincipalPolicy"}


def test_as_text_every_line_fits_into_80_columns(
    aws: LoopbackAws, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.concurrency = 10
    monkeypatch.setenv("IMGPIPE_REGON", "x")
    monkeypatch.setenv("COLUMNS", "80")
    out = cli("doctor", "--project", "demo").out
    assert "warning  Concurrency   10 functions may run at once" in out
    assert "Fix: unset IMGPIPE_REGON" in out
    assert out.splitlines()[-1] == "0 failed, 3 warnings, 17 ok, 0 not checked."


# --- credentials and region ------------------------------------------------------------------------


def test_without_a_region_it_says_so_and_still_checks_who_signs_in(
    aws: LoopbackAws, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_REGION")
    printed = doctor(cli)
    assert (printed.code, printed.error) == (1, "region")
    assert "aws configure set region" in checks(printed)["region"]["fix"]
    assert checks(printed)["identity"]["verdict"] == "ok"
    assert not_ok(printed) == AS_PLAYED | {"region": "failed"} | dict.fromkeys(
        ("rekognition", "concurrency", "permissions", "pipeline"), "not_checked"
    )


def test_a_region_is_named_with_who_chose_it(
    aws: LoopbackAws, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen(*options: str) -> str:
        return str(checks(doctor(cli, *options))["region"]["seen"])

    Path("imgpipe.toml").write_text('region = "eu-west-2"\n')
    assert seen() == "eu-west-2 (imgpipe.toml)"
    monkeypatch.setenv("IMGPIPE_REGION", "us-east-1")
    assert seen() == "us-east-1 (IMGPIPE_REGION)"
    assert seen("--region", "us-west-2") == "us-west-2 (--region)"


def test_a_region_without_rekognition_and_one_that_is_none(aws: LoopbackAws, cli: Cli) -> None:
    printed = doctor(cli, "--region", "ca-west-1")
    assert (printed.code, printed.error) == (1, "rekognition")
    assert "eu-west-1" in checks(printed)["rekognition"]["fix"]
    found = checks(doctor(cli, "--region", "eu-wst-1"))
    assert found["region"]["seen"] == "eu-wst-1 (--region) is no region that the SDK knows"


def test_without_credentials(aws: LoopbackAws, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    printed = doctor(cli)
    assert (printed.code, printed.error) == (1, "credentials")
    assert "aws configure" in checks(printed)["credentials"]["fix"]
    assert checks(printed)["clock"]["verdict"] == "ok"  # asked without credentials
    assert not_ok(printed) == AS_PLAYED | {"credentials": "failed"} | dict.fromkeys(
        ("identity", "concurrency", "permissions", "pipeline"), "not_checked"
    )


def test_half_a_pair_of_keys_is_told_as_that(
    aws: LoopbackAws, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    printed = doctor(cli)
    assert (printed.code, printed.error) == (1, "credentials")
    assert "missing: AWS_SECRET_ACCESS_KEY" in checks(printed)["credentials"]["seen"]
    assert checks(printed)["rekognition"]["verdict"] == "ok"


def test_a_profile_that_is_not_there(aws: LoopbackAws, cli: Cli) -> None:
    printed = doctor(cli, "--profile", "nobody")
    assert (printed.code, printed.error) == (1, "credentials")
    assert "nobody" in checks(printed)["credentials"]["seen"]
    assert checks(printed)["python"]["verdict"] == "ok"
    assert len(checks(printed)) == 20


def test_expired_credentials_name_the_way_to_sign_in_again(
    aws: LoopbackAws, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = f"aws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n"
    (tmp_path / "config").write_text(f"[profile work]\n{keys}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    aws.refused = "ExpiredToken"
    printed = doctor(cli, "--profile", "work")
    assert (printed.code, printed.error) == (1, "identity")
    assert checks(printed)["identity"]["seen"] == "The AWS credentials have expired."
    assert checks(printed)["identity"]["fix"].startswith("aws sso login --profile work")
    assert checks(printed)["credentials"]["seen"] == "the AWS configuration file, profile work: key ...MPLE"


def test_keys_that_aws_does_not_accept(aws: LoopbackAws, cli: Cli) -> None:
    aws.refused = "InvalidClientTokenId"
    printed = doctor(cli)
    assert (printed.code, printed.error) == (1, "identity")
    assert checks(printed)["identity"]["seen"] == "AWS does not accept these credentials."
    assert checks(printed)["network"]["verdict"] == "ok"


def test_a_region_that_is_not_enabled_is_told_from_wrong_keys(aws: LoopbackAws, cli: Cli) -> None:
    aws.refused, aws.refused_in = "InvalidClientTokenId", "il-central-1"
    printed = doctor(cli, "--region", "il-central-1")
    assert (printed.code, printed.error) == (1, "identity")
    found = checks(printed)["identity"]
    assert found["seen"].startswith(f"il-central-1 is not enabled in account {ACCOUNT}")
    assert found["fix"].startswith("aws account enable-region --region-name il-central-1")


def test_the_root_user_is_warned_of_and_needs_no_simulation(aws: LoopbackAws, cli: Cli) -> None:
    aws.arn = f"arn:aws:iam::{ACCOUNT}:root"
    printed = doctor(cli)
    assert printed.code == 0
    assert not_ok(printed) == AS_PLAYED | {"identity": "warning"}
    assert checks(printed)["identity"]["fix"] == (
        "Make an IAM user or role for this (imgpipe policy --project demo prints what it needs), and sign in "
        "as that."
    )
    assert not aws.simulations()


def test_another_account_than_the_pipelines(aws: LoopbackAws, cli: Cli) -> None:
    remember("http://127.0.0.1:9/prod", account="999999999999")
    printed = doctor(cli)
    assert (printed.code, printed.error) == (1, "identity")
    assert "999999999999" in checks(printed)["identity"]["seen"]


# --- this machine ----------------------------------------------------------------------------------


def test_variables_are_named_and_their_values_never(
    aws: LoopbackAws, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[profile work]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SESSION_TOKEN", "FwoGZXIvYXdzEXAMPLETOKEN")
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("IMGPIPE_REGON", "eu-west-1")
    monkeypatch.setenv("IMGPIPE_FEATURES", "labels")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://ann:proxysecret@proxy.example:3128")
    printed = doctor(cli)
    found = checks(printed)
    assert not_ok(printed) == AS_PLAYED | {"environment": "warning"}
    assert "AWS_SESSION_TOKEN" in found["environment"]["seen"]
    assert found["environment"]["details"] == [
        "imgpipe does not read IMGPIPE_REGON (meant: IMGPIPE_REGION?)",
        "the keys of AWS_ACCESS_KEY_ID win over AWS_PROFILE",
        "AWS_SESSION_TOKEN does not belong to a long-term key",
        "AWS_REGION wins over AWS_DEFAULT_REGION, which differs",
    ]
    assert found["proxy"]["seen"] == "HTTPS_PROXY=http://proxy.example:3128"
    everything = printed.out + cli("doctor", "--project", "demo", "--verbose").out
    for secret in (SECRET, KEY_ID, "FwoGZXIv", "proxysecret"):
        assert secret not in everything


def test_a_wrong_file_of_the_folder_is_one_failure_among_the_rest(aws: LoopbackAws, cli: Cli) -> None:
    Path("imgpipe.toml").write_text("color = 5\n")
    printed = doctor(cli)
    assert (printed.code, printed.error) == (1, "configuration")
    assert not_ok(printed) == AS_PLAYED | {"configuration": "failed"}
    Path("imgpipe.toml").write_text('features = ["faces"]\n')
    assert checks(doctor(cli))["configuration"]["seen"].endswith("imgpipe.toml: features = ['faces']")


def test_endpoints_and_who_sends_calls_there(
    aws: LoopbackAws, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = checks(doctor(cli))["endpoints"]
    assert played["seen"] == (
        f"calls to sts, iam, lambda go to {aws.url}, not to AWS "
        "(AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL_IAM, AWS_ENDPOINT_URL_LAMBDA)"
    )
    assert played["fix"].startswith(
        "unset AWS_ENDPOINT_URL_STS AWS_ENDPOINT_URL_IAM AWS_ENDPOINT_URL_LAMBDA,"
    )
    assert f"s3: https://s3.{REGION}.amazonaws.com" in played["details"]
    for name in aws.variables():
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(f"[default]\nendpoint_url = {aws.url}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    found = checks(doctor(cli))["endpoints"]
    where = "endpoint_url in the AWS configuration file"
    assert found["seen"] == f"all calls go to {aws.url}, not to AWS ({where})"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    found = checks(doctor(cli))["endpoints"]
    assert found["seen"] == "AWS's own (AWS_IGNORE_CONFIGURED_ENDPOINT_URLS is set)"


# --- clock and network -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("their_clock_s", "outcome", "words"),
    [
        (-600, "failed", "10 minutes ahead of AWS"),
        (600, "failed", "10 minutes behind AWS"),
        (-200, "warning", "3 minutes ahead of AWS"),
        (30, "ok", "30 seconds behind AWS"),
        (0, "ok", "right to two seconds"),
    ],
)
def test_the_clock_is_held_against_the_date_of_an_answer(
    aws: LoopbackAws, cli: Cli, their_clock_s: int, outcome: str, words: str
) -> None:
    aws.ahead = timedelta(seconds=their_clock_s)
    printed = doctor(cli)
    clock = checks(printed)["clock"]
    # A second may pass between the two clocks.
    assert clock["verdict"] == outcome
    assert words.split(" ", 1)[1] in clock["seen"]
    assert printed.code == (1 if outcome == "failed" else 0)
    assert bool(clock["fix"]) == (outcome != "ok")


def test_where_nothing_answers_that_is_the_answer_and_the_rest_still_runs(
    aws: LoopbackAws, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    printed = doctor(cli)
    assert (printed.code, printed.error) == (1, "network")
    assert not_ok(printed) == AS_PLAYED | {"network": "failed"} | dict.fromkeys(
        ("clock", "identity", "concurrency", "permissions", "pipeline"), "not_checked"
    )
