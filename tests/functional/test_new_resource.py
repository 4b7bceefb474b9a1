"""A new resource is one file and one entry: every law holds for it, and no table and no other file knows it.

The file is tests/support/topic.py, the entry is `STEPS_WITH_TOPIC` here.
"""

from __future__ import annotations

import pytest

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.deploy import permissions
from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.steps import STEPS
from tests.support import laws
from tests.support.account import NAMES, fresh_account
from tests.support.laws import Undisturbed, World
from tests.support.topic import Topic

TOPIC = Topic()
STEPS_WITH_TOPIC = (*STEPS, Step("alerts", "Alerts", (TOPIC,)))
WORLD = World(STEPS_WITH_TOPIC)
ARN = "arn:aws:sns:eu-west-1:123456789012:demo-alerts"


@pytest.mark.usefixtures("account")
def test_from_an_empty_account_to_an_empty_account() -> None:
    laws.nothing_is_seen(WORLD, TOPIC)
    before = WORLD.inventory()
    WORLD.up()
    laws.everything_is_managed(WORLD)
    laws.a_second_up_writes_nothing(WORLD)
    (content,) = laws.in_the_inventory(WORLD, TOPIC).values()
    assert content["GetTopicAttributes"]["Attributes"]["DisplayName"] == "Failed pictures"
    laws.down_leaves_nothing(WORLD, before)


@pytest.mark.usefixtures("account")
def test_drift_is_repaired() -> None:
    def rename(aws: Aws) -> None:
        aws.call("sns", "set_topic_attributes", TopicArn=ARN, AttributeName="DisplayName", AttributeValue="x")

    WORLD.up()
    shown = {"topic": ("set title of topic demo-alerts",)}
    laws.drift_is_repaired(WORLD, rename, shown, ["sns.set_topic_attributes"])


@pytest.mark.usefixtures("account")
def test_what_was_removed_by_hand_is_made_again() -> None:
    def remove(aws: Aws) -> None:
        aws.call("sns", "delete_topic", TopicArn=ARN)

    WORLD.up()
    laws.drift_is_repaired(WORLD, remove, {"topic": ()}, ["sns.create_topic", "sns.set_topic_attributes"])


@pytest.mark.usefixtures("account")
def test_a_foreign_twin_is_refused_and_left_alone() -> None:
    WORLD.up()
    laws.a_twin_is_refused_and_left_alone(WORLD, TOPIC)


@pytest.fixture(scope="module")
def undisturbed() -> Undisturbed:
    return Undisturbed.of(WORLD)


def points(calls: list[tuple[str, str]]) -> list[int]:
    """Where the topic's own calls are."""
    return [number for number, (service, _) in enumerate(calls) if service == "sns"]


def test_a_run_that_is_killed_after_a_call_is_finished_by_the_next(undisturbed: Undisturbed) -> None:
    ups, downs = points(undisturbed.up), points(undisturbed.down)
    assert (len(ups), len(downs)) == (2, 1)
    for die_after in ups:
        laws.a_killed_up_is_finished_by_the_next(WORLD, undisturbed, die_after)
    for die_after in downs:
        laws.a_killed_down_is_finished_by_the_next(WORLD, die_after, WORLD.up)


@pytest.mark.usefixtures("account")
def test_the_policy_has_every_call() -> None:
    laws.every_call_has_its_permission(WORLD)
    calls = permissions.calls_of(STEPS_WITH_TOPIC)

    def allowed(*commands: str) -> set[str]:
        statements = permissions.document(NAMES, commands, calls=calls)["Statement"]
        return {action for one in statements if ARN in one["Resource"] for action in one["Action"]}

    reads = {"sns:GetTopicAttributes", "sns:ListTagsForResource"}
    assert allowed("status") == reads
    assert allowed("up") == reads | {"sns:CreateTopic", "sns:TagResource", "sns:SetTopicAttributes"}
    assert allowed("down") == reads | {"sns:DeleteTopic"}
    assert allowed("upload") == set()


def test_a_call_without_its_permission_is_found() -> None:
    class Forgetful(Topic):
        iam = tuple(row for row in Topic.iam if row.operation != "set_topic_attributes")

    world = World((*STEPS, Step("alerts", "Alerts", (Forgetful(),))))
    with fresh_account(), pytest.raises(AssertionError, match=r"up sends sns\.set_topic_attributes"):
        laws.every_call_has_its_permission(world)
