"""A resource of a kind that no pipeline has, in one file, as CONTRIBUTING tells to add one: an SNS topic."""

from __future__ import annotations

from collections.abc import Iterator

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.iam.scopes import Scope
from imgpipe_cli.aws.iam.uses import DOWN, LOOK, UP, Op, uses
from imgpipe_cli.aws.names import Names, plain_tags
from imgpipe_cli.deploy.resource import MISSING, Call, Change, Context, Observed, Resource

_TITLE = "Failed pictures"


def _topic(names: Names) -> str:
    return f"{names.project}-alerts"


def _arn(names: Names) -> str:
    return f"arn:{names.partition}:sns:{names.region}:{names.account}:{_topic(names)}"


TOPIC = Scope("Topic", lambda names: [_arn(names)])


class Topic(Resource):
    """Where people would be told of pictures that failed."""

    name = "topic"
    title = "the topic"
    iam = (
        *uses(LOOK, TOPIC, "sns.get_topic_attributes", "sns.list_tags_for_resource"),
        *uses(UP, TOPIC, Op("sns.create_topic", also=("sns:TagResource",)), "sns.set_topic_attributes"),
        *uses(DOWN, TOPIC, "sns.delete_topic"),
    )
    needs = ("settings",)

    def observe(self, aws: Aws, names: Names) -> Observed:
        found = aws.together(
            {
                "topic": lambda: aws.find("sns", "get_topic_attributes", TopicArn=_arn(names)),
                "tags": lambda: aws.find("sns", "list_tags_for_resource", ResourceArn=_arn(names)),
            }
        )
        if found["topic"] is None or found["tags"] is None:
            return MISSING
        tags = plain_tags(found["tags"]["Tags"])
        title = found["topic"]["Attributes"].get("DisplayName")
        return Observed(exists=True, owned=names.owns(tags), tags=tags, facts={"title": title})

    def diff(self, context: Context) -> Iterator[Change]:
        names = context.names
        if not context.observed.exists:
            params = {"Name": _topic(names), "Tags": names.tag_list}
            yield Change("create", f"topic {_topic(names)}", Call("sns", "create_topic", params))
        if context.observed.facts.get("title") != _TITLE:
            params = {"TopicArn": _arn(names), "AttributeName": "DisplayName", "AttributeValue": _TITLE}
            yield Change(
                "set", f"title of topic {_topic(names)}", Call("sns", "set_topic_attributes", params)
            )

    def removals(self, context: Context) -> Iterator[Change]:
        call = Call("sns", "delete_topic", {"TopicArn": _arn(context.names)})
        yield Change("delete", f"topic {_topic(context.names)}", call)
