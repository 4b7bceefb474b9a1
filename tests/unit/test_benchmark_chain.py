"""The benchmark's longest chain counts what really depends on each other, and nothing else."""

from __future__ import annotations

from call_chain import Chain
from imgpipe_cli.aws.names import Names
from recorded_calls import RecordedCall, Request

NAMES = Names("bench", "000000000000", "us-east-1")
_SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{}/aws4_request, SignedHeaders=host"


def _call(service: str, operation: str, subject: str, start_s: float, method: str = "POST") -> RecordedCall:
    return RecordedCall(service, operation, subject, method, 200, start_s, start_s + 0.9, 0.0, 1)


def _longest(*calls: RecordedCall, removing: bool = False) -> list[str]:
    return [call.operation for call in Chain(calls, NAMES, removing=removing).longest()]


def test_reads_that_only_follow_each_other_are_no_chain() -> None:
    calls = [_call("iam", "GetRole", f"RoleName={NAMES.role('web')}", at) for at in range(5)]
    assert _longest(_call("sts", "GetCallerIdentity", "", -1), *calls) == ["GetCallerIdentity", "GetRole"]


def test_changes_of_what_is_needed_are_a_chain_and_the_looks_beside_them_are_not() -> None:
    role, settings = f"RoleName={NAMES.role('ingest')}", NAMES.settings_parameter
    found = _longest(
        _call("ssm", "GetParameter", settings, 0),
        _call("iam", "GetRole", role, 0),
        _call("ssm", "PutParameter", settings, 1),
        _call("ssm", "GetParameter", settings, 2),  # the answer to the change has told it
        _call("iam", "CreateRole", role, 3),
        _call("logs", "CreateLogGroup", NAMES.log_group("web"), 4),  # a role does not need it
        _call("iam", "PutRolePolicy", role, 5),
        _call("lambda", "POST /2015-03-31/functions", f"/functions/{NAMES.function('ingest')}", 6),
    )
    changes = ["PutParameter", "CreateRole", "PutRolePolicy", "POST /2015-03-31/functions"]
    assert found[1:] == changes
    assert len(found) == 1 + len(changes)


def test_a_look_that_alone_tells_a_value_is_in_the_chain() -> None:
    functions, token = "/2015-03-31/functions", NAMES.token_parameter
    found = _longest(
        _call("ssm", "PutParameter", token, 0),
        _call("ssm", "GetParameter", token, 1),
        _call("lambda", f"POST {functions}", f"/functions/{NAMES.function('web')}", 2),
    )
    assert found == ["PutParameter", "GetParameter", f"POST {functions}"]


def test_the_look_that_a_resource_asks_for_is_in_the_chain() -> None:
    functions, function = "/2015-03-31/functions", NAMES.function("ingest")
    found = _longest(
        _call("lambda", f"POST {functions}", f"/functions/{function}", 0),
        _call("lambda", "GET function", f"{functions}/{function}", 1),  # until it is Active
        _call("s3", "PUT /bucket?notification", "/bucket?notification", 2),
    )
    assert found == [f"POST {functions}", "GET function", "PUT /bucket?notification"]


def test_a_removal_waits_for_what_needs_the_resource() -> None:
    function = f"/2015-03-31/functions/{NAMES.function('ingest')}"
    found = _longest(
        _call("lambda", "DELETE function", function, 0, "DELETE"),
        _call("iam", "DeleteRole", f"RoleName={NAMES.role('ingest')}", 1),
        _call("ssm", "DeleteParameter", NAMES.settings_parameter, 2),
        removing=True,
    )
    assert found == ["DELETE function", "DeleteRole", "DeleteParameter"]


def test_a_request_names_its_operation_in_every_protocol() -> None:
    def of(service: str, method: str, path: str, body: bytes = b"", **headers: str) -> Request:
        signed = {"authorization": _SIGNED.format(service)} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return Request(method, path, signed, body)

    assert of("iam", "POST", "/", b"Action=GetRole&RoleName=a").operation == "GetRole"
    assert of("ssm", "POST", "/", x_amz_target="AmazonSSM.PutParameter").operation == "PutParameter"
    assert of("s3", "PUT", "/bucket?versioning").operation == "PUT /bucket?versioning"
    created = of("lambda", "POST", "/2015-03-31/functions", b'{"FunctionName": "bench-web"}')
    assert created.subject == "/functions/bench-web"
    assert Request("GET", "/prod/result", {}, b"").service == "execute-api"
