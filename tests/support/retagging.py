"""Other tags for what has one of our names, as if somebody else had made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.support.account import NAMES

Client = Callable[[str], Any]
_OURS = list(NAMES.tags)


def retag(client: Client, service: str, where: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    """One thing. where: the parameters that name it in the service's own calls, such as its removal."""
    _BY_SERVICE.get(service, _retag_by_arn)(client(service), where, tags)


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _parameter(ssm: Any, where: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    named = {"ResourceType": "Parameter", "ResourceId": where["Name"]}
    ssm.remove_tags_from_resource(**named, TagKeys=_OURS)
    ssm.add_tags_to_resource(**named, Tags=_pairs(tags))


def _bucket(s3: Any, where: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    if tags:
        s3.put_bucket_tagging(Bucket=where["Bucket"], Tagging={"TagSet": _pairs(tags)})
    else:
        s3.delete_bucket_tagging(Bucket=where["Bucket"])


def _role(iam: Any, where: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    iam.untag_role(RoleName=where["RoleName"], TagKeys=_OURS)
    iam.tag_role(RoleName=where["RoleName"], Tags=_pairs(tags))


def _queue(sqs: Any, where: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    sqs.untag_queue(QueueUrl=where["QueueUrl"], TagKeys=_OURS)
    if tags:
        sqs.tag_queue(QueueUrl=where["QueueUrl"], Tags=tags)


# Services that do not tag by ARN. The others have TagResource, each with parameter names of its own.
_BY_SERVICE: Mapping[str, Callable[[Any, Mapping[str, Any], Mapping[str, str]], None]] = {
    "ssm": _parameter,
    "s3": _bucket,
    "iam": _role,
    "sqs": _queue,
}


def _retag_by_arn(client: Any, where: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    arn = _arn(where)
    untag, tag = (
        client.meta.service_model.operation_model(name).input_shape
        for name in ("UntagResource", "TagResource")
    )
    keys = next(name for name in untag.members if name.lower() == "tagkeys")
    resource = next(name for name in untag.required_members if name != keys)
    given = next(name for name in tag.members if name.lower() == "tags")
    client.untag_resource(**{resource: arn, keys: _OURS})
    is_list = tag.members[given].type_name == "list"
    client.tag_resource(**{resource: arn, given: _pairs(tags) if is_list else dict(tags)})


def _arn(where: Mapping[str, Any]) -> str:
    """Services of which a thing is named by its name, not by its ARN, make that of the name."""
    match where:
        case {"TableName": table}:
            return NAMES.table_arn.replace(NAMES.table, table)
        case {"FunctionName": function}:
            return NAMES.function_arn("web").replace(NAMES.function("web"), function)
        case {"logGroupName": group}:
            return NAMES.log_group_arn(group)
        case {"ApiId": api}:  # it has no account
            return f"arn:aws:apigateway:{NAMES.region}::/apis/{api}"
        case _:
            return str(next(value for key, value in where.items() if key.endswith("Arn")))
