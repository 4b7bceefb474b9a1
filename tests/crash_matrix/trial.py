"""One trial: disturb a command, let the next one follow, and compare the account with an undisturbed one."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from imgpipe_cli.errors import ExitCode
from tests.crash_matrix.gateway import Gateway, gateway
from tests.crash_matrix.memory_account import KEYS, plain_client
from tests.crash_matrix.scenarios import BY_NAME, DOWN, REGION, UP, Point, Scenario
from tests.support.inventory import Client, inventory
from tests.support.machine import Done, Machine

PROJECT = "crash"
# What a command that could not do its work may exit with.
_DOCUMENTED = frozenset(ExitCode) - {ExitCode.USAGE, ExitCode.INTERRUPTED}
_CONTENT = "content of "
_LIMIT_S = 300
_PICTURES = ("cat.jpg", "é/b c+%.jpg")
_TODAY = re.compile(r"(first_day\W+|FIRST_DAY\W+)\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Undisturbed:
    """requests: the names of all calls of the scenario's command; holds: the account after it."""

    requests: tuple[str, ...]
    holds: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """wrong: what is not as it should be, empty if the point was survived. hit: False if the request never
    came, so that nothing was tried."""

    point: Point
    hit: bool
    wrong: tuple[str, ...] = ()
    told: str = ""

    @property
    def survived(self) -> bool:
        return not self.wrong


class User:
    """A machine in front of the account, with `before` as what earlier commands left in its home folder."""

    def __init__(
        self, folder: Path, door: Gateway, scenario: Scenario = BY_NAME["up"], *, before: Path | None = None
    ) -> None:
        if before is not None:
            shutil.copytree(before, folder / "state")
            _move_endpoint(folder / "state", door.url)
        self.machine = Machine(folder)
        self.door = door
        self.env = {
            **KEYS,
            "AWS_REGION": scenario.region,
            "AWS_ENDPOINT_URL": door.url,
            "AWS_CA_BUNDLE": str(door.certificate),
            "AWS_EC2_METADATA_DISABLED": "true",
            "IMGPIPE_PROJECT": PROJECT,
            "IMGPIPE_WORKERS": str(scenario.workers),
        }

    def run(self, command: tuple[str, ...]) -> Done:
        """The command line as a process of its own; the gateway may kill it."""
        self.door.process = process = self.machine.start(*command, env=self.env)
        try:
            out, err = process.communicate(timeout=_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            err += f"It did not end within {_LIMIT_S} s.\n"
        return Done(process.returncode, out, err)


def _move_endpoint(state: Path, url: str) -> None:
    """The account's copy answers on another port, which a command would take for another account."""
    file = state / "targets.json"
    file.write_text(re.sub(r"https://127\.0\.0\.1:\d+", url, file.read_text("utf-8")), "utf-8")


def holdings(region: str = REGION) -> dict[str, Any]:
    """Everything in the account, without ids and times; what is in a bucket or a table is a `content`."""
    client = partial(plain_client, region=region)
    found = inventory(client, PROJECT)
    for name in [name for name in found if name.startswith(("bucket", "table"))]:
        found[f"{_CONTENT}{name}"] = sorted(_content(client, *name.replace("PROJECT", PROJECT).split()))
    return dict(json.loads(_TODAY.sub(r"\1TODAY", json.dumps(found, sort_keys=True))))


def _content(client: Client, kind: str, name: str) -> Iterator[str]:
    if kind == "bucket":
        for one in client("s3").list_objects_v2(Bucket=name).get("Contents", []):
            yield one["Key"]
    else:
        for item in client("dynamodb").scan(TableName=name)["Items"]:
            yield json.dumps(item, sort_keys=True)


def set_up(state: Path) -> None:
    """`up`, then pictures and results; the machine's state goes to `state`."""
    with TemporaryDirectory() as folder, gateway() as door:
        user = User(Path(folder), door)
        done = user.run(UP)
        assert done.code == 0, done.err
        shutil.copytree(user.machine.state, state)
    s3 = plain_client("s3", region=REGION)
    (bucket,) = (one["Name"] for one in s3.list_buckets()["Buckets"])
    notification = s3.get_bucket_notification_configuration(Bucket=bucket)
    del notification["ResponseMetadata"]
    # No function is to run.
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    for number, key in enumerate(_PICTURES):
        s3.put_object(Bucket=bucket, Key=key, Body=b"picture")
        at = f"2026-11-22T10:00:0{number}.000Z"
        item = {
            "objectKey": key,
            "status": "done",
            "analyzedAt": at,
            "day": at[:10],
            "sequencer": f"{number:032}",
        }
        plain_client("dynamodb", region=REGION).put_item(
            TableName=f"{PROJECT}-results", Item={name: {"S": value} for name, value in item.items()}
        )
    s3.create_multipart_upload(Bucket=bucket, Key="never ended.jpg")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=notification)


def undisturbed(scenario: Scenario, before: Path | None) -> Undisturbed:
    """What the scenario's command sends and leaves behind when nothing goes wrong."""
    with TemporaryDirectory() as folder, gateway() as door:
        done = User(Path(folder), door, scenario, before=before).run(scenario.command)
        assert done.code == 0, done.err
        return Undisturbed(tuple(door.calls), holdings(scenario.region))


@dataclass
class Trial:
    """In an account as the scenario finds it; `ends`: what the account holds after which scenario."""

    point: Point
    ends: Mapping[str, Mapping[str, Any]]
    before: Path | None
    _wrong: list[str] = field(default_factory=list)
    _told: list[str] = field(default_factory=list)

    @property
    def scenario(self) -> Scenario:
        return BY_NAME[self.point.scenario]

    def run(self) -> Outcome:
        scenario, then = self.scenario, self.point.then
        with ExitStack() as stack:
            here, there = (Path(stack.enter_context(TemporaryDirectory())) for _ in range(2))
            door = stack.enter_context(gateway())
            user = User(here, door, scenario, before=self.before)
            door.break_at(self.point.request, self.point.fault)
            done = self._ran(user, scenario.command)
            self._judge_disturbed(done)
            if done.code == ExitCode.DONE:  # whoever says "done" must be: nothing mends it before this look
                self._compare(self.ends[scenario.goal], "although it says that it is done")
            hit = door.hit
            door.forget()
            goal = self._goal()
            if then == "elsewhere":
                user = User(there, door, scenario)
            command = {"down": DOWN, "up": UP, "plain": UP}.get(then, scenario.command)
            self._must_end_well(self._ran(user, command), "what follows")
            self._compare(self.ends[goal], "in the end")
            door.forget()
            self._must_end_well(self._ran(user, DOWN if command == DOWN else UP), "a last look")
            if door.writes:
                self._wrong.append(f"a last look sends {', '.join(door.writes)}")
        return Outcome(self.point, hit, tuple(self._wrong), "\n".join(self._told) if self._wrong else "")

    def _goal(self) -> str:
        """What must be there in the end; without its options a change goes on if it was written down."""
        parameter = "parameter /imgpipe/PROJECT/settings"
        written = holdings(self.scenario.region).get(parameter) == self.ends[self.point.goal].get(parameter)
        return self.point.goal if self.point.then != "plain" or written else "up"

    def _ran(self, user: User, command: tuple[str, ...]) -> Done:
        done = user.run(command)
        self._told.append(f"$ imgpipe {' '.join(command)}\n{done.err}{done.out}exit {done.code}")
        if "Traceback" in done.err:
            self._wrong.append("a traceback")
        if "Something unexpected happened" in done.err:
            self._wrong.append("an error that nobody expected")
        return done

    def _judge_disturbed(self, done: Done) -> None:
        fault = self.point.fault
        if fault.kind == "killed":
            expected = done.code == -signal.SIGKILL
        elif fault.lasting:
            expected = done.code in _DOCUMENTED
        else:  # one fault is no reason to fail
            expected = done.code == 0
        if not expected:
            self._wrong.append(f"the disturbed command exits with {done.code}")
        if done.code in (ExitCode.FAILED, ExitCode.PENDING) and not _told(done):
            self._wrong.append("it does not say what went wrong")

    def _must_end_well(self, done: Done, what: str) -> None:
        if done.code != 0:
            self._wrong.append(f"{what} exits with {done.code}")

    def _compare(self, goal: Mapping[str, Any], when: str) -> None:
        found = holdings(self.scenario.region)
        for name in sorted(found.keys() | goal.keys()):
            # How far a disturbed `down` came decides whether the pictures are still there.
            # A pipeline of the scenario `up` never had any.
            emptied = self.point.then in ("up", "plain") and name.startswith(_CONTENT)
            if found.get(name) != goal.get(name) and not emptied:
                self._wrong.append(f"{when}, {name} is {found.get(name)} instead of {goal.get(name)}")


def _told(done: Done) -> bool:
    """Whether it says in a sentence what went wrong, and what to do next."""
    lines = [line for line in done.err.splitlines() if line.startswith(("Error: ", "Hint: "))]
    return [line.partition(": ")[0] for line in lines] == ["Error", "Hint"] and min(map(len, lines)) > 12
