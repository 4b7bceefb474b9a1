"""Every picture put into the bucket, or removed from it, calls the ingest function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.iam.scopes import UPLOADS
from imgpipe_cli.aws.iam.uses import LOOK, UP_AND_DOWN, uses
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import Call, Change, Context, Observed, Resource, TransientError
from imgpipe_cli.deploy.resources.s3_bucket import BUSY
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Verb

_ID = "imgpipe-ingest"
_EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
_KINDS = (
    "LambdaFunctionConfigurations",
    "QueueConfigurations",
    "TopicConfigurations",
    "EventBridgeConfiguration",
)
_TRANSIENT = (
    TransientError(
        "InvalidArgument",
        "Unable to validate the following destination configurations",
        "S3 does not see yet that it may call the functions of the notification",
        60,
        hint="If it never passes, another rule of the bucket names a function that is gone or that S3 may "
        "not call. Remove that rule in the S3 console (Properties, Event notifications), then run imgpipe "
        "up.",
    ),
    TransientError("NoSuchBucket", why="the new bucket is not visible everywhere yet"),
    BUSY,
)


class Notification(Resource):
    """One entry in the bucket's notification document; what others put there stays."""

    name = "notification"
    title = "the trigger, by which the bucket reports pictures to the ingest function,"
    iam = (
        *uses(LOOK, UPLOADS, "s3.get_bucket_notification_configuration"),
        *uses(UP_AND_DOWN, UPLOADS, "s3.put_bucket_notification_configuration"),
    )
    # Everything that the first event needs is there before the first event can come.
    needs = (
        "bucket",
        "permission.bucket",
        "function.ingest",
        "retries",
        "table",
        "results_bucket",
        "index_table",
    )
    needs_shown = ("function.ingest",)  # no event comes before it is Active
    parent = "bucket"

    def observe(self, aws: Aws, names: Names) -> Observed:
        found = aws.find(
            "s3",
            "get_bucket_notification_configuration",
            Bucket=names.bucket,
        )
        document = {kind: found[kind] for kind in _KINDS if kind in found} if found else {}
        owned = [entry for entry in document.get(_KINDS[0], []) if entry.get("Id") == _ID]
        return Observed(exists=bool(owned), facts={"document": document})

    def diff(self, context: Context) -> Iterator[Change]:
        names = context.names
        document = context.observed.facts["document"]
        wanted = {"Id": _ID, "LambdaFunctionArn": names.function_arn("ingest"), "Events": _EVENTS}
        functions = document.get(_KINDS[0], [])
        owned = [_normal(entry) for entry in functions if entry.get("Id") == _ID]
        if owned != [_normal(wanted)]:
            _refuse_overlap(document, names)
            merged = {**document, _KINDS[0]: [*_without_ours(functions), wanted]}
            yield _put("set" if not owned else "update", merged, names)

    def answered(
        self, _aws: Aws, _context: Context, change: Change, _answer: Mapping[str, Any]
    ) -> Observed | None:
        return Observed(exists=True, facts={"document": change.call.params["NotificationConfiguration"]})

    def removals(self, context: Context) -> Iterator[Change]:
        document = context.observed.facts["document"]
        rest = {**document, _KINDS[0]: _without_ours(document.get(_KINDS[0], []))}
        kept = {kind: value for kind, value in rest.items() if value != []}
        # Somebody else's destination that is gone by now must not keep ours from going.
        yield _put("remove", kept, context.names, SkipDestinationValidation=True)


def _put(verb: Verb, document: Mapping[str, Any], names: Names, **options: bool) -> Change:
    params = {"Bucket": names.bucket, "NotificationConfiguration": document, **options}
    call = Call("s3", "put_bucket_notification_configuration", params, _TRANSIENT)
    return Change(verb, f"notification of bucket {names.bucket}", call)


def _refuse_overlap(document: Mapping[str, Any], names: Names) -> None:
    """Raise a Problem if a rule of somebody else takes an event of ours: S3 gives each to one rule only."""
    others = [rule for kind in _KINDS[:3] for rule in _without_ours(document.get(kind, []))]
    starts = tuple(event.rstrip("*") for event in _EVENTS)
    for rule in others:
        taken = [event for event in rule["Events"] if event.startswith(starts)]
        if taken:
            target = next(str(value) for key, value in rule.items() if key.endswith("Arn"))
            raise Problem(
                "notification_overlaps",
                f"The bucket {names.bucket} already has a notification for {', '.join(taken)}: "
                f"rule {rule.get('Id', '?')} to {target}. S3 gives an event to one rule only.",
                hint="Remove that rule in the S3 console (Properties, Event notifications), then run imgpipe "
                "up. EventBridge may get the same events besides.",
            )


def _without_ours(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in entries if entry.get("Id") != _ID]


def _normal(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return (entry["LambdaFunctionArn"], sorted(entry["Events"]), entry.get("Filter") or None)
