"""Flags of two `up` at once: what does not contradict the other's counts, whoever writes first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.deploy import apply, conflicts, deployed, observe
from imgpipe_cli.deploy.resources.settings_parameter import SettingsParameter, stored_settings
from imgpipe_cli.deploy.results import migrate
from imgpipe_cli.session.settings import Settings, resolve
from tests.support.account import NAMES, finished, fresh_account, inventory, nothing, pipeline, up
from tests.support.interleaving import MeetingAws, SharedAws

BOTH_FLAGS = Settings(features=("labels", "faces"), private=True, first_day="2026-01-01")


@pytest.fixture(autouse=True)
def account() -> Iterator[None]:
    with fresh_account():
        yield


def both_from_the_start() -> dict[str, Any]:
    with fresh_account():
        up(SharedAws(), BOTH_FLAGS, workers=1)
        return inventory()


def stored() -> Settings:
    return stored_settings(SettingsParameter().observe(SharedAws(), NAMES), NAMES)


class Flags:
    """An `up` with these flags, as the command does it: looked at first, carried out later."""

    def __init__(self, aws: Aws, **flags: Any) -> None:
        self._flags: dict[str, Any] = {"features": None, "min_confidence": None, "private": None, **flags}
        self._line = pipeline(aws, workers=1)
        self._looks = observe.snapshot(self._line, nothing)

    def over(self, stored: Settings | None) -> Settings:
        return resolve(**self._flags, deployed=stored, today="2026-01-01")

    def up(self) -> None:
        asked = self.over(deployed.settings(self._looks, NAMES))
        settings = migrate.begin(self._line, asked, self._looks)
        outcomes = apply.apply(self._line, self._looks, settings, nothing, self.over)
        got = stored_settings(outcomes["settings"].observed, NAMES)
        conflicts.refuse_other_settings(self.over(got), got)


@pytest.mark.parametrize("there", [True, False], ids=["a change", "a first up"])
def test_flags_count_that_another_up_has_stored_since_the_look(there: bool) -> None:
    if there:
        finished()
    later = Flags(SharedAws(), private=True)
    Flags(SharedAws(), features="labels,faces").up()
    later.up()
    assert stored() == BOTH_FLAGS
    assert inventory() == both_from_the_start()


def test_flags_count_that_another_up_stores_at_the_very_last_moment() -> None:
    finished()
    first = MeetingAws(Flags(SharedAws(), features="labels,faces").up, before=0)
    Flags(first, private=True).up()
    assert first.met == ("ssm", "put_parameter")
    assert stored() == BOTH_FLAGS
    assert inventory() == both_from_the_start()


def test_settings_that_the_sdk_sends_twice_are_nobody_elses() -> None:
    """The answer to the first time got lost."""
    finished()
    aws = TwiceAws()
    up(aws, BOTH_FLAGS, workers=1)
    assert (aws.writes.count(("ssm", "put_parameter")), stored()) == (1, BOTH_FLAGS)


class TwiceAws(SharedAws):
    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        if operation == "put_parameter":
            self.client(service).put_parameter(**params)
        return super().call(service, operation, once=once, **params)
