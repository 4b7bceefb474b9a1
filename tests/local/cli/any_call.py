"""Any operation of AWS, with the fewest parameters that it takes: to ask whether somebody may send it."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError
from botocore.model import Shape, StructureShape

from imgpipe_cli.aws.names import INDEX, STAGE, Names

DENIED = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "403")
API = "abcdef1234"
_SAMPLES: dict[str, Any] = {
    "integer": 1,
    "long": 1,
    "float": 1.0,
    "double": 1.0,
    "boolean": False,
    "blob": b"x",
    "map": {},
    "timestamp": 0,
}


def of(names: Names, *, results: bool = False, function: str = "ingest") -> dict[str, Any]:
    """The resources of a pipeline by the names that parameters have. results: its other bucket."""
    return {
        "Bucket": names.results_bucket if results else names.bucket,
        "TableName": names.table,
        "FunctionName": names.function(function),
        "RoleName": names.role(function),
        "QueueName": names.queue,
        "QueueUrl": f"http://127.0.0.1/{names.account}/{names.queue}",
        "logGroupName": names.log_group(function),
        "resourceArn": names.log_group_arn(names.log_group(function)),
        "Name": names.token_parameter,
        "ResourceType": "Parameter",
        "ResourceId": names.token_parameter,
        "ResourceArn": names.table_arn,
        "IndexName": INDEX,
        "ApiId": API,
        "StageName": STAGE,
        "Resource": names.function_arn(function),
    }


def least(client: Any, operation: str, known: dict[str, Any]) -> dict[str, Any]:
    """The required parameters of an operation: the known ones where it has them, else anything."""
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
    shape = model.input_shape
    return {} if shape is None else _required(shape, known)


def _required(shape: StructureShape, known: dict[str, Any]) -> dict[str, Any]:
    return {name: known.get(name, _any(shape.members[name])) for name in shape.required_members}


def _any(shape: Shape) -> Any:
    if isinstance(shape, StructureShape):
        return _required(shape, {})
    if shape.type_name == "list":
        return [_any(shape.member)]  # type: ignore[attr-defined]  # a list shape has it
    if shape.type_name == "string":
        return "x" * int(shape.metadata.get("min", 1) or 1)
    return _SAMPLES[shape.type_name]


def answer(client: Any, operation: str, known: dict[str, Any], **more: Any) -> str:
    """ "denied", or the error's code, or "done"."""
    try:
        getattr(client, operation)(**least(client, operation, known) | more)
    except ClientError as error:
        code = str(error.response["Error"]["Code"])
        return "denied" if code in DENIED else code
    return "done"
