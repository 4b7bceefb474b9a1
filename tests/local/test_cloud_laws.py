"""The laws of tests/support/laws.py on the local cloud, whose errors for what is not there are its own."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest

from imgpipe_cli.aws.client import Aws, Place
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.steps import STEPS
from imgpipe_cli.local.process.running_cloud import LocalCloud
from tests.support import laws
from tests.support.account import RecordingAws
from tests.support.laws import World
from tests.support.retagging import retag
from tests.support.topic import Topic

TOPIC = Topic()
STEPS_WITH_TOPIC = (*STEPS, Step("alerts", "Alerts", (TOPIC,)))


class CloudAws(RecordingAws):
    """A local cloud in place of moto: its own clients, and time that passes by itself."""

    def __init__(self, cloud: LocalCloud, clients: dict[tuple[str, bool], Any]) -> None:
        super().__init__(keeps_tags=False)
        place = Place(cloud.region, None, cloud.endpoint, cloud.access_key_id, cloud.secret_access_key)
        Aws.__init__(self, place, sleep=time.sleep, clock=time.monotonic)
        self._clients = clients  # making them takes longer than all else


@pytest.fixture(scope="module")
def world(stub_cloud: LocalCloud) -> World:
    names = Names("laws", stub_cloud.account, stub_cloud.region)
    return World(STEPS_WITH_TOPIC, names=names, connect=partial(CloudAws, stub_cloud, {}))


def test_every_law_from_an_empty_account_to_an_empty_account(world: World) -> None:
    for resource in (resource for step in world.steps for resource in step.resources):
        laws.nothing_is_seen(world, resource)
    before = world.inventory()
    world.up()
    laws.everything_is_managed(world)
    laws.a_second_up_writes_nothing(world)
    laws.everything_is_in_the_inventory(world)
    removal = laws.sent(laws.last_removal(world, TOPIC))
    calls = ["sns.create_topic", "sns.set_topic_attributes"]
    laws.drift_is_repaired(world, removal.send, {"topic": ()}, calls)
    laws.a_twin_is_refused_and_left_alone(world, TOPIC)
    retag(world.connect().client, removal.service, removal.params, world.names.tags)
    laws.down_leaves_nothing(world, before)
