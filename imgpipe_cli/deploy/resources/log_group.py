"""A log group with retention: one for each function, and one for the access logs of the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.iam.scopes import ANY_LOGS, LOG_GROUP_TAGS, LOG_GROUPS
from imgpipe_cli.aws.iam.uses import DOWN, LOOK, UP, Op, uses
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import (
    Call,
    Change,
    Context,
    Observed,
    Resource,
    TransientError,
    indeterminate,
)

RETENTION_DAYS = 14
_LOGS_BUSY = (
    TransientError("OperationAbortedException", why="CloudWatch Logs is still working on another change"),
)


class LogGroup(Resource):
    """A log group with retention, made before the first line is written: Lambda's own would never expire."""

    iam = (
        *uses(LOOK, ANY_LOGS, "logs.describe_log_groups"),
        *uses(LOOK, LOG_GROUP_TAGS, "logs.list_tags_for_resource"),
        *uses(UP, LOG_GROUPS, Op("logs.create_log_group", also=((LOG_GROUP_TAGS, "logs:TagResource"),))),
        *uses(UP, LOG_GROUPS, "logs.put_retention_policy"),
        *uses(DOWN, LOG_GROUPS, "logs.delete_log_group"),
    )
    needs = ("settings",)

    def __init__(self, name: str, title: str, group: Callable[[Names], str]) -> None:
        self.name = name
        self.title = title
        self._group = group

    def observe(self, aws: Aws, names: Names) -> Observed:
        group = self._group(names)
        found = aws.together(
            {
                "groups": lambda: aws.call("logs", "describe_log_groups", logGroupNamePrefix=group),
                "tags": lambda: aws.find(
                    "logs",
                    "list_tags_for_resource",
                    resourceArn=names.log_group_arn(group),
                ),
            }
        )
        for entry in found["groups"]["logGroups"]:
            if entry["logGroupName"] == group:
                facts = {"retention": entry.get("retentionInDays")}
                if found["tags"] is None:
                    return indeterminate(facts)
                tags = found["tags"].get("tags", {})
                return Observed(exists=True, owned=names.owns(tags), facts=facts, tags=tags)
        return Observed(exists=False, facts={"retention": None})

    def diff(self, context: Context) -> Iterator[Change]:
        group = self._group(context.names)
        if not context.observed.exists:
            call = Call(
                "logs", "create_log_group", {"logGroupName": group, "tags": context.names.tags}, _LOGS_BUSY
            )
            yield Change("create", f"log group {group}", call)
        if context.observed.facts["retention"] != RETENTION_DAYS:
            params = {"logGroupName": group, "retentionInDays": RETENTION_DAYS}
            call = Call("logs", "put_retention_policy", params, _LOGS_BUSY)
            yield Change("set", f"retention of log group {group} to {RETENTION_DAYS} days", call)

    def answered(
        self, _aws: Aws, context: Context, change: Change, _answer: Mapping[str, Any]
    ) -> Observed | None:
        observed, params = context.observed, change.call.params
        if change.call.label == "logs.create_log_group":
            return Observed(exists=True, facts={"retention": None}, tags=params["tags"])
        return replace(observed, facts={"retention": params["retentionInDays"]})

    def removals(self, context: Context) -> Iterator[Change]:
        group = self._group(context.names)
        call = Call("logs", "delete_log_group", {"logGroupName": group}, _LOGS_BUSY)
        yield Change("delete", f"log group {group}", call)
