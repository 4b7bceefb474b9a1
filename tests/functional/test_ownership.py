"""What has our names and is not ours: never changed, never removed, and explained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from imgpipe_cli.deploy import destroy, observe, plan
from imgpipe_cli.deploy.resource import Change
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Event, Skipped
from imgpipe_cli.session.settings import Settings
from tests.support import exhaustive, laws
from tests.support.account import (
    IN_S3,
    NAMES,
    SETTINGS,
    PlainHttpAws,
    down,
    finished,
    inventory,
    nothing,
    pipeline,
    up,
)
from tests.support.laws import World
from tests.support.retagging import retag

pytestmark = pytest.mark.usefixtures("account")


# Tags that are nearly ours.
LOOK_ALIKES: dict[str, dict[str, str]] = {
    "no tags": {},
    "another project": {"Project": "demo-2", "ManagedBy": "imgpipe"},
    "the project in capitals": {"Project": "Demo", "ManagedBy": "imgpipe"},
    "one letter more": {"Project": "demoo", "ManagedBy": "imgpipe"},
    "the tool in capitals": {"Project": "demo", "ManagedBy": "Imgpipe"},
    "keys in small letters": {"project": "demo", "managedby": "imgpipe"},
    "only the project": {"Project": "demo"},
    "only the tool": {"ManagedBy": "imgpipe"},
    "values exchanged": {"Project": "imgpipe", "ManagedBy": "demo"},
    "tags of another tool": {"Project": "demo", "ManagedBy": "terraform", "imgpipe": "demo"},
    "with account and region": {"Project": "demo/123456789012/eu-west-1", "ManagedBy": "imgpipe"},
}
TAGS = pytest.mark.parametrize(
    "tags",
    exhaustive.cases([pytest.param(tags, id=name) for name, tags in LOOK_ALIKES.items()], keep=3),
)


def test_tags_that_are_nearly_ours_are_not_ours() -> None:
    assert [name for name, tags in LOOK_ALIKES.items() if NAMES.owns(tags)] == []


def names_unique(settings: Settings) -> set[str]:
    """The resources that are found by their name. An API is not: its name is not unique."""
    found = World(settings=settings).resources
    return {name for name, resource in found.items() if resource.parent is None} - {"api"}


def inside(settings: Settings) -> set[str]:
    """The resources that live inside one of those."""
    found, unique = World(settings=settings).resources, names_unique(settings)
    return {name for name, resource in found.items() if resource.parent in unique}


def things(settings: Settings) -> list[Change]:
    """The removal of each of them, which names it."""
    return laws.removals(World(settings=settings, connect=PlainHttpAws))


def retag_all(found: list[Change], tags: Mapping[str, str]) -> None:
    for call in map(laws.sent, found):
        retag(PlainHttpAws().client, call.service, call.params, tags)


def everything() -> dict[str, Any]:
    ids = [api["ApiId"] for api in PlainHttpAws().call("apigatewayv2", "get_apis")["Items"]]
    return {**inventory(), "ids": ids, "objects": objects()}


def objects() -> list[str]:
    s3 = PlainHttpAws().client("s3")
    buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    found = (s3.list_object_versions(Bucket=bucket).get("Versions", []) for bucket in buckets)
    return sorted(version["Key"] for versions in found for version in versions)


def put_something_into(settings: Settings) -> None:
    """An empty bucket without tags is nobody's, and may be ours."""
    s3 = PlainHttpAws().client("s3")
    s3.put_object(Bucket=NAMES.bucket, Key="theirs.jpg", Body=b"theirs")
    if settings.results == "s3":
        s3.put_object(Bucket=NAMES.results_bucket, Key="theirs.json", Body=b"theirs")


@TAGS
@pytest.mark.parametrize(
    "settings",
    [pytest.param(SETTINGS, id="table"), exhaustive.only(pytest.param(IN_S3, id="s3"))],
)
def test_whatever_is_nearly_ours_is_refused_left_alone_and_explained(
    tags: Mapping[str, str], settings: Settings
) -> None:
    """Everything at once; one thing alone is in test_laws.py."""
    finished(settings, kind=PlainHttpAws)
    put_something_into(settings)
    # What reads as imgpipe's settings and has no tags is ours: nobody else writes it.
    parameter: dict[str, Any] = {"Name": NAMES.settings_parameter, "Value": "theirs", "Overwrite": True}
    PlainHttpAws().call("ssm", "put_parameter", **parameter)
    ours = things(settings)
    called = {removal.what for removal in ours if not removal.what.startswith("API")}
    assert f"role {NAMES.role('web')}" in called
    retag_all(ours, tags)
    before = everything()

    refused_up = PlainHttpAws()
    with pytest.raises(Problem) as refused:
        up(refused_up, settings)
    assert (refused.value.code, refused_up.writes) == ("not_ours", [])
    for name in called:
        assert name in refused.value.message
    assert "--project" in refused.value.hint
    assert "Project=demo and ManagedBy=imgpipe" in refused.value.hint

    line = pipeline(PlainHttpAws())
    states = plan.states(line, observe.snapshot(line, nothing), settings)
    not_owned = {state.resource for state in states if state.state == "not_owned"}
    assert not_owned == names_unique(settings) | inside(settings)

    told = {state.resource: state.drift for state in states if state.drift}
    assert told.keys() == names_unique(settings)
    for drift in told.values():
        assert refused.value.hint in drift
    role = f"role {NAMES.role('web')} has"
    listed = ", ".join(f"{key}={value}" for key, value in sorted(tags.items()))
    assert told["role.web"][0] == (f"{role} the tags {listed}" if tags else f"{role} no tags")

    events: list[Event] = []
    idle_down = PlainHttpAws()
    assert down(idle_down, emit=events.append) == []
    assert idle_down.writes == []
    skipped = {event.resource: event.what for event in events if isinstance(event, Skipped)}
    # An API of that name is told where it may be ours.
    maybe = {} if tags else {"api": "the HTTP API"}
    assert skipped.keys() == names_unique(settings) | maybe.keys()
    assert set(skipped.values()) == called | set(maybe.values())
    assert everything() == before


@TAGS
def test_an_api_of_our_name_is_nobody_s_hindrance_and_stays(tags: dict[str, str]) -> None:
    aws = PlainHttpAws()
    theirs = aws.call("apigatewayv2", "create_api", Name=NAMES.api, ProtocolType="HTTP", Tags=tags)["ApiId"]
    aws.call("apigatewayv2", "create_stage", ApiId=theirs, StageName="prod")
    before = everything()
    outcomes = up(PlainHttpAws())
    assert outcomes["api"].observed.facts["id"] != theirs
    assert outcomes["api"].observed.facts["doubles"] == []
    assert down(PlainHttpAws()) == []
    assert everything() == before


def test_an_api_with_our_tags_and_another_name_is_not_ours() -> None:
    aws = PlainHttpAws()
    aws.call("apigatewayv2", "create_api", Name="demo-api-2", ProtocolType="HTTP", Tags=NAMES.tags)
    before = everything()
    up(PlainHttpAws())
    assert down(PlainHttpAws()) == []
    assert everything() == before


def test_what_has_no_tags_is_looked_at_again_and_told_as_such() -> None:
    finished(kind=PlainHttpAws)
    put_something_into(SETTINGS)
    aws = PlainHttpAws()
    ours = things(SETTINGS)
    retag_all(ours, {})
    began = aws.clock()
    snapshot = observe.snapshot(pipeline(aws), nothing)
    assert 30 <= aws.clock() - began < 35
    events: list[Event] = []
    (settings,) = destroy.planned_removals(pipeline(aws), snapshot, events.append)
    assert settings.resource.name == "settings"
    untagged = {event.resource for event in events if isinstance(event, Skipped) and event.why == "untagged"}
    functions = {f"function.{one}" for one in ("ingest", "get_result", "web")}  # these keep the tag RoleId
    assert untagged == {*names_unique(SETTINGS), "api"} - {"bucket", "settings"} - functions
    retag_all(ours, {"Project": "theirs"})
    began = aws.clock()
    observe.snapshot(pipeline(aws), nothing)
    assert aws.clock() == began


def test_settings_left_without_tags_by_a_killed_run_get_them_back() -> None:
    """Another run's `down` came before the new value, which no call can tag: it was killed right after it."""
    aws = PlainHttpAws()
    value: dict[str, Any] = {"Name": NAMES.settings_parameter, "Type": "String", "Value": SETTINGS.to_json()}
    aws.call("ssm", "put_parameter", **value, Overwrite=True)
    assert set(up(PlainHttpAws())) >= {"settings", "api"}
    aws.call("ssm", "remove_tags_from_resource", **_SETTINGS_TAGS, TagKeys=list(NAMES.tags))
    again = PlainHttpAws()
    up(again)
    assert again.writes == [("ssm", "add_tags_to_resource")]
    aws.call("ssm", "remove_tags_from_resource", **_SETTINGS_TAGS, TagKeys=list(NAMES.tags))
    assert down(PlainHttpAws()) == []
    assert inventory() == {}


_SETTINGS_TAGS: dict[str, Any] = {"ResourceType": "Parameter", "ResourceId": NAMES.settings_parameter}


def test_tags_that_were_lost_can_be_given_back() -> None:
    """The way out that the message names."""
    finished(kind=PlainHttpAws)
    put_something_into(SETTINGS)
    before = everything()
    ours = things(SETTINGS)
    retag_all(ours, {})
    with pytest.raises(Problem):
        up(PlainHttpAws())
    retag_all(ours, NAMES.tags)
    aws = PlainHttpAws()
    up(aws)
    assert aws.writes == []
    assert everything() == before
