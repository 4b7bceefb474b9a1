"""The operations that commands send besides those of the resources, with what they need."""

from __future__ import annotations

from imgpipe_cli.aws.iam.scopes import (
    ACCOUNT,
    API_LIST,
    EVIDENCE_LOGS,
    FUNCTION_LOGS,
    INDEX_TABLE,
    INGEST,
    PARAMETERS,
    PICTURES,
    QUEUE,
    STORED,
    TABLES,
    UPLOADS,
)
from imgpipe_cli.aws.iam.uses import UP, Entry, Op, Use, uses

# They find out where the pipeline answers, on a machine that did not set it up.
_FIND = ("upload", "result", "list", "find", "labels", "export", "cost", "retry", "watch", "open", "token")
# They ask whether a picture is there, or still the same.
_ASK = ("upload", "result", "retry", "watch")
# Only with --purge.
_VERSIONS = ("s3:DeleteObjectVersion",)
_NO_QUOTA = "without it, up does not know Rekognition's limit and analyzes at most 20 pictures at once"
_NO_LIMIT = "without it, up does not see that a small account has grown, and reserves no concurrency there"

OWN: tuple[Use, ...] = (
    # AWS denies this one to nobody.
    Use("sts", "get_caller_identity", Entry(())),
    # Also where HeadObject finds nothing: S3 may show a new object late.
    *uses(_ASK, UPLOADS, "s3.list_object_versions"),
    *uses(("result", "explain", "retry"), UPLOADS, "s3.list_objects_v2"),
    *uses(_ASK, PICTURES, "s3.head_object"),
    # Without it S3 answers 403 for a picture that is not there (any more).
    *uses(_ASK, UPLOADS, Op("s3.head_object", action="s3:ListBucket")),
    *uses(("upload", "watch"), PICTURES, "s3.put_object"),
    # result --annotate.
    *uses(("result",), PICTURES, "s3.get_object"),
    *uses(("rm",), UPLOADS, "s3.list_objects_v2", "s3.list_object_versions"),
    *uses(("rm",), PICTURES, Op("s3.delete_object", _VERSIONS), Op("s3.delete_objects", _VERSIONS)),
    # A migration of results. The marks of removed pictures keep their tag.
    *uses(UP, STORED, "s3.get_object", Op("s3.put_object", also=("s3:PutObjectTagging",))),
    *uses(UP, TABLES, "dynamodb.scan", "dynamodb.get_item", "dynamodb.put_item"),
    *uses(UP, INDEX_TABLE, "dynamodb.batch_write_item", "dynamodb.delete_item"),
    *uses(_FIND, PARAMETERS, "ssm.get_parameter", "ssm.list_tags_for_resource"),
    *uses(_FIND, API_LIST, "apigatewayv2.get_apis"),
    *uses(("retry",), INGEST, "lambda.invoke"),
    *uses(("logs",), FUNCTION_LOGS, "logs.filter_log_events"),
    *uses(("explain",), EVIDENCE_LOGS, "logs.filter_log_events"),
    *uses(("retry",), QUEUE, "sqs.get_queue_url", "sqs.get_queue_attributes", "sqs.list_queue_tags"),
    *uses(("explain", "retry"), QUEUE, "sqs.receive_message", "sqs.change_message_visibility_batch"),
    *uses(("retry",), QUEUE, "sqs.delete_message_batch"),
    *uses(UP, ACCOUNT, Op("lambda.get_account_settings", optional=_NO_LIMIT)),
    *uses(
        UP,
        ACCOUNT,
        Op("service-quotas.list_service_quotas", optional=_NO_QUOTA),
        Op("service-quotas.list_aws_default_service_quotas", optional=_NO_QUOTA),
    ),
)
