"""Each function's role, tried by the function's real code: everything it allows is needed, nothing else is.

Each pipeline of these tests has no trigger, so that only these tests run its functions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from imgpipe_cli.aws.names import FAILED_INDEX, FUNCTIONS, INDEX, Names
from imgpipe_cli.pictures.api import Api
from imgpipe_cli.session.settings import Settings
from tests.local.cli import any_call
from tests.local.cli.function_jobs import Site, without
from tests.support.machine import Machine, client

FEATURES = "labels,moderation,faces,text,properties"
DETECT = ("DetectFaces", "DetectLabels", "DetectModerationLabels", "DetectText")
STORES = ("table", "s3")

# (statement, action) -> what of the function's work fails without it, by a name of function_jobs.py.
INGEST = {
    ("ReadPictures", "s3:GetObject"): "analyzed_without_version",
    ("ReadPictures", "s3:GetObjectVersion"): "analyzed",
    ("TellMissingFromDenied", "s3:ListBucketVersions"): "told_gone",
    **{("AnalyzePictures", f"rekognition:{operation}"): "analyzed" for operation in DETECT},
    **{("AskOnceAndCount", f"dynamodb:{one}"): "analyzed" for one in ("GetItem", "PutItem", "UpdateItem")},
    ("IndexResults", "dynamodb:BatchWriteItem"): "analyzed",
    ("AskOnceAndCount", "dynamodb:Query"): "analyzed",
    ("AskOnceAndCount", "dynamodb:BatchGetItem"): "reused",
    ("AskOnceAndCount", "dynamodb:DeleteItem"): "ended",
}
WEB = {
    ("ShowPictures", "s3:GetObject"): "shown_without_version",
    ("ShowPictures", "s3:GetObjectVersion"): "shown",
    ("SignUploads", "s3:PutObject"): "uploaded",
    ("FindPictures", "dynamodb:GetItem"): "counted",
    ("FindPictures", "dynamodb:Query"): "found",
}
NEEDED: dict[tuple[str, str], dict[tuple[str, str], str]] = {
    ("ingest", "table"): {
        **INGEST,
        ("StoreResults", "dynamodb:GetItem"): "analyzed",
        ("StoreResults", "dynamodb:PutItem"): "analyzed",
    },
    ("ingest", "s3"): {
        **INGEST,
        ("ReadResultObjects", "s3:GetObject"): "analyzed",
        ("StoreResultObjects", "s3:PutObject"): "analyzed",
        ("KeepIndexObjects", "s3:PutObject"): "analyzed",
        ("KeepIndexObjects", "s3:DeleteObject"): "renewed",
    },
    ("get_result", "table"): {("ReadResults", "dynamodb:GetItem"): "read"},
    ("get_result", "s3"): {("ReadResultObjects", "s3:GetObject"): "read"},
    ("web", "table"): {
        **WEB,
        ("ListResults", "dynamodb:Query"): "listed",
        ("ReadResults", "dynamodb:BatchGetItem"): "listed",
        ("ReadResults", "dynamodb:GetItem"): "linked",
    },
    ("web", "s3"): {
        **WEB,
        ("ReadResultObjects", "s3:GetObject"): "listed",
        ("ListResultObjects", "s3:ListBucket"): "listed",
    },
}
# Work besides. A removal needs what other work needs, too. S3 says "not there" only to a role that may list
# the bucket and "denied" to any other; the local cloud says "not there" to all.
BESIDES = {"ingest": ["removed", "told_gone"], "get_result": ["told_missing"], "web": ["told_missing"]}
LOGS = ("logs:CreateLogStream", "logs:PutLogEvents")


def not_checked_here(names: Names, function: str, store: str) -> dict[tuple[str, str], str]:
    """What the local cloud does itself, in nobody's name, or without asking: (statement, action) -> ARN."""
    group = f"/aws/lambda/{names.project}-{function.replace('_', '-')}"
    results = f"arn:aws:s3:::{names.project}-results-000000000000-us-east-1-an"
    uploads = f"arn:aws:s3:::{names.project}-uploads-000000000000-us-east-1-an"
    queue = f"arn:aws:sqs:us-east-1:000000000000:{names.project}-failed"
    found = {("WriteLogs", one): f"arn:aws:logs:us-east-1:000000000000:log-group:{group}:*" for one in LOGS}
    if function == "ingest":
        found["KeepFailedEvents", "sqs:SendMessage"] = queue
        found["TellMissingFromDenied", "s3:ListBucket"] = uploads
    if function == "ingest" and store == "s3":
        found["StoreResultObjects", "s3:PutObjectTagging"] = f"{results}/results/*"
    if function != "web" and store == "s3":
        found["ListResultObjects", "s3:ListBucket"] = results
    return found


@pytest.fixture(scope="module")
def sites(machine: Machine) -> Iterator[dict[str, Site]]:
    """A private pipeline for each store."""
    found: dict[str, Site] = {}
    for store in STORES:
        project = f"rights-{store}"
        of = ("--local", "--project", project)
        up = machine.imgpipe(
            "up", *of, "--features", FEATURES, "--private", "--results", store, "--no-models", "--json"
        )
        names = Names(project, "000000000000", "us-east-1")
        ssm = machine.client("ssm")
        settings = Settings.from_json(ssm.get_parameter(Name=names.settings_parameter)["Parameter"]["Value"])
        token = machine.imgpipe("token", *of).out.strip()
        machine.client("s3").put_bucket_notification_configuration(
            Bucket=names.bucket, NotificationConfiguration={}
        )
        if store == "table":
            # Of a bucket that is not there, the local cloud says so without looking at rights.
            machine.client("s3").create_bucket(Bucket=names.results_bucket)
        found[store] = Site(machine, names, settings, Api(up.json()["data"]["apiUrl"], token), token)
    yield found
    for store in STORES:
        machine.imgpipe("down", "--local", "--project", f"rights-{store}", "--yes", code=None)


@pytest.fixture
def site(sites: dict[str, Site], store: str) -> Iterator[Site]:
    """With all roles exactly as `up` makes them, before and after the test."""
    found = sites[store]
    for function in FUNCTIONS:
        found.allow(function, found.policy(function))
    yield found
    for function in FUNCTIONS:
        found.allow(function, found.policy(function))


CASES = [
    (function, store, statement, action)
    for (function, store), needed in NEEDED.items()
    for statement, action in needed
]
PAIRS = [(function, store) for store in STORES for function in FUNCTIONS]


def jobs(function: str, store: str) -> list[str]:
    return sorted({*NEEDED[function, store].values(), *BESIDES[function]})


@pytest.mark.parametrize(("function", "store"), PAIRS)
def test_everything_that_a_function_does_is_allowed(site: Site, function: str, store: str) -> None:
    done = {job: getattr(site, job)() for job in jobs(function, store)}
    assert done == dict.fromkeys(done, True)


@pytest.mark.parametrize(("function", "store"), PAIRS)
@pytest.mark.parametrize("move", ["copy", "switch"])
def test_it_is_also_while_results_move_between_the_stores(
    site: Site, function: str, store: str, move: str
) -> None:
    site.allow(function, site.policy(function, replace(site.settings, move=move)))
    done = {job: getattr(site, job)() for job in jobs(function, store)}
    assert done == dict.fromkeys(done, True)


@pytest.mark.parametrize(("function", "store", "statement", "action"), CASES)
def test_without_one_action_of_one_statement_something_fails(
    site: Site, function: str, store: str, statement: str, action: str
) -> None:
    site.allow(function, without(site.policy(function), statement, action))
    assert getattr(site, NEEDED[function, store][statement, action])() is False


@pytest.mark.parametrize(("function", "store"), PAIRS)
def test_every_statement_is_tried_or_listed_as_what_only_aws_checks(
    site: Site, function: str, store: str
) -> None:
    policy = site.policy(function)
    arns = {(one["Sid"], action): one["Resource"] for one in policy["Statement"] for action in one["Action"]}
    unproven = {pair: arn for pair, arn in arns.items() if pair not in NEEDED[function, store]}
    assert unproven == not_checked_here(site.names, function, store)
    assert set(NEEDED[function, store]) <= set(arns)


# --- nothing beside it -----------------------------------------------------------------------------

# Call -> the parameters that name what it is about; each is tried on the pipeline itself and on others.
TRIED = {
    "s3": "get_object put_object delete_object get_object_tagging put_object_tagging get_object_acl "
    "list_objects_v2 list_object_versions list_multipart_uploads get_bucket_policy put_bucket_policy "
    "delete_bucket put_bucket_notification_configuration put_bucket_acl",
    "dynamodb": "get_item put_item delete_item update_item query scan batch_get_item batch_write_item "
    "describe_table update_table delete_table",
    "rekognition": "detect_labels detect_faces detect_text detect_moderation_labels "
    "detect_protective_equipment recognize_celebrities compare_faces",
    "ssm": "get_parameter put_parameter delete_parameter",
    "sqs": "receive_message delete_message purge_queue delete_queue",
    "lambda": "invoke get_function update_function_code delete_function add_permission",
    "logs": "create_log_group delete_log_group filter_log_events put_retention_policy",
    "iam": "get_role put_role_policy create_user create_access_key list_roles",
    "sts": "assume_role",
}
PLACES = ("cat.jpg", "web/x", "results/x", "index/x", "fails/x")
MAY_READ = {"get_object"}
DATABASE = {
    "ingest": {"get_item", "put_item"},
    "get_result": {"get_item"},
    "web": {"get_item", "batch_get_item", "query by-time", "query failed"},
}
# In the table by which pictures are found.
ON_INDEX = {
    "ingest": {
        *(f"{what}_item" for what in ("get", "put", "update", "delete", "batch_get", "batch_write")),
        "query",
    },
    "get_result": set[str](),
    "web": {"get_item", "query"},
}


def may(function: str, store: str) -> set[str]:
    """The calls on the pipeline's own resources that the role allows, as `tries` names them."""
    found = {
        "ingest": {
            *(f"uploads get_object {place}" for place in PLACES),
            "uploads list_objects_v2",
            "uploads list_object_versions",
        },
        "get_result": set[str](),
        "web": {f"uploads get_object {place}" for place in PLACES} | {"uploads put_object web/x"},
    }[function]
    if function == "ingest":
        found |= {f"detect_{what}" for what in ("labels", "faces", "text", "moderation_labels")}
    found |= {f"index {operation}" for operation in ON_INDEX[function]}
    if store == "table":
        return found | DATABASE[function]
    found |= {"results get_object results/x", "results list_objects_v2"}
    if function == "ingest":
        found |= {f"results put_object {place}" for place in ("results/x", "index/x", "fails/x")}
        found |= {f"results delete_object {place}" for place in ("index/x", "fails/x")}
        found |= {"results put_object_tagging results/x"}
    return found


def tries(names: Names, clients: dict[str, Any]) -> dict[str, str]:
    """What comes of each call on that pipeline's resources."""
    found: dict[str, str] = {}
    for service, operations in TRIED.items():
        for operation in operations.split():
            for label, known, more in _targets(service, operation, names):
                found[label] = any_call.answer(clients[service], operation, known, **more)
    return found


def _targets(service: str, operation: str, names: Names) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    known = any_call.of(names)
    if service == "dynamodb":
        of_index = _on_table(operation, names.index_table, names)
        return [
            *_on_table(operation, names.table, names),
            *((f"index {label}", known, more) for label, known, more in of_index),
        ]
    if service != "s3":
        return [(operation, known, {})]
    buckets = {"uploads": any_call.of(names), "results": any_call.of(names, results=True)}
    if "object" in operation and not operation.startswith("list"):
        return [
            (f"{which} {operation} {place}", known | {"Key": place}, {})
            for which, known in buckets.items()
            for place in PLACES
        ]
    return [(f"{which} {operation}", known, {}) for which, known in buckets.items()]


def _on_table(operation: str, table: str, names: Names) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    known, key = any_call.of(names) | {"TableName": table}, {"x": {"S": "x"}}
    if operation == "batch_get_item":
        return [(operation, known | {"RequestItems": {table: {"Keys": [key]}}}, {})]
    if operation == "batch_write_item":
        return [(operation, known | {"RequestItems": {table: [{"DeleteRequest": {"Key": key}}]}}, {})]
    if operation == "query":
        more = {"TableName": table, "KeyConditionExpression": "x = x"}
        by_index = [(f"query {one}", known, {**more, "IndexName": one}) for one in (INDEX, FAILED_INDEX)]
        return [("query", known, more), *(by_index if table == names.table else ())]
    return [(operation, known, {})]


@pytest.fixture
def acting(site: Site, function: str) -> Iterator[dict[str, Any]]:
    """Clients of somebody who may do exactly what the function's role may."""
    iam, user = site.machine.client("iam"), {"UserName": f"like-{site.names.function(function)}"}
    iam.create_user(**user)
    policy = json.dumps(site.policy(function))
    iam.put_user_policy(**user, PolicyName="exactly", PolicyDocument=policy)
    key = iam.create_access_key(**user)["AccessKey"]
    endpoint = site.machine.cloud().endpoint
    yield {
        service: client(service, endpoint, key["AccessKeyId"], key["SecretAccessKey"]) for service in TRIED
    }
    iam.delete_access_key(**user, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(**user, PolicyName="exactly")
    iam.delete_user(**user)


@pytest.mark.parametrize(("function", "store"), PAIRS)
def test_exactly_its_own_is_within_reach(
    site: Site, acting: dict[str, Any], function: str, store: str
) -> None:
    found = tries(site.names, acting)
    assert {label for label, answer in found.items() if answer != "denied"} == may(function, store)


@pytest.mark.parametrize(("function", "store"), PAIRS)
def test_nothing_of_the_neighbours_is(
    sites: dict[str, Site], site: Site, acting: dict[str, Any], function: str, store: str
) -> None:
    other = sites["s3" if store == "table" else "table"]
    found = tries(other.names, acting)
    # Rekognition has no resources; what it may not read of others is in test_cli_roles.py.
    open_ = {label for label, answer in found.items() if answer != "denied"}
    assert open_ == {label for label in may(function, store) if label.startswith("detect_")}
