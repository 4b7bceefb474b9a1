"""The private names of MiniStack that the local cloud stands on, and the check that they are still so.

MiniStack has no plug-in interface and changes about daily, so its version is pinned exactly and this runs
at every start: a name that is gone or called differently is a message, never a wrong answer later.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from imgpipe_cli.errors import Problem

MINISTACK = "1.5.33"
INSTALL = "Install it from imgpipe's checkout: pipx install --force '.[local]'"

# module: attributes that must exist.
_NAMES = {
    "app": (
        *("app", "AUTH", "PERSIST_STATE", "SERVICE_HANDLERS", "SERVICE_REGISTRY"),
        *("_build_persistence_save_dict", "_state_map", "call_service_handler_sync"),
        *(
            "decode_header_value",
            "_authenticate_only",
            "_credential_failure",
            "_decode_aws_chunked_body",
            "_get_module",
        ),
    ),
    "core.router": ("SERVICE_PATTERNS", "detect_service", "extract_access_key_id", "extract_region"),
    "core.iam_actions": ("SERVICE_TO_IAM_NAMESPACE", "access_denied_response", "s3_service_context"),
    "core.iam_evaluator": (
        *("enforce", "is_root_access_key", "authenticate", "pin_signed_body", "pin_signed_request"),
        *("AuthError", "ResolvedCredential"),
    ),
    "core.persistence": ("_json_default", "_json_object_hook", "_state_format_version"),
    "core.lambda_runtime": ("Worker", "_workers", "execution_credentials", "reset"),
    "services.iam": ("_access_keys", "handle_request"),
    "services.sts": ("_sessions", "register_session"),
    "services.apigateway": ("find_api_scope",),
    "services.s3": (
        *("DATA_DIR", "S3_PERSIST", "_enforce_post_policy_size"),
        *("_atomic_write", "_bucket_owner_account", "_persist_object", "_verify_presigned_sigv4"),
        *("_buckets", "_fire_s3_event", "_next_event_sequencer", "_read_body"),
    ),
    "services.ssm": ("_parameters",),
    "services.dynamodb": ("_tables", "copy", "get_state"),
    "services.cloudwatch_logs": ("copy", "get_state"),
    "services.lambda_svc": (
        *(
            "invoke_async_with_retry",
            "_prune_orphan_code_blobs",
            "_event_invoke_config",
            "_route_async_failure",
        ),
        *(
            "_execute_function_dispatch",
            "_execute_function_with_config_scope",
            "_run_with_function_config_scope",
            "_execution_record_for_config",
        ),
        *("_get_func_record_for_ref", "_lambda_function_name_and_qualifier_from_arn"),
        *("executions_in_flight", "_inflight_key", "_reserved_concurrency", "_acquire_execution_slot"),
    ),
}

# module, function: what it must be callable with (parameter names, in order, that we pass).
_CALLS = {
    ("services.lambda_svc", "invoke_async_with_retry"): ("func", "event"),
    ("services.lambda_svc", "_execute_function_dispatch"): (
        *("func", "config", "event", "request_id", "started"),
    ),
    ("services.lambda_svc", "_route_async_failure"): ("target_arn", "func_name", "event", "result"),
    ("services.lambda_svc", "_event_invoke_config"): ("func", "qualifier"),
    ("services.lambda_svc", "_inflight_key"): ("config",),
    ("services.lambda_svc", "_reserved_concurrency"): ("func", "config"),
    ("app", "_authenticate_only"): ("service", "headers", "query_params", "request_id"),
    ("app", "_decode_aws_chunked_body"): ("body", "headers"),
    ("app", "_credential_failure"): ("service", "iam_action", "request_id", "denied", "headers"),
    ("services.s3", "_enforce_post_policy_size"): ("policy_b64", "size"),
    ("services.s3", "_verify_presigned_sigv4"): ("method", "path", "headers", "query_params"),
    ("services.s3", "_fire_s3_event"): ("bucket_name", "key", "event_name", "size", "etag"),
    ("services.s3", "_read_body"): ("bucket_name", "key", "obj"),
    ("services.s3", "_persist_object"): ("bucket", "key", "obj"),
    ("services.sts", "register_session"): ("access_key", "session"),
    ("core.lambda_runtime", "execution_credentials"): ("config",),
    ("core.iam_evaluator", "authenticate"): ("access_key_id", "account_id"),
    ("core.iam_evaluator", "enforce"): ("access_key_id", "iam_action", "service", "region", "resource_arn"),
    ("core.iam_evaluator", "is_root_access_key"): ("access_key_id",),
    ("core.iam_evaluator", "pin_signed_request"): ("method", "raw_path", "query_params", "raw_headers"),
}

# A replaced function only matters while these still call it by that name.
_CALLERS = {
    ("app", "_dispatch_service_request"): "_authenticate_only",
    ("app", "_read_request_body"): "_decode_aws_chunked_body",
    ("app", "_enforce_data_plane"): "enforce",
    ("core.iam_evaluator", "resolve_credential"): "is_root_access_key",
    ("services.s3", "_deliver_event_to_lambda"): "invoke_async_with_retry",
    ("services.lambda_svc", "_invoke"): "invoke_async_with_retry",
    ("services.lambda_svc", "_execute_function"): "_execute_function_dispatch",
    ("services.lambda_svc", "get_state"): "_prune_orphan_code_blobs",
    ("services.s3", "_persist_object"): "_atomic_write",
    ("services.s3", "_put_object"): "_persist_object",
    ("services.lambda_svc", "_acquire_execution_slot"): "_inflight_key",
    ("services.s3", "_post_object"): "_enforce_post_policy_size",
    ("core.lambda_runtime", "Worker._spawn"): "execution_credentials",
    ("services.dynamodb", "get_state"): "deepcopy",
    ("services.cloudwatch_logs", "get_state"): "deepcopy",
}


@dataclass(frozen=True)
class MiniStack:
    """The modules of MiniStack that the rest of the local cloud is handed."""

    app: ModuleType
    router: ModuleType
    iam_actions: ModuleType
    iam_evaluator: ModuleType
    persistence: ModuleType
    lambda_runtime: ModuleType
    apigateway: ModuleType
    iam: ModuleType
    sts: ModuleType
    s3: ModuleType
    ssm: ModuleType
    dynamodb: ModuleType
    cloudwatch_logs: ModuleType
    lambda_svc: ModuleType


def check_installed() -> None:
    """Whether the local extra is installed at the version we know; imports none of it."""
    try:
        found = version("ministack")
    except PackageNotFoundError as error:
        raise Problem("local_not_installed", "The local cloud is not installed.", hint=INSTALL) from error
    if found != MINISTACK:
        raise Problem(
            "local_version",
            f"The local cloud needs ministack {MINISTACK}; {found} is installed.",
            hint=INSTALL,
        )


def load() -> MiniStack:
    """Import MiniStack (its environment must be set) and check every name; raises Problem."""
    modules: dict[str, ModuleType] = {}
    try:
        for name in _NAMES:
            modules[name] = importlib.import_module(f"ministack.{name}")
    except ImportError as error:
        raise Problem(
            "local_not_installed", f"The local cloud cannot be loaded: {error}.", hint=INSTALL
        ) from error
    if problems := list(differences(modules)):
        raise Problem(
            "local_self_test",
            f"The local cloud's self-test failed: {'; '.join(problems)}.",
            hint=f"Install the version it is made for: pip install --force-reinstall ministack=={MINISTACK}",
        )
    return MiniStack(**{name.rpartition(".")[2]: module for name, module in modules.items()})


def differences(modules: dict[str, ModuleType]) -> Iterator[str]:
    """Everything that is not as it must be, in words for the log."""
    for module, names in _NAMES.items():
        for name in names:
            if not hasattr(modules[module], name):
                yield f"ministack.{module}.{name} is gone"
    for (module, name), parameters in _CALLS.items():
        function = getattr(modules[module], name, None)
        if function is None or tuple(inspect.signature(function).parameters)[: len(parameters)] != parameters:
            yield f"ministack.{module}.{name} has other parameters"
    for (module, name), called in _CALLERS.items():
        if called not in _names_used(modules[module], name):
            yield f"ministack.{module}.{name} no longer calls {called}"
    if not (modules["app"].AUTH and modules["app"].PERSIST_STATE and modules["services.s3"].S3_PERSIST):
        yield "ministack does not take its settings from the environment"


def _names_used(module: ModuleType, dotted: str) -> tuple[str, ...]:
    found: object = module
    for part in dotted.split("."):
        found = getattr(found, part, None)
    names: tuple[str, ...] = getattr(getattr(found, "__code__", None), "co_names", ())
    return names
