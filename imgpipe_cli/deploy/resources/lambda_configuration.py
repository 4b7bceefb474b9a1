"""What a function is to be like, and in what one that is there differs from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import Context
from imgpipe_cli.lambdas import package
from imgpipe_cli.session.settings import Settings

RUNTIME = "python3.12"
ARCHITECTURES = ["arm64"]


@dataclass(frozen=True)
class Shape:
    """What differs between the functions. memory in MB, timeout in seconds.

    capped: whether it runs at most as often at once as the settings say.
    """

    function: str
    title: str
    memory: int
    timeout: int
    environment: Callable[[Names, Settings, str], Mapping[str, str]]
    needs_token: bool = False
    capped: bool = False


def configuration_of(shape: Shape, context: Context) -> dict[str, Any]:
    """The parameters of CreateFunction that an update can change."""
    names = context.names
    environment = shape.environment(names, context.settings, context.observed.facts["token_sha256"])
    return {
        "Runtime": RUNTIME,
        "Role": names.role_arn(shape.function),
        "Handler": f"{shape.function}.app.handler",
        "Description": f"imgpipe {shape.function}",
        "Timeout": shape.timeout,
        "MemorySize": shape.memory,
        "Environment": {"Variables": dict(environment)},
        "LoggingConfig": {
            "LogFormat": "JSON",
            "ApplicationLogLevel": "INFO",
            "SystemLogLevel": "INFO",
            "LogGroup": names.log_group(shape.function),
        },
    }


class Zip(bytes):
    """The bytes of a function's zip, printed by name and size."""

    function: str

    def __new__(cls, function: str) -> Zip:
        made = super().__new__(cls, package.build(function))
        made.function = function
        return made

    def __repr__(self) -> str:
        return f"<zip of lambda_src/{self.function}, {len(self)} bytes>"


def failure(configuration: Mapping[str, Any]) -> str:
    """Why Lambda could not make or update the function; empty if it could."""
    for status, why in (("State", "StateReason"), ("LastUpdateStatus", "LastUpdateStatusReason")):
        if configuration.get(status) == "Failed":
            return str(configuration.get(why) or f"{status} is Failed")
    return ""


# What our functions run without, in the words that take it away. Each of them changes what they reach, what
# they run or what becomes of their events; tracing or more disk, which somebody may add, does not.
_WITHOUT: Mapping[str, Any] = {
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
    "Layers": [],
    "DeadLetterConfig": {"TargetArn": ""},
    "FileSystemConfigs": [],
    "KMSKeyArn": "",
}


def surplus(found: Mapping[str, Any]) -> dict[str, Any]:
    """Those of _WITHOUT that the function has; AWS may tell the empty ones or leave them out."""

    def given(key: str, empty: Any) -> bool:
        value = found.get(key)
        return any((value or {}).get(part) for part in empty) if isinstance(empty, Mapping) else bool(value)

    return {key: empty for key, empty in _WITHOUT.items() if given(key, empty)}


def differing(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Names of the settings that differ. What an endpoint does not report at all is not compared."""
    return [
        key.lower() if key != "LoggingConfig" else "logging"
        for key, value in wanted.items()
        if found.get(key) != value and not (key == "LoggingConfig" and key not in found)
    ]
