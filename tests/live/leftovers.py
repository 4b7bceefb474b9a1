"""What pipelines of `make live` may have left in an account, and taking it away: `make live-clean`.

Everything is asked of the services themselves, by name and page by page: the tagging API lags behind, and a
half-made thing may have no tags.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from imgpipe_cli.aws.client import Aws, Place, is_aws
from imgpipe_cli.deploy.steps import SERVICES

PREFIX = "live-"
_ANY = rf"{PREFIX}[0-9a-f]{{8}}"
# Service, operation, where its pages hold the things, what names one of them ("" where a thing is a name).
_LISTS = (
    ("s3", "list_buckets", "Buckets", "Name"),
    ("dynamodb", "list_tables", "TableNames", ""),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("sqs", "list_queues", "QueueUrls", ""),
    ("ssm", "describe_parameters", "Parameters", "Name"),
    ("apigatewayv2", "get_apis", "Items", "Name"),
)
Run = Callable[..., object]
"""Carries out one command of imgpipe, however it ends."""


class NotAws(Exception):
    """Calls would go to another endpoint than AWS's own."""


@dataclass(frozen=True)
class Home:
    """Where pipelines of `make live` are: one account and region, by imgpipe's own rules."""

    aws: Aws
    account: str

    @property
    def region(self) -> str:
        return self.aws.region


def home(region: str | None = None) -> Home:
    """Sign in. Raises NotAws, AwsError."""
    refuse_other_endpoints(os.environ)
    aws = Aws(Place(region=region, profile=os.environ.get("IMGPIPE_PROFILE")))
    # Endpoints may stand in the configuration file too.
    others = [url for service in ("sts", *SERVICES) if not is_aws(url := aws.endpoint(service))]
    if others:
        raise NotAws(f"The configuration of the SDK sends calls to {', '.join(others)}, which is not AWS.")
    return Home(aws, str(aws.call("sts", "get_caller_identity")["Account"]))


def refuse_other_endpoints(environment: Mapping[str, str]) -> None:
    """Raise NotAws for variables that send calls elsewhere."""
    stray = sorted(name for name in environment if name.startswith("AWS_ENDPOINT_URL"))
    if stray:
        raise NotAws(f"{', '.join(stray)} is set: it would send calls elsewhere. Unset it first.")


def left_over(aws: Aws, project: str = "") -> list[str]:
    """The names of all that is there of this project, or of all of `make live`. Raises AwsError."""
    return [name for name in _names(aws) if _project(name, project)]


def _project(name: str, project: str = "") -> str | None:
    """The project that a thing of this name is of; None for things of others."""
    found = re.search(rf"(?:^|/)({re.escape(project) or _ANY})(?=[-/])", name)
    return found[1] if found else None


def _names(aws: Aws) -> Iterator[str]:
    for service, operation, things, name in _LISTS:
        for page in aws.pages(service, operation):
            for thing in page.get(things, []):
                yield str(thing[name] if name else thing)


def projects(names: list[str]) -> list[str]:
    """The projects that these things are of."""
    return sorted({project for name in names if (project := _project(name))})


def clean_up(place: Home, run: Run) -> list[str]:
    """Take away all pipelines of `make live`; what is left then, by name. Raises AwsError."""
    for project in projects(left_over(place.aws)):
        run("down", "--yes", "--aws", "--project", project, "--region", place.region)
    return left_over(place.aws)


def imgpipe(*arguments: str) -> None:
    """One command, shown as it runs and without a time limit: it must not be stopped halfway."""
    subprocess.run([sys.executable, "-m", "imgpipe_cli", *arguments], check=False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make live-clean", description=__doc__)
    parser.add_argument("--region", help="where make live ran (default: the region in force)")
    try:
        place = home(parser.parse_args().region)
    except NotAws as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Account {place.account}, region {place.region}: what is named {PREFIX}... goes.")
    left = clean_up(place, imgpipe)
    print(f"Still there: {', '.join(left)}. Are they of another --region?" if left else "Nothing is left.")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
