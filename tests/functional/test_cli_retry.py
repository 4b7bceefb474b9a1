"""`imgpipe retry` on moto, with the real ingest function behind Lambda's answers and a played API."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.handlers
import pytest
from moto import mock_aws

from imgpipe_cli.session.settings import Settings
from tests.support.api_server import FakeApi, Request, item
from tests.support.cli import NAMES, REGION, Cli, Printed, remember, runner
from tests.support.fake_lambda import FakeLambda, no_call_outlives_the_account, serving_results

CAT = (Path(__file__).parents[2] / "examples" / "cat.jpg").read_bytes()


class Terminal(io.StringIO):
    """A keyboard."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    run = runner(capsys)

    def without_the_functions_log(*arguments: str) -> Printed:
        printed = run(*arguments)
        out = [
            line for line in printed.out.splitlines(keepends=True) if not line.startswith('{"timestamp": ')
        ]
        return replace(printed, out="".join(out))

    return without_the_functions_log


@pytest.fixture
def lambda_(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLambda]:
    """The pipeline's parts that retrying needs, in an account of moto's."""
    played = FakeLambda(NAMES)

    def answer(params: dict[str, Any], **_context: Any) -> tuple[Any, dict[str, Any]]:
        return SimpleNamespace(status_code=200), played.invoke(json.loads(params["body"]))

    # As moto itself does it: whoever makes a client from now on gets the answers of played_lambda.py.
    handlers = [*botocore.handlers.BUILTIN_HANDLERS, ("before-call.lambda.Invoke", answer)]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", handlers)
    with mock_aws():
        played.make()
        boto3.client("ssm", region_name=REGION).put_parameter(
            Name=NAMES.settings_parameter,
            Type="String",
            Value=Settings(first_day="2026-01-01").to_json(),
            Tags=NAMES.tag_list,  # type: ignore[arg-type]
        )
        yield played
        no_call_outlives_the_account()


@pytest.fixture
def api(lambda_: FakeLambda) -> Iterator[FakeApi]:
    with serving_results(lambda_) as played:
        remember(played.url)
        yield played


@pytest.fixture
def failed(lambda_: FakeLambda, api: FakeApi) -> FakeLambda:
    """Two pictures that were throttled, one that ran out of time, a text, and one that is well."""
    lambda_.rekognition.trouble = "ThrottlingException"
    lambda_.fail(lambda_.put("busy 1.jpg", CAT + b"1"), lambda_.put("busy 2.jpg", CAT + b"2"))
    lambda_.rekognition.trouble = ""
    lambda_.give_up(lambda_.put("slow.jpg", CAT + b"3"))
    lambda_.run(lambda_.put("words.txt", b"no picture"))
    lambda_.run(lambda_.put("well.jpg", CAT))
    lambda_.rekognition.asked.clear()
    lambda_.events.clear()
    return lambda_


def _states(document: dict[str, Any]) -> dict[str, str]:
    return {one["key"]: one["state"] for one in document["data"]["pictures"]}


# --- listing -------------------------------------------------------------------------------------


def test_with_nothing_failed_there_is_nothing_to_do(cli: Cli, api: FakeApi) -> None:
    for arguments in (("retry",), ("retry", "--dry-run"), ("retry", "--all"), ("retry", "--reason", "busy")):
        printed = cli(*arguments)
        assert (printed.code, printed.out) == (0, "Nothing has failed.\n")


@pytest.mark.parametrize("takes_keys", [True, False], ids=["this pipeline", "an older one"])
def test_few_failures_among_many_results_are_found_in_few_requests(
    cli: Cli, lambda_: FakeLambda, api: FakeApi, takes_keys: bool
) -> None:
    api.takes_keys = takes_keys
    for number in range(10):
        lambda_.run(lambda_.put(f"words {number}.txt", b"no picture"))
    finished = {f"{number}.jpg": item(f"{number}.jpg") for number in range(990)}
    answer = api.before

    def before(request: Request) -> None:
        answer(request)
        api.stored |= finished

    api.before = before
    document = cli("retry", "--dry-run", "--json").document
    assert len(document["data"]["pictures"]) == 10
    # One for the list of failures, one for what they are now.
    assert len(api.asked) == 2 if takes_keys else len(api.asked) > 10


def test_the_dry_run_lists_by_reason_and_changes_nothing(cli: Cli, failed: FakeLambda) -> None:
    before = failed.results()
    printed = cli("retry", "--dry-run")
    assert printed.code == 0
    rows = {row.split()[0]: row.split() for row in printed.out.splitlines() if row.strip()}
    assert rows["throttled"][1:5] == ["2", "2", "may", "help"]
    assert rows["timed_out"][1:5] == ["1", "1", "may", "help"]
    assert rows["unsupported_format"][1:4] == ["1", "no", "use"]
    assert "imgpipe retry would analyze 3 pictures again." in printed.out
    assert (failed.events, failed.waiting(), failed.results()) == ([], 3, before)


def test_the_dry_run_in_json(cli: Cli, failed: FakeLambda) -> None:
    data = cli("retry", "--dry-run", "--json").document["data"]
    assert [(one["reason"], one["pictures"], one["queued"], one["helps"]) for one in data["reasons"]] == [
        ("throttled", 2, 2, True),
        ("timed_out", 1, 1, True),
        ("unsupported_format", 1, 0, False),
    ]
    assert {one["key"]: one["chosen"] for one in data["pictures"]} == {
        "busy 1.jpg": True,
        "busy 2.jpg": True,
        "slow.jpg": True,
        "words.txt": False,
    }
    assert data["failureQueue"] == {
        "events": 3,
        "taken": 0,
        "complete": True,
        "elsewhere": 0,
        "leftAlone": [],
    }


# --- consent -------------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [(), ("--all",), ("--reason", "throttled")])
def test_nothing_is_paid_without_a_yes(cli: Cli, failed: FakeLambda, chosen: tuple[str, ...]) -> None:
    printed = cli("retry", *chosen, "--json")
    assert (printed.code, printed.error) == (2, "not_confirmed")
    assert (failed.events, failed.waiting()) == ([], 3)


def test_a_terminal_is_asked_with_the_price(
    cli: Cli, failed: FakeLambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    printed = cli("retry")
    assert printed.code == 1
    assert "Analyze 3 pictures again? Rekognition is asked at most 3 times, about $0.003" in printed.err
    assert "Nothing was changed." in printed.err
    assert failed.events == []
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert cli("retry").code == 0
    assert sorted(failed.rekognition.asked) == ["busy 1.jpg", "busy 2.jpg", "slow.jpg"]


# --- running -------------------------------------------------------------------------------------


def test_what_may_end_well_is_looked_at_again_and_leaves_the_queue(cli: Cli, failed: FakeLambda) -> None:
    printed = cli("retry", "--yes")
    assert printed.code == 0
    assert "3 pictures: 3 analyzed. Failure queue: 3 events taken out, none left." in printed.out
    assert printed.out.count("Cat ") == 3
    assert sorted(failed.rekognition.asked) == ["busy 1.jpg", "busy 2.jpg", "slow.jpg"]
    assert failed.waiting() == 0
    assert cli("retry", "--yes").code == 0
    assert len(failed.rekognition.asked) == 3


def test_all_includes_what_fails_again(cli: Cli, failed: FakeLambda) -> None:
    printed = cli("retry", "--all", "--yes", "--json")
    assert printed.code == 1
    assert _states(printed.document) == {
        "busy 1.jpg": "done",
        "busy 2.jpg": "done",
        "slow.jpg": "done",
        "words.txt": "failed",
    }
    assert printed.error == "unsupported_format"
    assert printed.document["data"]["failureQueue"]["taken"] == 3
    assert "words.txt" not in failed.rekognition.asked


def test_only_those_of_a_reason(cli: Cli, failed: FakeLambda) -> None:
    assert cli("retry", "--reason", "throttled", "--yes").code == 0
    assert sorted(failed.rekognition.asked) == ["busy 1.jpg", "busy 2.jpg"]
    assert failed.waiting() == 1


def test_a_reason_that_nothing_failed_for_is_wrong_usage(cli: Cli, failed: FakeLambda) -> None:
    for more in ((), ("--dry-run",), ("--reason", "throttled")):
        printed = cli("retry", "--reason", "throtled", "--yes", "--json", *more)
        assert (printed.code, printed.error) == (2, "unknown_reason")
    (error,) = printed.document["errors"]
    assert error["message"] == "Nothing failed for the reason throtled."
    for reason in ("throttled", "timed_out", "unsupported_format"):
        assert reason in error["hint"]
    assert (failed.events, failed.waiting()) == ([], 3)


def test_the_pictures_are_named(cli: Cli, failed: FakeLambda) -> None:
    """The first few of each reason; in a dry run all."""
    failed.give_up(*(failed.put(f"late{number}.jpg", CAT) for number in range(5)))
    (line,) = [one for one in cli("retry", "--yes").out.splitlines() if one.startswith("timed_out: ")]
    assert line.endswith(", 3 more")
    assert line.count(".jpg") == 3


def test_a_dry_run_names_every_picture_and_the_price(cli: Cli, failed: FakeLambda) -> None:
    failed.give_up(*(failed.put(f"late{number}.jpg", CAT) for number in range(5)))
    out = cli("retry", "--dry-run").out
    for number in range(5):
        assert f"\n  late{number}.jpg\n" in out
    told = "Rekognition is asked at most 4 times, about $0.004 by its list price of October 2026: labels 4. "
    assert f"{told}imgpipe pays nothing for 4 copies among them." in " ".join(out.split())


def test_each_message_of_a_reason_is_told(cli: Cli, failed: FakeLambda) -> None:
    failed.give_up(failed.put("one.jpg", CAT), error="KeyError: 'one'")
    failed.give_up(failed.put("two.jpg", CAT), error="KeyError: 'two'")
    out = cli("retry", "--dry-run").out
    assert "KeyError: 'one'" in out
    assert "KeyError: 'two'" in out


def test_named_pictures_are_not_asked_about_but_their_price_is_told(cli: Cli, failed: FakeLambda) -> None:
    printed = cli("retry", "slow.jpg", "words.txt")
    assert "Rekognition is asked at most 1 time, about $0.001" in printed.out + printed.err
    assert failed.rekognition.asked == ["slow.jpg"]


def test_many_named_pictures_are_asked_about(cli: Cli, failed: FakeLambda) -> None:
    keys = [f"late{number:02}.jpg" for number in range(11)]
    failed.give_up(*(failed.put(key, CAT) for key in keys))
    printed = cli("retry", *keys, "--json")
    assert (printed.code, printed.error, failed.events) == (2, "not_confirmed", [])
    assert cli("retry", *keys, "--yes").code == 0
    assert sorted(failed.rekognition.asked) == keys


def test_what_is_refused_before_anything_is_asked_costs_nothing(cli: Cli, failed: FakeLambda) -> None:
    assert "Rekognition" not in cli("retry", "words.txt", "--dry-run").out
    assert "asked at most 3 times" in cli("retry", "--all", "--dry-run").out


def test_keys_are_taken_at_their_word(cli: Cli, failed: FakeLambda) -> None:
    printed = cli("retry", "slow.jpg", "slow.jpg", "well.jpg", "--json")
    assert printed.code == 0
    assert _states(printed.document) == {"slow.jpg": "done", "well.jpg": "done"}
    assert (failed.rekognition.asked, failed.waiting()) == (["slow.jpg"], 2)


def test_a_key_nobody_knows_is_an_error_and_the_others_go(cli: Cli, failed: FakeLambda) -> None:
    printed = cli("retry", "slow.jpeg", "slow.jpg")
    assert printed.code == 1
    assert "There is no picture slow.jpeg in the bucket." in printed.err
    assert "Did you mean slow.jpg" in printed.err
    assert failed.rekognition.asked == ["slow.jpg"]


def test_of_keys_nobody_knows_it_does_not_say_that_nothing_failed(cli: Cli, failed: FakeLambda) -> None:
    assert cli("retry", "slow.jpeg", "--dry-run").out.startswith("Nothing was changed.")
    assert cli("retry", "slow.jpeg").out.startswith("No picture was analyzed again.")


def test_a_picture_that_is_gone_is_said_to_be_and_its_entry_leaves(cli: Cli, failed: FakeLambda) -> None:
    failed.delete("slow.jpg")
    printed = cli("retry", "slow.jpg")
    assert printed.code == 1
    assert "The picture is no longer in the bucket." in printed.out
    assert (failed.events, failed.waiting()) == ([], 2)


def test_a_failure_again_says_what_to_do_and_stays_in_the_queue(cli: Cli, failed: FakeLambda) -> None:
    failed.rekognition.trouble = "ThrottlingException"
    printed = cli("retry", "busy 1.jpg")
    assert printed.code == 1
    assert "failed  rekognition:DetectLabels was asked too often" in printed.out
    assert "by itself" not in printed.out
    assert "imgpipe explain 'busy 1.jpg'" in printed.out
    assert failed.waiting() == 3


def test_a_new_pictures_own_event_is_waited_for(cli: Cli, failed: FakeLambda, api: FakeApi) -> None:
    event = failed.put("new.jpg", CAT)
    read = api.before

    def late(request: Request) -> None:
        """After a look at the picture and one that waits for its result."""
        if len(api.asked) == 3:
            failed.run(event)
        read(request)

    api.before = late
    printed = cli("retry", "new.jpg", "--json")
    assert (printed.code, _states(printed.document)) == (0, {"new.jpg": "done"})
    assert (failed.rekognition.asked, failed.events) == (["new.jpg"], [event])


def test_what_is_still_open_at_the_end_is_pending(cli: Cli, failed: FakeLambda) -> None:
    failed.put("new.jpg", CAT)
    held = threading.Event()
    failed.before = lambda _event: held.wait(60)
    printed = cli("retry", "new.jpg", "slow.jpg", "--timeout", "0", "--json")
    held.set()
    assert printed.code == 4
    assert _states(printed.document) == {"new.jpg": "pending", "slow.jpg": "pending"}
    assert printed.document["data"]["failureQueue"]["taken"] == 0


def test_what_is_done_by_then_leaves_the_queue_also_when_the_rest_cannot_be_called(
    cli: Cli, failed: FakeLambda
) -> None:
    failed.run(failed.put("slow.jpg", CAT))

    def missing(_event: dict[str, Any]) -> None:
        failed.client("lambda").get_function(FunctionName=NAMES.function("ingest"))

    failed.before = missing
    # Its event is in the queue, and its result has come meanwhile.
    version = failed.results()["slow.jpg"]["versionId"]
    failed.give_up(failed.event("ObjectCreated:Put", "slow.jpg", "01", version))
    assert failed.waiting() == 4
    printed = cli("retry", "--yes", "--json")
    assert printed.code != 0
    assert failed.waiting() == 2


def test_a_folder_is_nothing_to_look_at(cli: Cli, failed: FakeLambda) -> None:
    failed.put("pics/", b"")
    printed = cli("retry", "pics/")
    assert printed.code == 0
    assert "1 picture: 1 nothing to analyze." in printed.out
    assert failed.events == []


# --- trouble -------------------------------------------------------------------------------------


def test_keys_and_choices_do_not_go_together(cli: Cli, api: FakeApi) -> None:
    for arguments in (
        ("a.jpg", "--missing"),
        ("a.jpg", "--all"),
        ("--all", "--reason", "x"),
        ("a.jpg", "--reason", "x"),
    ):
        printed = cli("retry", *arguments, "--json")
        assert (printed.code, printed.error) == (2, "bad_usage")


def test_a_key_that_no_picture_can_have_is_wrong_usage(cli: Cli, api: FakeApi) -> None:
    for key in ("", "x" * 1025, "half \ud800"):
        printed = cli("retry", key, "--json")
        assert (printed.code, printed.error) == (2, "bad_usage")


def test_without_a_pipeline_it_says_so(cli: Cli) -> None:
    with mock_aws():
        printed = cli("retry", "--region", REGION, "--json")
        assert (printed.code, printed.error) == (3, "not_set_up")


def test_a_missing_queue_hinders_nobody(cli: Cli, failed: FakeLambda) -> None:
    failed.client("sqs").delete_queue(QueueUrl=failed.queue_url)
    printed = cli("retry", "busy 1.jpg", "words.txt", "--json")
    assert _states(printed.document)["busy 1.jpg"] == "done"
    assert "The failure queue is missing" in cli("retry", "--dry-run").err


def test_hostile_names_and_messages_are_shown_as_text(cli: Cli, failed: FakeLambda) -> None:
    evil = "\x1b[2J[red]\u202e.jpg"
    failed.give_up(failed.put(evil, b"none"), error="\x1b]0;title\x07[bold]KeyError")
    for arguments in (("--dry-run",), ("--all", "--yes")):
        printed = cli("retry", *arguments)
        assert "\x1b" not in printed.out + printed.err
        assert "\u202e" not in printed.out + printed.err
    assert "\\x1b[2J[red]\\u202e.jpg" in printed.out


def test_messages_that_are_none_of_ours_are_named_and_left(cli: Cli, failed: FakeLambda) -> None:
    sent = failed.client("sqs").send_message(QueueUrl=failed.queue_url, MessageBody="junk")
    printed = cli("retry", "--yes")
    assert printed.code == 0
    assert f"The message {sent['MessageId']} of the failure queue is left alone: it cannot be read." in (
        printed.err
    )
    assert failed.waiting() == 1


# --- finished pictures -----------------------------------------------------------------------------


def test_a_finished_picture_is_said_to_be_done_and_of_which_features(cli: Cli, failed: FakeLambda) -> None:
    for more in ((), ("--dry-run",)):
        printed = cli("retry", "well.jpg", *more)
        assert printed.code == 0
        assert ": labels. Nothing was asked again." in printed.out
        assert (
            "It lacks nothing that --again would ask for. See it with imgpipe result well.jpg." in printed.out
        )
        assert "analyzed." not in printed.out
        assert "Cat" not in printed.out
    assert "1 picture: 1 done already." in cli("retry", "well.jpg").out
    assert (failed.rekognition.asked, failed.events) == ([], [])


def test_finished_and_failed_pictures_are_counted_apart(cli: Cli, failed: FakeLambda) -> None:
    printed = cli("retry", "well.jpg", "slow.jpg")
    assert "2 pictures: 1 done already, 1 analyzed." in printed.out
    assert failed.rekognition.asked == ["slow.jpg"]
