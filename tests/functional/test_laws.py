"""What holds for every resource of every step, without the test knowing which there are."""

from __future__ import annotations

import pytest

from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy import apply, destroy, observe, plan
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.resource import Resource
from imgpipe_cli.deploy.steps import STEPS
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Event, Skipped
from imgpipe_cli.session.settings import Settings
from tests.support import laws
from tests.support.account import (
    IN_S3,
    NAMES,
    SETTINGS,
    RecordingAws,
    down,
    finished,
    inventory,
    nothing,
    pipeline,
    up,
)
from tests.support.laws import World

pytestmark = pytest.mark.usefixtures("account")


RESOURCES = [pytest.param(r, id=r.name) for step in STEPS for r in step.resources]
OWNABLE = [
    pytest.param(r, id=r.name)
    for step in STEPS
    for r in step.resources
    if r.parent is None and r.name != "api"  # an API's name is not unique: see test_foreign_apis
]


STORES = pytest.mark.parametrize("settings", [SETTINGS, IN_S3], ids=["table", "s3"])


@pytest.mark.parametrize("resource", RESOURCES)
def test_every_resource_has_a_title_to_begin_a_sentence_with(resource: Resource) -> None:
    assert resource.title.startswith("the ")


@pytest.mark.parametrize("resource", RESOURCES)
def test_nothing_is_seen_in_an_empty_account(resource: Resource) -> None:
    laws.nothing_is_seen(World(), resource)


@STORES
def test_after_up_everything_is_there_ready_and_ours(settings: Settings) -> None:
    """Everything that these settings ask for, and nothing of the other store."""
    finished(settings)
    laws.everything_is_managed(World(settings=settings))
    laws.everything_is_in_the_inventory(World(settings=settings))


def test_a_pipeline_has_exactly_one_store() -> None:
    table, s3 = (World(settings=settings).resources.keys() for settings in (SETTINGS, IN_S3))
    assert table ^ s3 == {"table", "table.ttl", "results_bucket"}


@STORES
def test_a_second_up_sends_no_write_at_all(settings: Settings) -> None:
    finished(settings)
    laws.a_second_up_writes_nothing(World(settings=settings))


@STORES
def test_every_call_has_its_permission(settings: Settings) -> None:
    laws.every_call_has_its_permission(World(settings=settings))


@STORES
def test_the_dry_run_lists_exactly_the_calls_that_up_sends(settings: Settings) -> None:
    line = pipeline(RecordingAws())
    planned = plan.planned(line, observe.snapshot(line, nothing), settings)
    aws = RecordingAws()
    up(aws, settings)
    listed = [(change.call.service, change.call.operation) for _, _, change in planned]  # type: ignore[union-attr]
    assert sorted(aws.writes) == sorted([*listed, *_bucket_configuration(aws)])


def _bucket_configuration(aws: RecordingAws) -> list[tuple[str, str]]:
    """What a new bucket still needs depends on what the endpoint sets by itself."""
    return [
        call
        for call in aws.writes
        if call[0] == "s3"
        and call[1].startswith("put_bucket")
        and call[1] != "put_bucket_notification_configuration"
    ] + [call for call in aws.writes if call[1] == "put_public_access_block"]


@STORES
def test_down_leaves_an_empty_account_and_may_be_run_again(settings: Settings) -> None:
    before = inventory()
    finished(settings)
    assert inventory() != before
    laws.down_leaves_nothing(World(settings=settings), before)


def test_down_of_what_never_was_sends_nothing() -> None:
    aws = RecordingAws()
    assert down(aws) == []
    assert aws.writes == []


@pytest.mark.parametrize("resource", OWNABLE)
def test_a_foreign_twin_is_refused_and_left_alone(resource: Resource) -> None:
    settings = SETTINGS if resource.wanted(SETTINGS) else IN_S3
    finished(settings)
    laws.a_twin_is_refused_and_left_alone(World(settings=settings), resource)


def _make_bucket(bucket: str) -> RecordingAws:
    """Without tags: somebody's, or ours where an endpoint dropped them."""
    aws = RecordingAws()
    location = {"LocationConstraint": NAMES.region}
    aws.call("s3", "create_bucket", Bucket=bucket, CreateBucketConfiguration=location)
    return aws


def _left_alone(aws: RecordingAws) -> dict[str, str]:
    """What `down` then says that it leaves, and why."""
    events: list[Event] = []
    assert down(aws, emit=events.append) == []
    return {event.what: event.why for event in events if isinstance(event, Skipped)}


def test_an_empty_untagged_bucket_with_our_name_is_adopted() -> None:
    aws = _make_bucket(NAMES.bucket)
    up(aws)
    assert observe.snapshot(pipeline(aws), nothing)["bucket"].owned


def test_an_empty_untagged_bucket_is_never_removed() -> None:
    _make_bucket(NAMES.bucket)
    before = inventory()
    aws = RecordingAws()
    assert _left_alone(aws) == {f"bucket {NAMES.bucket}": "unmarked"}
    assert (aws.writes, inventory()) == ([], before)


def test_an_untagged_bucket_that_the_settings_do_not_want_is_left_alone() -> None:
    finished()
    _make_bucket(NAMES.results_bucket)
    idle = RecordingAws()
    outcomes = up(idle)
    assert (idle.writes, "results_bucket" in outcomes) == ([], False)
    snapshot = observe.snapshot(pipeline(RecordingAws()), nothing)
    states = plan.states(pipeline(RecordingAws()), snapshot, SETTINGS)
    assert {state.state for state in states} == {"ready"}
    assert _left_alone(RecordingAws()) == {f"bucket {NAMES.results_bucket}": "unmarked"}
    assert [name for name in inventory() if "demo" in name] == [f"bucket {NAMES.results_bucket}"]


def test_an_untagged_bucket_with_an_upload_on_its_way_is_not_ours() -> None:
    aws = _make_bucket(NAMES.bucket)
    aws.call("s3", "create_multipart_upload", Bucket=NAMES.bucket, Key="theirs.bin")
    with pytest.raises(Problem, match="bucket"):
        up(RecordingAws())
    assert _left_alone(RecordingAws()) == {f"bucket {NAMES.bucket}": "foreign"}
    assert len(aws.call("s3", "list_multipart_uploads", Bucket=NAMES.bucket)["Uploads"]) == 1


def test_a_protected_table_is_told_before_anything_is_removed() -> None:
    finished()
    RecordingAws().call("dynamodb", "update_table", TableName=NAMES.table, DeletionProtectionEnabled=True)
    before = inventory()
    aws = RecordingAws()
    with pytest.raises(Problem) as refused:
        down(aws)
    assert (refused.value.code, aws.writes, inventory()) == ("table_protected", [], before)
    assert f"--table-name {NAMES.table} --no-deletion-protection-enabled" in refused.value.hint


def test_a_protected_table_of_somebody_else_hinders_no_down() -> None:
    aws = RecordingAws()
    up(aws)
    aws.call("dynamodb", "update_table", TableName=NAMES.table, DeletionProtectionEnabled=True)
    aws.call("dynamodb", "untag_resource", ResourceArn=NAMES.table_arn, TagKeys=list(NAMES.tags))
    assert _left_alone(RecordingAws()) == {f"table {NAMES.table}": "untagged"}


def test_an_untagged_bucket_with_pictures_is_not_ours() -> None:
    aws = _make_bucket(NAMES.bucket)
    aws.call("s3", "put_object", Bucket=NAMES.bucket, Key="mine.jpg", Body=b"mine")
    with pytest.raises(Problem, match="bucket"):
        up(aws)
    assert down(aws) == []
    assert aws.call("s3", "head_object", Bucket=NAMES.bucket, Key="mine.jpg")


def test_foreign_apis_of_the_same_name_are_left_alone_and_hinder_nobody() -> None:
    aws = RecordingAws()
    not_owned = aws.call("apigatewayv2", "create_api", Name=NAMES.api, ProtocolType="HTTP")["ApiId"]
    up(aws)
    assert down(aws) == []
    assert [api["ApiId"] for api in aws.call("apigatewayv2", "get_apis")["Items"]] == [not_owned]


def test_a_second_api_of_ours_is_removed_and_the_older_one_kept() -> None:
    aws = RecordingAws()
    up(aws)
    first = aws.call("apigatewayv2", "get_apis")["Items"][0]["ApiId"]
    aws.call("apigatewayv2", "create_api", Name=NAMES.api, ProtocolType="HTTP", Tags=NAMES.tags)
    ids = sorted((api["CreatedDate"], api["ApiId"]) for api in aws.call("apigatewayv2", "get_apis")["Items"])
    up(RecordingAws())
    left = [api["ApiId"] for api in aws.call("apigatewayv2", "get_apis")["Items"]]
    assert left == [ids[0][1]]
    assert first in [one[1] for one in ids]


def test_two_projects_live_side_by_side() -> None:
    finished()
    other = Names("other", NAMES.account, NAMES.region)
    line = Pipeline(STEPS, RecordingAws(), other)
    apply.reconcile_all(line, observe.snapshot(line, nothing), SETTINGS, nothing)
    before = inventory()
    destroy.destroy(line, destroy.planned_removals(line, observe.snapshot(line, nothing), nothing), nothing)
    left = inventory()
    assert all("other" not in name for name in left)
    assert {name for name in before if "demo" in name} == {name for name in left if "demo" in name}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            Settings(features=("labels", "faces"), first_day="2026-01-01"),
            [
                ("iam", "put_role_policy"),
                ("lambda", "update_function_configuration"),
                ("ssm", "put_parameter"),
            ],
        ),
        (
            Settings(private=True, first_day="2026-01-01"),
            [
                ("lambda", "update_function_configuration"),
                ("lambda", "update_function_configuration"),
                ("ssm", "put_parameter"),
            ],
        ),
        (
            Settings(min_confidence=80, first_day="2026-01-01"),
            [("lambda", "update_function_configuration"), ("ssm", "put_parameter")],
        ),
    ],
)
def test_a_changed_setting_updates_exactly_what_depends_on_it(
    settings: Settings, expected: list[tuple[str, str]]
) -> None:
    finished()
    aws = RecordingAws()
    up(aws, settings)
    assert sorted(aws.writes) == expected
    again = RecordingAws()
    up(again, settings)
    assert again.writes == []


def test_what_others_added_to_the_bucket_stays() -> None:
    aws = RecordingAws()
    up(aws)
    s3, where = aws.client("s3"), {"Bucket": NAMES.bucket}
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 9}}
    rules = s3.get_bucket_lifecycle_configuration(**where)["Rules"]
    s3.put_bucket_lifecycle_configuration(**where, LifecycleConfiguration={"Rules": [theirs, *rules[1:]]})
    topic = aws.client("sns").create_topic(Name="theirs")["TopicArn"]
    document = aws.call("s3", "get_bucket_notification_configuration", Bucket=NAMES.bucket)
    document["TopicConfigurations"] = [{"TopicArn": topic, "Events": ["s3:ObjectRestore:*"], "Id": "t"}]
    s3.put_bucket_notification_configuration(**where, NotificationConfiguration=document)
    up(RecordingAws())
    after = s3.get_bucket_lifecycle_configuration(**where)["Rules"]
    assert {rule["ID"] for rule in after} == {"theirs", "imgpipe-abort-multipart", "imgpipe-old-versions"}
    down(RecordingAws(), keep=frozenset({"bucket"}))
    document = s3.get_bucket_notification_configuration(**where)
    assert [entry["Id"] for entry in document["TopicConfigurations"]] == ["t"]
    assert not document.get("LambdaFunctionConfigurations")
