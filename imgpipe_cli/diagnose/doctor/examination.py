"""Everything that doctor looks at, in two rounds: what needs no account, then what does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from imgpipe_cli.aws.client import Aws, AwsError, Timeouts
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.deploy.steps import SERVICES
from imgpipe_cli.diagnose.doctor import account, local_cloud, machine, network, rights, sign_in
from imgpipe_cli.diagnose.doctor.checks import TITLES, Check, Question, ask, of_problem
from imgpipe_cli.errors import Problem
from imgpipe_cli.session.connection import Connection, place
from imgpipe_cli.session.target import Remembered, Target

# A call takes at most about 20 seconds with this, and a check at most _LIMIT_S.
_TIMEOUTS = Timeouts(connect_s=3, read_s=8, attempts=2, busy_s=0)
_LIMIT_S = 25.0
# Where the identity is asked for when no region is configured: any will do.
_ANY_REGION = "us-east-1"
_OF_ACCOUNT = ("concurrency", "permissions", "pipeline")


@dataclass(frozen=True)
class Subject:
    """What is examined.

    region_from: who chose the target's region. state: the folder of imgpipe's own files, which may not
    exist. known: the names of imgpipe's own variables. commands: whose permissions matter. now: this
    machine's clock.
    """

    target: Target
    remembered: Remembered | None
    region_from: str
    folder: Path
    configuration: Mapping[str, Any] | Problem
    state: Path
    known: frozenset[str]
    variables: Mapping[str, str]
    commands: tuple[str, ...]
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Examination:
    """checks: in the order of TITLES. connection: None where nobody could be signed in."""

    checks: list[Check]
    connection: Connection | None


def examine(subject: Subject) -> Examination:
    """Never raises a Problem: what goes wrong is a check."""
    examiner = _Local(subject) if subject.target.local else _Aws(subject)
    found = examiner.checks()
    return Examination([found[check] for check in TITLES if check in found], examiner.connection)


def _machine(subject: Subject) -> dict[str, Question]:
    """What needs no network. Each is one question, so that a broken one hides no other."""
    asked = subject.target.local
    return {
        "python": lambda: [machine.python()],
        "libraries": lambda: [machine.libraries(_requires("imgpipe"), _requires("boto3"), _installed)],
        "local_extra": lambda: [machine.local_extra(_requires("imgpipe"), _installed, asked=asked)],
        "state_dir": lambda: [machine.state_dir(subject.state, asked=asked)],
        "configuration": lambda: [machine.configuration(subject.folder, subject.configuration)],
        "environment": lambda: [
            machine.environment(
                subject.variables, subject.known, profile_chosen=subject.target.profile is not None
            )
        ],
        "local_cloud": lambda: local_cloud.cloud_in(subject.state, asked=asked),
        "local_models": lambda: local_cloud.models_in(subject.state),
        "disk": lambda: local_cloud.disk_of(subject.state, asked=asked),
    }


def _requires(package: str) -> list[str]:
    try:
        return requires(package) or []
    except PackageNotFoundError:
        return []


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


class _Local:
    """The local cloud is the target: no AWS credentials are used, and nothing of AWS is asked."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.connection: Connection | None = None

    def checks(self) -> dict[str, Check]:
        return ask(_machine(self._subject) | {"pipeline": self._pipeline}, limit_s=_LIMIT_S)

    def _pipeline(self) -> Iterator[Check]:
        subject = self._subject
        try:
            aws = Aws(place(subject.target), timeouts=_TIMEOUTS)
        except Problem:
            yield Check("pipeline", "not_checked", "the local cloud is not running")
            return
        who = sign_in.SignIn(subject.target, subject.remembered, aws)
        refused = list(who.identity())
        self.connection = who.connection
        if who.connection is None:
            yield replace(refused[0], id="pipeline")
        else:
            yield from account.pipeline_of(who.connection)


class _Aws:
    """AWS, or an endpoint of the user's own, is the target."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.connection: Connection | None = None

    def checks(self) -> dict[str, Check]:
        try:
            aws, region, wrong = self._session()
        except AwsError as error:
            return self._without_session(error)
        who = sign_in.SignIn(self._subject.target, self._subject.remembered, aws)
        questions = _machine(self._subject) | self._way(aws, region, wrong) | {"identity": who.identity}
        found = ask(questions, limit_s=_LIMIT_S)
        if who.connection is None or region is None:
            reason = (
                "there is no region to ask in" if who.connection else "it needs credentials that AWS accepts"
            )
            return found | _unanswered(_OF_ACCOUNT, reason)
        connection = self.connection = who.connection
        of_account: dict[str, Question] = {
            "concurrency": lambda: account.concurrency_of(aws),
            "permissions": lambda: rights.permissions_of(connection, who.arn, self._subject.commands),
            "pipeline": lambda: account.pipeline_of(connection),
        }
        return found | ask(of_account, limit_s=_LIMIT_S)

    def _session(self) -> tuple[Aws, str | None, AwsError | None]:
        """The clients and the region in force, or those of any region and what is wrong. Raises AwsError."""
        aws = Aws(place(self._subject.target), timeouts=_TIMEOUTS)
        try:
            return aws, aws.region, None
        except AwsError as error:
            return Aws(replace(aws.place, region=_ANY_REGION), timeouts=_TIMEOUTS), None, error

    def _without_session(self, error: AwsError) -> dict[str, Check]:
        """The profile is not there, or its file cannot be read: nothing of AWS can be asked."""
        found = ask(_machine(self._subject), limit_s=_LIMIT_S)
        rest = ("region", "rekognition", "identity", "endpoints", "network", "clock", *_OF_ACCOUNT)
        failed = sign_in.not_found(error, self._subject.target.profile)
        return found | _unanswered(rest, "it needs the AWS profile") | {failed.id: failed} | self._proxy()

    def _way(self, aws: Aws, region: str | None, wrong: AwsError | None) -> dict[str, Question]:
        return {
            "region": lambda: [self._region(aws, region, wrong)],
            "rekognition": lambda: [self._rekognition(aws, region)],
            "credentials": lambda: [self._credentials(aws)],
            "proxy": lambda: self._proxy().values(),
            "endpoints": lambda: [self._endpoints(aws)],
            "network": lambda: network.contact(aws, self._subject.now),
        }

    def _region(self, aws: Aws, region: str | None, wrong: AwsError | None) -> Check:
        if wrong is not None and wrong.code != "NoRegion":
            return of_problem("region", problem(wrong))
        try:
            known = aws.regions("lambda")
        except AwsError:
            known = []
        return network.region(region, self._subject.region_from, known)

    def _rekognition(self, aws: Aws, region: str | None) -> Check:
        if region is None:
            return Check("rekognition", "not_checked", "there is no region to ask about")
        try:
            endpoint = aws.custom_endpoint
        except AwsError:  # no client can be made, which others tell
            endpoint = None
        return network.rekognition(region, aws.regions("rekognition"), endpoint)

    def _credentials(self, aws: Aws) -> Check:
        try:
            return sign_in.credentials(aws.credentials(), aws.profile, self._subject.now())
        except AwsError as error:
            return sign_in.not_found(error, aws.profile)

    def _endpoints(self, aws: Aws) -> Check:
        urls, own = network.service_urls(aws, ("sts", *SERVICES))
        return network.endpoints(urls, self._subject.variables, own)

    def _proxy(self) -> dict[str, Check]:
        return {"proxy": network.proxy(self._subject.variables)}


def _unanswered(checks: tuple[str, ...], reason: str) -> dict[str, Check]:
    return {check: Check(check, "not_checked", reason) for check in checks}
