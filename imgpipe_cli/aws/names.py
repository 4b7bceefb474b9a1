"""Every AWS name and ARN of a pipeline, derived from project, account and region and from nothing else.

Nothing here calls AWS. A name that AWS would refuse is refused here, before anything is created.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imgpipe_cli.errors import ExitCode, Problem

FUNCTIONS = ("ingest", "get_result", "web")
STAGE = "prod"
UPLOAD_PREFIX = "web/"  # where pictures sent from the page go; the page may write nowhere else
INDEX = "by-time"
FAILED_INDEX = "failed"

# 24 = the 63 characters of a bucket name less "-uploads-", account, the longest region and "-an".
PROJECT_MAX = 24
_PROJECT = re.compile(r"[a-z](?:[a-z0-9-]*[a-z0-9])?")
# S3 reserves these beginnings of bucket names.
_RESERVED_BEGINNINGS = ("xn--", "sthree-", "amzn-s3-demo-")
_BUCKET_MAX = 63


def check_project(project: str) -> str:
    """Return the name, or raise a usage Problem that says what a project's name may look like."""
    if not _PROJECT.fullmatch(project) or "--" in project:
        reason = "may hold lower-case letters, digits and single hyphens, and starts with a letter"
    elif len(project) > PROJECT_MAX:
        reason = f"has {len(project)} characters, at most {PROJECT_MAX} fit into the bucket's name"
    elif project.startswith(_RESERVED_BEGINNINGS):
        reason = "starts with letters that S3 reserves"
    else:
        return project
    raise Problem(
        "bad_project",
        f"The project name {project!r} {reason}.",
        hint="Choose another with --project, for example --project holiday-photos.",
        exit_code=ExitCode.USAGE,
    )


@dataclass(frozen=True)
class Names:
    """All names of one project in one account and region."""

    project: str
    account: str
    region: str
    partition: str = "aws"

    def __post_init__(self) -> None:
        check_project(self.project)
        if len(self.bucket) > _BUCKET_MAX:
            room = len(self.project) - (len(self.bucket) - _BUCKET_MAX)
            if room < 1:
                raise Problem(
                    "bad_region",
                    f"The region {self.region!r} is too long: no bucket's name has room for it.",
                    hint="Name a region such as eu-west-1 with --region.",
                    exit_code=ExitCode.USAGE,
                )
            raise Problem(
                "bad_project",
                f"The bucket name {self.bucket} has {len(self.bucket)} characters, S3 allows {_BUCKET_MAX}.",
                hint=f"Choose a project name of at most {room} characters here.",
                exit_code=ExitCode.USAGE,
            )

    # --- names ---------------------------------------------------------------------------------

    @property
    def bucket(self) -> str:
        """In the account-regional namespace, where nobody else can take the name."""
        return f"{self.project}-uploads-{self.account}-{self.region}-an"

    @property
    def results_bucket(self) -> str:
        """As long as the upload bucket's name, so what fits there fits here."""
        return f"{self.project}-results-{self.account}-{self.region}-an"

    @property
    def table(self) -> str:
        return f"{self.project}-results"

    @property
    def index_table(self) -> str:
        """Where pictures are found by what is in them, whichever store has the results."""
        return f"{self.project}-index"

    @property
    def queue(self) -> str:
        return f"{self.project}-failed"

    @property
    def api(self) -> str:
        return f"{self.project}-api"

    @property
    def access_log_group(self) -> str:
        """Groups under /aws/vendedlogs/ need no entry in the account's small Logs resource policy."""
        return f"/aws/vendedlogs/imgpipe/{self.project}-api"

    @property
    def settings_parameter(self) -> str:
        return f"/imgpipe/{self.project}/settings"

    @property
    def token_parameter(self) -> str:
        return f"/imgpipe/{self.project}/token"

    def function(self, function: str) -> str:
        return f"{self.project}-{function.replace('_', '-')}"

    def role(self, function: str) -> str:
        """IAM is global, so the region is part of the name: one project may live in two regions."""
        return f"{self.project}-{self.region}-{function.replace('_', '-')}"

    def log_group(self, function: str) -> str:
        return f"/aws/lambda/{self.function(function)}"

    # --- ARNs ----------------------------------------------------------------------------------

    def _arn(self, service: str, resource: str, *, region: str | None = None) -> str:
        where = self.region if region is None else region
        return f"arn:{self.partition}:{service}:{where}:{self.account}:{resource}"

    @property
    def bucket_arn(self) -> str:
        return f"arn:{self.partition}:s3:::{self.bucket}"

    @property
    def results_bucket_arn(self) -> str:
        return f"arn:{self.partition}:s3:::{self.results_bucket}"

    @property
    def table_arn(self) -> str:
        return self.dynamodb_arn(self.table)

    @property
    def index_table_arn(self) -> str:
        return self.dynamodb_arn(self.index_table)

    def dynamodb_arn(self, table: str) -> str:
        return self._arn("dynamodb", f"table/{table}")

    @property
    def queue_arn(self) -> str:
        return self._arn("sqs", self.queue)

    def function_arn(self, function: str) -> str:
        return self._arn("lambda", f"function:{self.function(function)}")

    def role_arn(self, function: str) -> str:
        return self._arn("iam", f"role/{self.role(function)}", region="")

    def log_group_arn(self, group: str) -> str:
        return self._arn("logs", f"log-group:{group}")

    def parameter_arn(self, parameter: str) -> str:
        return self._arn("ssm", f"parameter{parameter}")

    def api_route_arn(self, api_id: str, route: str) -> str:
        """The source ARN of an invocation, for example route `prod/GET/result`."""
        return self._arn("execute-api", f"{api_id}/{route}")

    # --- ownership -----------------------------------------------------------------------------

    @property
    def tags(self) -> dict[str, str]:
        return {"Project": self.project, "ManagedBy": "imgpipe"}

    @property
    def tag_list(self) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]

    def owns(self, tags: Mapping[str, str] | Sequence[Mapping[str, Any]]) -> bool:
        """True if these tags (a mapping, or AWS's list of Key and Value) carry both of ours exactly."""
        found = plain_tags(tags)
        return all(found.get(key) == value for key, value in self.tags.items())


def plain_tags(tags: Mapping[str, str] | Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Tags as key -> value, from a mapping or from AWS's list of Key and Value."""
    return dict(tags) if isinstance(tags, Mapping) else {tag["Key"]: tag["Value"] for tag in tags}
