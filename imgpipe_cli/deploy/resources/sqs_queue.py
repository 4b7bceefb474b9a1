"""The queue of events that the ingest function could not finish."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.iam.scopes import QUEUE
from imgpipe_cli.aws.iam.uses import DOWN, LOOK, UP, Op, uses
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import MISSING, Call, Change, Context, Observed, Resource, TransientError
from imgpipe_cli.deploy.resources.external_access import external_access

_FOURTEEN_DAYS_S = 14 * 24 * 3600
# Far more than an event of S3's; and the most that SQS takes.
_SMALLEST_B, _LARGEST_B = 256 * 1024, 1024 * 1024
_DELETED = "SQS keeps the name of the removed queue for 60 s"
_QUEUE_TRANSIENT = (
    TransientError("AWS.SimpleQueueService.QueueDeletedRecently", why=_DELETED, limit_s=90),
    TransientError("QueueDeletedRecently", why=_DELETED, limit_s=90),
)


class FailureQueue(Resource):
    """Events whose every attempt failed wait here for 14 days."""

    name = "queue"
    title = "the failure queue"
    iam = (
        *uses(LOOK, QUEUE, "sqs.get_queue_url", "sqs.get_queue_attributes", "sqs.list_queue_tags"),
        *uses(UP, QUEUE, Op("sqs.create_queue", also=("sqs:TagQueue",)), "sqs.set_queue_attributes"),
        *uses(DOWN, QUEUE, "sqs.delete_queue"),
    )
    needs = ("settings",)

    def observe(self, aws: Aws, names: Names) -> Observed:
        found = aws.find("sqs", "get_queue_url", QueueName=names.queue)
        if found is None:
            return MISSING
        url = found["QueueUrl"]
        details = aws.together(
            {
                "attributes": lambda: aws.find(
                    "sqs",
                    "get_queue_attributes",
                    QueueUrl=url,
                    AttributeNames=["All"],
                ),
                "tags": lambda: aws.find("sqs", "list_queue_tags", QueueUrl=url),
            }
        )
        if details["attributes"] is None or details["tags"] is None:
            return MISSING
        attributes, tags = details["attributes"]["Attributes"], details["tags"].get("Tags", {})
        return Observed(
            exists=True,
            owned=names.owns(tags),
            tags=tags,
            facts={
                "url": url,
                "retention": int(attributes["MessageRetentionPeriod"]),
                # A key of the account's own is encryption too.
                "encrypted": attributes.get("SqsManagedSseEnabled", "true") == "true"
                or bool(attributes.get("KmsMasterKeyId")),
                "key": attributes.get("KmsMasterKeyId"),
                # What SQS takes by itself differs by the age of the queue.
                "small": int(attributes.get("MaximumMessageSize", _SMALLEST_B)) < _SMALLEST_B,
                "delay": int(attributes.get("DelaySeconds", 0)),
                "redrive": attributes.get("RedrivePolicy", ""),
                "policy": attributes.get("Policy", ""),
                "messages": int(attributes.get("ApproximateNumberOfMessages", 0)),
            },
        )

    def diff(self, context: Context) -> Iterator[Change]:
        observed, names = context.observed, context.names
        attributes = {"MessageRetentionPeriod": str(_FOURTEEN_DAYS_S)}
        if not observed.exists:
            params = {
                "QueueName": names.queue,
                "Attributes": {**attributes, "SqsManagedSseEnabled": "true"},
                "tags": names.tags,
            }
            call = Call("sqs", "create_queue", params, _QUEUE_TRANSIENT)
            yield Change("create", f"queue {names.queue}", call)
            return
        if observed.facts["retention"] != _FOURTEEN_DAYS_S:
            yield self._set("retention", attributes, observed, names)
        if not observed.facts["encrypted"]:
            yield self._set("encryption", {"SqsManagedSseEnabled": "true"}, observed, names)
        if observed.facts["small"]:
            yield self._set("message size", {"MaximumMessageSize": str(_LARGEST_B)}, observed, names)
        if observed.facts["delay"]:
            yield self._set("delay", {"DelaySeconds": "0"}, observed, names)
        if observed.facts["redrive"]:  # looked at a few times, an event would leave it
            yield self._set("redrive policy", {"RedrivePolicy": ""}, observed, names)

    def unmanaged_changes(self, _aws: Aws, names: Names, observed: Observed) -> Iterator[str]:
        if observed.exists and observed.facts["policy"]:
            for statement, who in external_access(json.loads(observed.facts["policy"]), names.account):
                yield f"statement {statement} lets {who} use queue {names.queue}"

    def _set(self, what: str, attributes: Mapping[str, str], observed: Observed, names: Names) -> Change:
        params = {"QueueUrl": observed.facts["url"], "Attributes": attributes}
        return Change("set", f"{what} of queue {names.queue}", Call("sqs", "set_queue_attributes", params))

    def removals(self, context: Context) -> Iterator[Change]:
        call = Call("sqs", "delete_queue", {"QueueUrl": context.observed.facts["url"]})
        yield Change("delete", f"queue {context.names.queue}", call)

    def contents(self, _aws: Aws, _names: Names, observed: Observed) -> Mapping[str, int]:
        return {"failed_events": observed.facts["messages"]}
