"""What the user asked for, and how it is stored."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from imgpipe_cli.deploy.releases import is_newer
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.session import prices
from imgpipe_cli.session.settings import (
    FEATURES,
    Settings,
    moved_to,
    of_cap,
    parse_features,
    parse_store,
    resolve,
)

DEPLOYED = Settings(features=("labels", "faces"), min_confidence=85.5, private=True, first_day="2026-01-31")


@pytest.mark.parametrize(
    ("asked", "features"),
    [
        ("labels", ("labels",)),
        ("text,labels", ("labels", "text")),
        ("faces,faces,labels", ("labels", "faces")),
        (" Text , FACES ,", ("faces", "text")),
        (["moderation", "labels"], ("labels", "moderation")),
        (("faces",), ("faces",)),
        ("labels,moderation,faces,text,properties", tuple(FEATURES)),
    ],
)
def test_features_come_in_their_own_order_once_each(
    asked: str | list[str], features: tuple[str, ...]
) -> None:
    assert parse_features(asked) == features


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("labels,celebrities", "There is no feature 'celebrities'."),
        ("a,b", "There is no feature 'a', 'b'."),
        ("", "No feature is named."),
        (" , ", "No feature is named."),
        ([], "No feature is named."),
    ],
)
def test_unknown_or_no_features_are_a_usage_error_that_lists_them(
    asked: str | list[str], message: str
) -> None:
    with pytest.raises(Problem) as caught:
        parse_features(asked)
    assert (caught.value.code, caught.value.exit_code) == ("bad_features", ExitCode.USAGE)
    assert caught.value.message == message
    assert all(feature in caught.value.hint for feature in FEATURES)


def test_settings_survive_the_round_trip_through_json() -> None:
    assert Settings.from_json(DEPLOYED.to_json()) == DEPLOYED
    assert Settings.from_json(Settings().to_json()) == Settings()


def test_the_same_settings_are_the_same_text() -> None:
    again = Settings(first_day="2026-01-31", private=True, min_confidence=85.5, features=("labels", "faces"))
    assert again.to_json() == DEPLOYED.to_json()


def _without(name: str) -> str:
    document = json.loads(DEPLOYED.to_json())
    del document[name]
    return json.dumps(document)


def _with(**values: object) -> str:
    return json.dumps(json.loads(DEPLOYED.to_json()) | values)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[]",
        '"text"',
        "{}",
        *(_without(name) for name in ("version", "features", "min_confidence", "private", "first_day")),
        _with(version=2),
        _with(features=["celebrities"]),
        _with(features=[]),
        _with(features=5),
        _with(features=[5]),
        _with(min_confidence="much"),
        _with(min_confidence=None),
        _with(min_confidence=float("nan")),
        _with(min_confidence=float("inf")),
        _with(min_confidence=1e9),
        _with(min_confidence=-1),
        _with(min_confidence=100.1),
        _with(min_confidence="70"),
        _with(min_confidence=True),
        _with(private="false"),
        _with(private=0),
        _with(private=None),
        _with(first_day="yesterday"),
        _with(first_day="2026-02-30"),
        _with(first_day="20260131"),
        _with(first_day="2026-1-1"),
        _with(first_day=20260131),
        _with(first_day=None),
        _with(features="labels"[:0]),
        _with(imgpipe=1),
        "[" * 100_000,
        _with(results="disk"),
        _with(results=None),
        _with(move="away"),
    ],
)
def test_stored_settings_that_cannot_be_read_are_a_problem_with_a_way_out(text: str) -> None:
    with pytest.raises(Problem) as caught:
        Settings.from_json(text)
    assert (caught.value.code, caught.value.exit_code) == ("bad_settings", ExitCode.FAILED)
    assert "Upgrade" in caught.value.hint


def test_what_is_asked_wins_over_what_is_deployed() -> None:
    asked = resolve(features="text", min_confidence=0.0, private=False, deployed=DEPLOYED, today="2027-01-01")
    assert asked == Settings(("text",), 0.0, False, "2026-01-31")


def test_what_is_not_asked_stays_as_it_is_deployed() -> None:
    asked = resolve(features=None, min_confidence=None, private=None, deployed=DEPLOYED, today="2027-01-01")
    assert asked == DEPLOYED


def test_a_new_pipeline_has_the_defaults_and_begins_today() -> None:
    asked = resolve(features=None, min_confidence=None, private=None, deployed=None, today="2027-01-01")
    assert asked == Settings(("labels",), 70.0, False, "2027-01-01")


def test_each_feature_is_billed_as_another_picture() -> None:
    found = [prices.per_1000(tuple(FEATURES)[:number]) for number in (1, 2, 4, 5)]
    assert found == [1.0, 2.0, 4.0, 4.75]


def test_a_limit_costs_at_most_what_its_dearest_feature_does() -> None:
    assert prices.at_most(("labels", "properties"), 10_000) == 10.0
    assert prices.at_most(("properties",), 10_000) == 7.5
    told = [prices.told(amount) for amount in (0.0, 0.002, 0.1, 0.0995, 12.3456, 1234.5)]
    assert told == ["$0.00", "$0.002", "$0.10", "$0.10", "$12.35", "$1,234.50"]


def test_a_monthly_limit_stays_until_another_is_asked_for() -> None:
    limited = resolve(
        features=None, min_confidence=None, private=None, monthly_limit=100, deployed=DEPLOYED, today=""
    )
    assert (limited.monthly_limit, DEPLOYED.monthly_limit) == (100, 0)
    asked = {"features": None, "min_confidence": None, "private": None, "today": ""}
    assert resolve(**asked, deployed=limited).monthly_limit == 100  # type: ignore[arg-type]
    assert resolve(**asked, monthly_limit=0, deployed=limited).monthly_limit == 0  # type: ignore[arg-type]
    assert Settings.from_json(limited.to_json()) == limited
    before = json.loads(DEPLOYED.to_json())
    del before["monthly_limit"]
    assert Settings.from_json(json.dumps(before)).monthly_limit == 0


# --- where the results are -----------------------------------------------------------------------


def test_settings_from_before_there_was_a_choice_mean_the_table() -> None:
    document = json.loads(DEPLOYED.to_json())
    del document["results"], document["move"]
    assert Settings.from_json(json.dumps(document)) == DEPLOYED
    assert (DEPLOYED.results, DEPLOYED.move) == ("table", "")


def _resolved(results: str | None, deployed: Settings | None) -> Settings:
    return resolve(
        features=None,
        min_confidence=None,
        private=None,
        results=results,
        deployed=deployed,
        today="2027-01-01",
    )


def test_a_new_pipeline_has_the_store_that_is_asked_for() -> None:
    assert _resolved(None, None).results == "table"
    assert _resolved("s3", None) == Settings(first_day="2027-01-01", results="s3")


@pytest.mark.parametrize("value", ["S3", " s3 "])
def test_a_store_is_known_in_any_letters(value: str) -> None:
    assert parse_store(value) == "s3"


@pytest.mark.parametrize("value", ["", "disk", "table,s3"])
def test_an_unknown_store_is_a_usage_error_that_lists_them(value: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_store(value)
    assert (caught.value.code, caught.value.exit_code) == ("bad_results", ExitCode.USAGE)
    assert "--results table" in caught.value.hint and "--results s3" in caught.value.hint


@pytest.mark.parametrize(
    ("results", "move", "asked", "expected"),
    [
        ("table", "", "table", ("table", "")),
        ("table", "", "s3", ("table", "copy")),
        # Under way to s3: go on, or turn round.
        ("table", "copy", "s3", ("table", "copy")),
        ("table", "copy", "table", ("table", "switch")),
        ("s3", "switch", "s3", ("s3", "switch")),
        ("s3", "switch", "table", ("s3", "copy")),
        ("s3", "close", "s3", ("s3", "close")),
        ("s3", "close", "table", ("s3", "copy")),
    ],
)
def test_asking_for_a_store_begins_goes_on_or_turns_round(
    results: str, move: str, asked: str, expected: tuple[str, str]
) -> None:
    deployed = Settings(results=results, move=move)
    found = moved_to(asked, deployed)
    assert (found.results, found.move) == expected
    assert found.destination == asked
    assert _resolved(asked, deployed) == found
    assert _resolved(None, deployed) == deployed


@pytest.mark.parametrize(
    ("move", "stores", "in_use"),
    [
        ("", {"s3"}, {"s3"}),
        ("copy", {"table", "s3"}, {"table", "s3"}),
        ("switch", {"table", "s3"}, {"table", "s3"}),
        ("close", {"table", "s3"}, {"s3"}),
    ],
)
def test_both_stores_are_there_only_during_a_move(move: str, stores: set[str], in_use: set[str]) -> None:
    settings = Settings(results="s3", move=move)
    assert (set(settings.stores), set(settings.open_stores)) == (stores, in_use)


# --- how many pictures at once ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tps", "runs"), [(0, 20), (0.1, 2), (1, 2), (2, 2), (5, 4), (25, 18), (50, 36), (1000, 720)]
)
def test_the_runs_at_once_follow_the_calls_a_second(tps: float, runs: int) -> None:
    settings = Settings(rekognition_tps=tps)
    assert (settings.runs, settings.cap) == (runs, runs)
    assert Settings(rekognition_tps=tps, capped=False).cap is None


def test_settings_from_before_there_was_a_cap_know_nothing_of_it_yet() -> None:
    document = json.loads(DEPLOYED.to_json())
    del document["rekognition_tps"], document["tps_from"], document["capped"]
    assert Settings.from_json(json.dumps(document)) == DEPLOYED
    assert (DEPLOYED.rekognition_tps, DEPLOYED.tps_from, DEPLOYED.capped) == (0, "", True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("rekognition_tps", value) for value in (-1, "50", None, True, 1e9, float("nan"), float("inf"))),
        *(("tps_from", value) for value in ("guess", None, 1)),
        *(("capped", value) for value in ("false", 0, None)),
    ],
)
def test_a_stored_cap_that_makes_no_sense_is_a_problem(name: str, value: object) -> None:
    with pytest.raises(Problem, match="cannot be read") as caught:
        Settings.from_json(_with(**{name: value}))
    assert caught.value.code == "bad_settings"


def _with_tps(tps: float | None, deployed: Settings, features: str | None = None) -> Settings:
    return resolve(
        features=features,
        min_confidence=None,
        private=None,
        rekognition_tps=tps,
        deployed=deployed,
        today="2027-01-01",
    )


KNOWN = replace(DEPLOYED, rekognition_tps=50.0, tps_from="quota")
GIVEN = replace(DEPLOYED, rekognition_tps=5.0, tps_from="flag")


def test_calls_a_second_that_are_asked_for_win_and_stay() -> None:
    assert _with_tps(5, KNOWN) == GIVEN
    assert _with_tps(None, GIVEN) == GIVEN
    assert _with_tps(None, GIVEN, features="text") == replace(GIVEN, features=("text",))


def test_another_number_is_another_try_to_reserve_and_the_same_is_none() -> None:
    refused = replace(GIVEN, capped=False)
    assert _with_tps(5, refused) == refused
    assert _with_tps(6, refused).capped


def test_a_quota_is_asked_for_again_where_other_operations_are_asked() -> None:
    assert _with_tps(None, KNOWN, features="labels,text").tps_from == ""
    assert _with_tps(None, KNOWN, features="faces,properties").tps_from == "quota", "the same operations"


@pytest.mark.parametrize("tps", [1, 2.9, 3, 5, 25, 27.5, 28, 50, 999.9, 5000])
def test_a_cap_tells_the_settings_that_it_came_from(tps: float) -> None:
    cap = Settings(rekognition_tps=tps).cap
    assert Settings(**of_cap(cap)).cap == cap


def test_without_a_reservation_there_was_none_to_be_had() -> None:
    assert (of_cap(None), of_cap(0)) == ({"capped": False}, {})


# --- other versions of imgpipe -------------------------------------------------------------------


def test_what_this_version_does_not_know_is_kept() -> None:
    text = _with(queue={"kind": "fifo", "b": [1, 2]}, another=None)
    found = Settings.from_json(text)
    assert json.loads(found.to_json()) == json.loads(text)
    changed = resolve(features="faces", min_confidence=None, private=None, deployed=found, today="2027-01-01")
    assert json.loads(changed.to_json()) == json.loads(text) | {"features": ["faces"]}
    assert json.loads(changed.at_rest.to_json())["queue"] == {"kind": "fifo", "b": [1, 2]}
    assert Settings.from_json(changed.to_json()) == changed


@pytest.mark.parametrize(
    ("one", "other", "newer"),
    [
        ("0.2.0", "0.1.0", True),
        ("0.1.0", "0.1.0", False),
        ("0.1.0", "0.2.0", False),
        ("0.10.0", "0.9.9", True),
        ("1.0", "1.0.0", False),
        ("1.0.0.1", "1.0.0", True),
        ("", "0.1.0", False),
        ("soon", "0.1.0", False),
        ("9" * 5000, "0.1.0", False),
    ],
)
def test_which_of_two_versions_is_newer(one: str, other: str, newer: bool) -> None:
    assert is_newer(one, other) is newer


@pytest.mark.parametrize("day", ["soon", "2026-13-01", "20261122"])
def test_a_first_day_that_is_no_date_is_named(day: str) -> None:
    with pytest.raises(Problem, match=f'first_day is "{day}", not a date such as 2026-11-22'):
        Settings.from_json(json.dumps({**json.loads(Settings().to_json()), "first_day": day}))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("features", "labels", "not a list with some of labels, moderation, faces, text, properties"),
        ("features", ["labels", 1], "not a list with some of"),
        ("features", ["smells"], "not a list with some of"),
        ("features", [], "not a list with some of"),
        ("features", {"labels": True}, "not a list with some of"),
        ("min_confidence", float("nan"), "not a number from 0 to 100"),
        ("private", "false", "not true or false"),
        ("first_day", 20260131, "not a date such as 2026-11-22"),
        ("results", "disk", 'not one of "table", "s3"'),
        ("move", [], 'not one of "", "copy"'),
        ("source_account", 1, "not true or false"),
        ("rekognition_tps", 1e9, "not a number from 0 to 100000"),
        ("monthly_limit", 1.5, "not a whole number from 0 to 1000000000"),
        ("monthly_limit", True, "not a whole number from 0 to 1000000000"),
        ("tps_from", None, 'not one of "", "flag", "quota"'),
        ("capped", "yes", "not true or false"),
        ("imgpipe", 1, "not a text"),
        ("version", 2, "not 1"),
    ],
)
def test_a_stored_setting_that_is_refused_is_named_with_its_parameter(
    name: str, value: object, told: str
) -> None:
    with pytest.raises(Problem) as caught:
        Settings.from_json(_with(**{name: value}), parameter="/imgpipe/demo/settings")
    message = caught.value.message
    assert f"{name} is {json.dumps(value)}, {told}" in message
    assert "the parameter /imgpipe/demo/settings cannot be read" in message
    assert "--features" not in caught.value.hint, "it is stored, nobody has just typed it"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "they are no JSON"),
        ("[]", "they are no JSON object"),
        ("[" * 100_000, "they are nested too deep"),
        ("{}", "version is null, not 1"),
        ('{"version": 1}', "features is missing"),
    ],
)
def test_stored_settings_of_another_form_are_told_in_words(text: str, told: str) -> None:
    with pytest.raises(Problem, match=told):
        Settings.from_json(text)
