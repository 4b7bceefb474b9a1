"""Nobody becomes on a real cloud who they have not proved to be, whatever the host, the spelling or the place
of a credential; and nobody does one call under the name of another."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from imgpipe_cli.local.process.running_cloud import LocalCloud
from tests.local.test_cloud_guard import ask, form

SERVICES = (
    *("apigateway", "dynamodb", "events", "iam", "kms", "lambda", "logs", "monitoring", "rekognition"),
    *(
        "s3",
        "sns",
        "sqs",
        "ssm",
        "streams.dynamodb",
        "sts",
        "tagging",
        "execute-api",
        "cloudfront",
        "cognito",
    ),
)
HOSTS = ("127.0.0.1", "localhost", *(f"{name}.localhost" for name in SERVICES))
REGIONAL = tuple(f"{name}.us-east-1.localhost" for name in SERVICES)
NEW_KEY = b"Action=CreateAccessKey&UserName=imgpipe-local-administrator&Version=2010-05-08"
AN_IDENTITY = b"Action=GetCallerIdentity&Version=2011-06-15"
MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}
URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}
TEXT = {"Content-Type": "text/plain"}
BUCKET = "callers-own"


@pytest.fixture(scope="module", autouse=True)
def bucket(stub_cloud: LocalCloud, connect: Callable[..., Any]) -> Any:
    s3 = connect(stub_cloud, "s3", signature="s3v4")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="a.jpg", Body=b"a")
    connect(stub_cloud, "ssm").put_parameter(Name="/callers/secret", Value="hidden", Type="SecureString")
    return s3


def refused(cloud: LocalCloud, *request: Any) -> bool:
    status, _, body = ask(cloud, *request)
    return 400 <= status < 500 and b"SecretAccessKey" not in body and b"hidden" not in body


@pytest.mark.parametrize("host", [*HOSTS, *REGIONAL])
@pytest.mark.parametrize("body", [NEW_KEY, AN_IDENTITY], ids=["CreateAccessKey", "GetCallerIdentity"])
def test_without_a_key_no_host_is_a_way_to_a_service(stub_cloud: LocalCloud, host: str, body: bytes) -> None:
    name = {"Host": f"{host}:{stub_cloud.endpoint.rpartition(':')[2]}"}
    for kind in (MULTIPART, URLENCODED, TEXT, {}):
        for path in ("/", "//", f"/{BUCKET}", "/iam", f"/?{body.decode()}"):
            for more in ({}, {"Authorization": "Bearer x"}, {"X-Amz-Target": "AmazonSSM.GetParameter"}):
                assert refused(stub_cloud, "POST", path, {**name, **kind, **more}, body), (path, kind, more)
    for path in ("/", "/2015-03-31/functions/", "/v2/apis", "/health", "/v2/", f"/?{body.decode()}"):
        assert refused(stub_cloud, "GET", path, name), path


def signing(cloud: LocalCloud, **changed: str) -> dict[str, str]:
    names = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{cloud.access_key_id}/20260101/us-east-1/s3/aws4_request",
        "X-Amz-Date": "20260101T000000Z",
        "X-Amz-Expires": "300",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": "0" * 64,
    }
    return {**names, **changed}


# What the holder of nothing but a key's id might write into the query, and into the Authorization header.
QUERIES: dict[str, Callable[[LocalCloud], dict[str, str]]] = {
    "none": lambda _cloud: {},
    "a bogus link": signing,
    "a bogus link in small letters": lambda cloud: {k.lower(): v for k, v in signing(cloud).items()},
    "a bogus link for any service": lambda cloud: signing(
        cloud, **{"X-Amz-Credential": f"{cloud.access_key_id}/20260101/us-east-1/iam/aws4_request"}
    ),
    "no signature": lambda cloud: {k: v for k, v in signing(cloud).items() if k != "X-Amz-Signature"},
    "another algorithm": lambda cloud: signing(cloud, **{"X-Amz-Algorithm": "AWS4-ECDSA-P256-SHA256"}),
    "the key in capitals": lambda cloud: {"X-AMZ-CREDENTIAL": cloud.access_key_id},
    "the key alone": lambda cloud: {"X-Amz-Credential": cloud.access_key_id},
    "the key of version 2": lambda cloud: {"AWSAccessKeyId": cloud.access_key_id},
    "version 2": lambda cloud: {
        "AWSAccessKeyId": cloud.access_key_id,
        "Signature": "x",
        "Expires": "9999999999",
    },
    "an account": lambda _cloud: {"X-Amz-Credential": "000000000000/20260101/us-east-1/s3/aws4_request"},
}
HEADERS: dict[str, Callable[[LocalCloud], dict[str, str]]] = {
    "none": lambda _cloud: {},
    "a bearer": lambda _cloud: {"Authorization": "Bearer x"},
    "version 2": lambda cloud: {"Authorization": f"AWS {cloud.access_key_id}:x"},
    "another algorithm": lambda cloud: {"Authorization": f"AWS4-FOO Credential={cloud.access_key_id}/x"},
    "half a signature": lambda cloud: header(f"{cloud.access_key_id}/"),
    "a guess": lambda cloud: {
        "X-Amz-Date": "20260101T000000Z",
        **header(f"{cloud.access_key_id}/20260101/us-east-1/ssm/aws4_request"),
    },
    "an empty key": lambda _cloud: header("/20260101/us-east-1/ssm/aws4_request"),
}


def header(credential: str) -> dict[str, str]:
    rest = f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, {rest}"}


JSON = {"Content-Type": "application/x-amz-json-1.0"}
A_SECRET = json.dumps({"Name": "/callers/secret", "WithDecryption": True}).encode()
CALLS: dict[str, tuple[str, str, dict[str, str], bytes]] = {
    "ssm": ("POST", "/", {**JSON, "X-Amz-Target": "AmazonSSM.GetParameter"}, A_SECRET),
    "dynamodb": ("POST", "/", {**JSON, "X-Amz-Target": "DynamoDB_20120810.ListTables"}, b"{}"),
    "lambda": ("GET", "/2015-03-31/functions/", {}, b""),
    "apigateway": ("GET", "/v2/apis", {}, b""),
    "iam by its host": ("POST", "/", {**TEXT, "Host": "iam.localhost"}, NEW_KEY),
    "iam": ("POST", "/", URLENCODED, NEW_KEY),
    "sts": ("POST", "/", {**URLENCODED, "Host": "sts.localhost"}, AN_IDENTITY),
    "buckets": ("GET", "/", {}, b""),
    "an object": ("GET", f"/{BUCKET}/a.jpg", {}, b""),
    "an object by its host": ("GET", "/a.jpg", {"Host": f"{BUCKET}.localhost"}, b""),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("query", QUERIES)
def test_to_know_a_keys_id_is_not_to_have_it(stub_cloud: LocalCloud, call: str, query: str) -> None:
    method, path, headers, body = CALLS[call]
    if "Host" in headers:
        headers = {**headers, "Host": f"{headers['Host']}:{stub_cloud.endpoint.rpartition(':')[2]}"}
    target = f"{path}?{urlencode(QUERIES[query](stub_cloud))}"
    for name, made in HEADERS.items():
        request = (method, target, {**headers, **made(stub_cloud)}, body or None)
        assert refused(stub_cloud, *request), name


@dataclass(frozen=True)
class User:
    """A user of the local cloud and the requests that it signs."""

    cloud: LocalCloud
    key: Credentials

    def signed(
        self, service: str, method: str, target: str, headers: dict[str, str], body: bytes = b""
    ) -> tuple[int, bytes]:
        request = AWSRequest(method, self.cloud.endpoint + target, headers, body)
        if service == "s3":
            request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
        SigV4Auth(self.key, service, "us-east-1").add_auth(request)
        status, _, answer = ask(self.cloud, method, target, dict(request.headers.items()), body)
        return status, answer


@pytest.fixture(scope="module")
def user(stub_cloud: LocalCloud, connect: Callable[..., Any]) -> Iterator[User]:
    """Who may list users and read one table and one bucket, and nothing else."""
    iam, name = connect(stub_cloud, "iam"), "reader"
    allowed = ("iam:ListUsers", "dynamodb:GetItem", "s3:GetObject", "sqs:SendMessage", "lambda:GetFunction")
    statement = {"Effect": "Allow", "Action": allowed, "Resource": "*"}
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="reads", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    connect(stub_cloud, "dynamodb").create_table(
        TableName="callers",
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    iam.create_role(RoleName="callers", AssumeRolePolicyDocument="{}")
    connect(stub_cloud, "sqs").create_queue(QueueName="callers")
    yield User(stub_cloud, Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
    iam.delete_user_policy(UserName=name, PolicyName="reads")
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=name)


def test_what_the_user_may_passes(user: User) -> None:
    assert user.signed("iam", "POST", "/", URLENCODED, b"Action=ListUsers&Version=2010-05-08")[0] == 200
    read = json.dumps({"TableName": "callers", "Key": {"key": {"S": "k"}}}).encode()
    target = {**JSON, "X-Amz-Target": "DynamoDB_20120810.GetItem"}
    assert user.signed("dynamodb", "POST", "/", target, read)[0] == 200
    assert user.signed("s3", "GET", f"/{BUCKET}/a.jpg", {})[0] == 200
    assert user.signed("sts", "POST", "/", URLENCODED, AN_IDENTITY)[0] == 200


ASSUME = (
    b"Action=AssumeRole&RoleArn=arn:aws:iam::000000000000:role/callers&RoleSessionName=x&Version=2011-06-15"
)
A_QUEUE = b"QueueUrl=&QueueName=new&Action=CreateQueue&Version=2012-11-05"
# What is signed rightly, and names a call that is allowed beside the one that it makes.
DISGUISED: dict[str, tuple[str, str, str, dict[str, str], bytes]] = {
    "iam as text": ("iam", "POST", "/", TEXT, NEW_KEY),
    "iam as nothing": ("iam", "POST", "/", {}, NEW_KEY),
    "iam as a form": ("iam", "POST", "/", MULTIPART, NEW_KEY),
    "iam, another in the query": ("iam", "POST", "/?Action=ListUsers", URLENCODED, NEW_KEY),
    "iam, another in front": ("iam", "POST", "/", URLENCODED, b"Action=ListUsers&" + NEW_KEY),
    "iam, another as target": ("iam", "POST", "/", {**TEXT, "X-Amz-Target": "IAM.ListUsers"}, NEW_KEY),
    "sts, another in the query": ("sts", "POST", "/?Action=GetCallerIdentity", TEXT, ASSUME),
    "dynamodb, another in the query": (
        *("dynamodb", "POST", "/?Action=GetItem"),
        {**JSON, "X-Amz-Target": "DynamoDB_20120810.DeleteTable"},
        b'{"TableName": "callers"}',
    ),
    "dynamodb for another service": (
        *("s3", "POST", "/"),
        {**JSON, "X-Amz-Target": "DynamoDB_20120810.GetItem"},
        b'{"TableName": "callers", "Key": {"key": {"S": "k"}}}',
    ),
    "sqs, another as target": (
        *("sqs", "POST", "/"),
        {**JSON, "X-Amz-Target": "AmazonSQSx.SendMessage"},
        A_QUEUE,
    ),
    "s3, another in the query": ("s3", "DELETE", f"/{BUCKET}/a.jpg?Action=GetObject", {}, b""),
    "s3, another in a form": ("s3", "PUT", f"/{BUCKET}/a.jpg", URLENCODED, b"Action=GetObject"),
    "s3, another as target": ("s3", "DELETE", f"/{BUCKET}/a.jpg", {"X-Amz-Target": "S3.GetObject"}, b""),
    "lambda, another in a form": (
        *("lambda", "POST", "/2015-03-31/functions/x/invocations"),
        *(URLENCODED, b"Action=GetFunction"),
    ),
    "lambda, another in a packed form": (
        *("lambda", "POST", "/2015-03-31/functions/x/invocations"),
        *({**URLENCODED, "Content-Encoding": "gzip"}, gzip.compress(b"Action=GetFunction")),
    ),
    "s3, another in chunks": (
        *("s3", "PUT", f"/{BUCKET}/a.jpg"),
        *({**URLENCODED, "Content-Encoding": "aws-chunked"}, b"10\r\nAction=GetObject\r\n0\r\n\r\n"),
    ),
    "s3, another behind the chunks": (
        *("s3", "PUT", f"/{BUCKET}/a.jpg", {"Content-Encoding": "aws-chunked"}),
        b"10\r\nAction=GetObject\r\n0\r\ncontent-type: application/x-www-form-urlencoded\r\n\r\n",
    ),
    "no service of ours": ("ecr", "GET", "/v2/_catalog", {}, b""),
    "a call without an action": ("apigateway", "HEAD", "/v2/apis", {}, b""),
}


@pytest.mark.parametrize("name", DISGUISED)
def test_one_call_is_not_done_under_the_name_of_another(user: User, bucket: Any, name: str) -> None:
    status, answer = user.signed(*DISGUISED[name])
    assert (status, b"SecretAccessKey" in answer) == (403, False)
    assert bucket.get_object(Bucket=BUCKET, Key="a.jpg")["Body"].read() == b"a"


def test_nobody_signs_behind_the_body(stub_cloud: LocalCloud, connect: Callable[..., Any]) -> None:
    gateway = connect(stub_cloud, "apigatewayv2")
    api = gateway.create_api(Name="signed only", ProtocolType="HTTP")["ApiId"]
    integration = gateway.create_integration(
        ApiId=api,
        IntegrationType="AWS_PROXY",
        IntegrationUri="arn:aws:lambda:us-east-1:000000000000:function:none",
    )["IntegrationId"]
    target = f"integrations/{integration}"
    gateway.create_route(ApiId=api, RouteKey="$default", AuthorizationType="AWS_IAM", Target=target)
    gateway.create_stage(ApiId=api, StageName="prod", AutoDeploy=True)
    path = f"/_aws/execute-api/{api}/prod/x"
    administrator = User(stub_cloud, Credentials(stub_cloud.access_key_id, stub_cloud.secret_access_key))
    # It is let in, to a function that does not exist.
    assert administrator.signed("execute-api", "POST", path, {})[0] >= 500
    credential = f"{stub_cloud.access_key_id}/20260101/us-east-1/execute-api/aws4_request"
    behind = "".join(f"{name.lower()}: {value}\r\n" for name, value in header(credential).items())
    chunked = {"X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
    for more in ({}, chunked, {"Content-Encoding": "aws-chunked"}):
        assert ask(stub_cloud, "POST", path, more, f"0\r\n{behind}\r\n".encode())[0] == 403


def test_a_checksum_may_stand_behind_the_body(stub_cloud: LocalCloud, bucket: Any) -> None:
    administrator = User(stub_cloud, Credentials(stub_cloud.access_key_id, stub_cloud.secret_access_key))
    chunked = {"Content-Encoding": "aws-chunked", "X-Amz-Trailer": "x-amz-checksum-crc32"}
    for checksum, status in (("AAAAAA==", 400), ("usQqqQ==", 200)):
        body = f"4\r\nsent\r\n0\r\nx-amz-checksum-crc32: {checksum}\r\n\r\n".encode()
        assert administrator.signed("s3", "PUT", f"/{BUCKET}/sum.jpg", chunked, body)[0] == status


def test_a_signature_is_good_for_its_body_and_its_service(user: User) -> None:
    request = AWSRequest("GET", f"{user.cloud.endpoint}/{BUCKET}/a.jpg", {})
    request.headers["X-Amz-Content-SHA256"] = "0" * 64
    SigV4Auth(user.key, "s3", "us-east-1").add_auth(request)
    assert ask(user.cloud, "GET", f"/{BUCKET}/a.jpg", dict(request.headers.items()))[0] == 403
    token = Credentials(user.key.access_key, user.key.secret_key, "a token of nobody's")
    listing = ("iam", "POST", "/", URLENCODED, b"Action=ListUsers&Version=2010-05-08")
    assert User(user.cloud, token).signed(*listing)[0] == 403


def test_a_links_holder_cannot_add_to_what_was_signed(stub_cloud: LocalCloud, bucket: Any) -> None:
    url = urlsplit(bucket.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "copy.jpg"}))
    copied = {"X-Amz-Copy-Source": f"/{BUCKET}/a.jpg"}
    assert ask(stub_cloud, "PUT", f"{url.path}?{url.query}", copied)[0] == 403
    for more in ("&X-Amz-Security-Token=x", "&uploads", "&acl"):
        assert ask(stub_cloud, "PUT", f"{url.path}?{url.query}{more}", body=b"x")[0] in (400, 403)
    assert ask(stub_cloud, "PUT", f"{url.path}?{url.query}", body=b"x")[0] == 200


def test_a_form_goes_to_the_bucket_that_its_host_names(
    stub_cloud: LocalCloud, connect: Callable[..., Any]
) -> None:
    # Also where the bucket has the name of a service, whose host name would lead MiniStack to that service.
    s3, port = connect(stub_cloud, "s3", signature="s3v4"), stub_cloud.endpoint.rpartition(":")[2]
    for name in (BUCKET, "iam"):
        if name != BUCKET:
            s3.create_bucket(Bucket=name)
        host = {"Host": f"{name}.localhost:{port}"}
        headers, body = form(s3.generate_presigned_post(name, "form.jpg")["fields"], b"sent")
        assert ask(stub_cloud, "POST", "/", {**headers, **host}, body)[0] == 204
        assert s3.get_object(Bucket=name, Key="form.jpg")["Body"].read() == b"sent"
        assert refused(stub_cloud, "POST", "/", {**MULTIPART, **host}, NEW_KEY)
