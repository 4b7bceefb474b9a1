"""On what the person who runs imgpipe is allowed something: the resources of each statement of a policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from imgpipe_cli.aws.names import FUNCTIONS, INDEX, Names


def _log_groups(names: Names) -> list[str]:
    groups = [*(names.log_group(function) for function in FUNCTIONS), names.access_log_group]
    return [names.log_group_arn(group) for group in groups]


def _api_gateway(names: Names, path: str) -> str:
    """API Gateway's own ARNs have no account."""
    return f"arn:{names.partition}:apigateway:{names.region}::{path}"


@dataclass(frozen=True)
class Scope:
    """A set of resources that actions are allowed on together: one statement of the policy.

    name: the statement's id. why: why it is wider than the pipeline, "" where it is not.
    """

    name: str
    arns: Callable[[Names], list[str]]
    why: str = ""
    passed_to: str = ""

    def statement(self, names: Names, actions: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {
            "Sid": self.name,
            "Effect": "Allow",
            "Action": sorted(actions),
            "Resource": sorted(self.arns(names)),
        }
        if self.passed_to:
            found["Condition"] = {"StringEquals": {"iam:PassedToService": self.passed_to}}
        return found


UPLOADS = Scope("UploadBucket", lambda n: [n.bucket_arn])
RESULTS = Scope("ResultsBucket", lambda n: [n.results_bucket_arn])
BUCKETS = Scope("Buckets", lambda n: [n.bucket_arn, n.results_bucket_arn])
PICTURES = Scope("Pictures", lambda n: [f"{n.bucket_arn}/*"])
STORED = Scope("StoredResults", lambda n: [f"{n.results_bucket_arn}/*"])
OBJECTS = Scope("Objects", lambda n: [f"{n.bucket_arn}/*", f"{n.results_bucket_arn}/*"])
TABLES = Scope("Tables", lambda n: [n.table_arn, n.index_table_arn])
INDEX_TABLE = Scope("IndexTable", lambda n: [n.index_table_arn])
TABLE_INDEX = Scope("TableIndex", lambda n: [f"{n.table_arn}/index/{INDEX}"])
QUEUE = Scope("FailureQueue", lambda n: [n.queue_arn])
PARAMETERS = Scope(
    "Parameters", lambda n: [n.parameter_arn(n.settings_parameter), n.parameter_arn(n.token_parameter)]
)
TOKEN = Scope("Token", lambda n: [n.parameter_arn(n.token_parameter)])
ROLES = Scope("Roles", lambda n: [n.role_arn(f) for f in FUNCTIONS])
_LAMBDA = "lambda.amazonaws.com"
PASSED = Scope("PassRoles", lambda n: [n.role_arn(f) for f in FUNCTIONS], passed_to=_LAMBDA)
FUNCTION = Scope("Functions", lambda n: [n.function_arn(f) for f in FUNCTIONS])
# Those that check the access token (steps/result_functions.py).
TOKEN_HOLDERS = ("get_result", "web")
HOLDERS = Scope("TokenFunctions", lambda n: [n.function_arn(f) for f in TOKEN_HOLDERS])
HOLDERS_ROLES = Scope("TokenRoles", lambda n: [n.role_arn(f) for f in TOKEN_HOLDERS])
HOLDERS_PASSED = Scope("PassTokenRoles", lambda n: [n.role_arn(f) for f in TOKEN_HOLDERS], passed_to=_LAMBDA)
INGEST = Scope("IngestFunction", lambda n: [n.function_arn("ingest")])
# IAM wants the ARN of a log group with `:*`, but without it for its tags (Logs API model, LogGroup.arn).
LOG_GROUPS = Scope("LogGroups", lambda n: [f"{arn}:*" for arn in _log_groups(n)])
LOG_GROUP_TAGS = Scope("LogGroupTags", _log_groups)
FUNCTION_LOGS = Scope("FunctionLogs", lambda n: [f"{n.log_group_arn(n.log_group(f))}:*" for f in FUNCTIONS])
# explain/evidence.py: of the page's function nothing is told about a picture.
EVIDENCE_LOGS = Scope(
    "EvidenceLogs", lambda n: [f"{n.log_group_arn(n.log_group(f))}:*" for f in ("ingest", "get_result")]
)
APIS = Scope(
    "Apis",
    lambda n: [_api_gateway(n, "/apis"), _api_gateway(n, "/apis/*")],
    why="the id of an API is random and its ARN has neither name nor account",
)
API_LIST = Scope("ApiList", lambda n: [_api_gateway(n, "/apis")])
API_TAGS = Scope(
    "ApiTags",
    # As AWS's refusals name it: the ARN of the APIs, encoded.
    lambda n: [_api_gateway(n, f"/tags/{quote(_api_gateway(n, '/v2/apis/'), safe='')}*")],
    why="the tags' path holds the random id of the API",
)
# The developer guide of API Gateway: made with the account's first API. The ARN names the service; a
# condition would only name it once more, and IAM counts characters.
GATEWAY_ROLE = Scope(
    "ApiGatewayRole",
    lambda n: [
        f"arn:{n.partition}:iam::{n.account}:role/aws-service-role/ops.apigateway.amazonaws.com/"
        "AWSServiceRoleForAPIGateway"
    ],
    why="API Gateway has one role in an account, for all APIs",
)
ACCOUNT = Scope("Account", lambda _: ["*"], why="limits are the account's, and AWS has no resource for them")
ANY_LOGS = Scope("AnyLogs", lambda _: ["*"], why="Logs knows no resources for these actions")
