"""Hostile arguments and environments, and how the command ends.

Nothing answers where these commands may go: a port of loopback that is closed is AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CLOSED = "http://127.0.0.1:9"
REMEMBERED = "AWS 123456789012"
LONG = "x" * 100_000


@dataclass(frozen=True)
class CommandRow:
    """error: the problem's code. environment: on top of credentials, a region, and a closed endpoint."""

    id: str
    arguments: tuple[str, ...]
    code: int
    error: str
    environment: Mapping[str, str] = field(default_factory=dict)


def _usage(name: str, *arguments: str, error: str = "bad_usage", **environment: str) -> CommandRow:
    return CommandRow(f"cli-{name}", arguments, 2, error, environment)


def _failed(name: str, error: str, *arguments: str, **environment: str) -> CommandRow:
    return CommandRow(f"cli-{name}", arguments, 1, error, environment)


COMMAND_LINES = (
    # Commands and options.
    _usage("no-such-command", "uplaod"),
    _usage("empty-command", ""),
    _usage("command-of-escapes", "\x1b[2J"),
    _usage("only-dashes", "--"),
    _usage("no-such-option", "list", "--nope"),
    _usage("option-of-escapes", "list", "--\x1b]0;x\x07"),
    _usage("option-without-a-value", "list", "--project"),
    _usage("argument-too-many", "explain", "a", "b"),
    _usage("argument-missing", "upload"),
    _usage("value-for-a-switch", "list", "--json=yes"),
    _usage("very-long", "logs", LONG),
    _usage("undecodable", "logs", "\udcff"),
    # Numbers.
    _usage("timeout-nan", "result", "a", "--wait", "--timeout", "nan"),
    _usage("timeout-infinite", "result", "a", "--wait", "--timeout", "inf"),
    _usage("timeout-too-large-for-a-number", "result", "a", "--wait", "--timeout", "1e999"),
    _usage("timeout-endless", "result", "a", "--wait", "--timeout", "1e308"),
    _usage("timeout-negative", "upload", "a", "--timeout", "-1"),
    _usage("timeout-minus-nothing", "upload", "a", "--timeout", "-0.5"),
    _usage("timeout-a-word", "upload", "a", "--timeout", "soon"),
    _usage("timeout-empty", "upload", "a", "--timeout", ""),
    _usage("timeout-of-the-environment", "upload", "a", IMGPIPE_TIMEOUT="NaN"),
    _usage("confidence-nan", "list", "--min-confidence", "nan"),
    _usage("confidence-nan-to-be-stored", "up", "--min-confidence", "nan"),
    _usage("confidence-infinite", "up", "--min-confidence", "-inf"),
    _usage("confidence-above", "list", "--min-confidence", "100.0001"),
    _usage("confidence-of-the-environment", "up", IMGPIPE_MIN_CONFIDENCE="nan"),
    _usage("tps-zero", "up", "--rekognition-tps", "0"),
    _usage("tps-nan", "up", "--rekognition-tps", "nan"),
    _usage("tps-negative", "up", "--rekognition-tps", "-5"),
    _usage("monthly-limit-negative", "up", "--monthly-limit", "-1"),
    _usage("limit-fraction", "up", "--monthly-limit", "1.5"),
    _usage("tps-above", "up", "--rekognition-tps", "1e9"),
    _usage("tps-of-the-environment", "up", IMGPIPE_REKOGNITION_TPS="0"),
    _usage("concurrency-zero", "local", "start", "--concurrency", "0"),
    _usage("concurrency-a-fraction", "local", "start", "--concurrency", "1.5"),
    _usage("limit-negative", "list", "--limit", "-1"),
    _usage("limit-a-fraction", "list", "--limit", "1.5"),
    _usage("limit-nan", "list", "--limit", "nan"),
    _usage("limit-of-5000-digits", "list", "--limit", "9" * 5000),
    _usage("workers-zero", "up", "--workers", "0"),
    _usage("workers-of-the-environment", "up", IMGPIPE_WORKERS="many"),
    # Times.
    _usage("since-empty", "list", "--since", ""),
    _usage("since-nonsense", "list", "--since", "yesterday"),
    _usage("since-negative", "list", "--since=-5m"),
    _usage("since-only-a-unit", "list", "--since", "m"),
    _usage("since-of-5000-digits", "list", "--since", "9" * 5000 + "d"),
    _usage("since-before-all-time", "list", "--since", "99999999d"),
    _usage("since-the-31st-of-february", "logs", "--since", "2026-02-31"),
    _usage("since-before-the-first-day", "logs", "--since", "0001-01-01T00:00+14:00"),
    _usage("since-after-the-last-day", "list", "--since", "9999-12-31T23:59:59-14:00"),
    _usage("since-of-escapes", "watch", "--since", "\x1b[2J"),
    # Names that become parts of others.
    _usage("project-empty", "list", "--project", "", error="bad_project"),
    _usage("project-up-and-away", "list", "--project", "../../x", error="bad_project"),
    _usage("project-upper-case", "list", "--project", "Demo", error="bad_project"),
    _usage("project-of-25", "list", "--project", "x" * 25, error="bad_project"),
    _usage("project-of-other-letters", "list", "--project", "dém\u043e", error="bad_project"),
    _usage("project-hyphen-at-the-end", "list", "--project", "demo-", error="bad_project"),
    _usage("project-two-hyphens", "list", "--project", "a--b", error="bad_project"),
    _usage("project-line-end", "list", "--project", "demo\n", error="bad_project"),
    _usage("project-reserved", "list", "--project", "xn--a", error="bad_project"),
    _usage("project-as-arn", "list", "--project", "demo:*", error="bad_project"),
    _usage("project-of-the-environment", "list", error="bad_project", IMGPIPE_PROJECT="a b"),
    _usage("region-empty", "list", "--region", ""),
    _usage("region-another-host", "list", "--region", "x@example.org/#", error="bad_region"),
    _usage("region-with-a-dot", "list", "--region", "evil.example.org", error="bad_region"),
    _usage("region-with-a-path", "list", "--region", "eu-west-1/../x", error="bad_region"),
    _usage("region-with-a-port", "list", "--region", "eu-west-1:80", error="bad_region"),
    _usage("region-with-a-line-end", "list", "--region", "eu-west-1\n", error="bad_region"),
    _usage("region-with-a-header", "list", "--region", "eu-west-1\r\nX-Evil: 1", error="bad_region"),
    _usage("region-upper-case", "list", "--region", "EU-WEST-1", error="bad_region"),
    _usage("region-of-the-environment", "list", error="bad_region", IMGPIPE_REGION="x@example.org"),
    _usage("region-of-the-sdk", "list", error="bad_region", AWS_REGION="x@example.org"),
    _usage("region-that-is-not-played", "up", "--local", "--region", "mars-1", error="bad_region"),
    _usage("region-of-spaces-on-this-machine", "up", "--local", "--region", " ", error="bad_region"),
    _usage("profile-empty", "list", "--profile", ""),
    _failed("profile-line-end", "bad_profile", "list", "--profile", "a\nb"),
    _failed("profile-escapes", "bad_profile", "list", "--profile", "\x1b[2J"),
    _failed("profile-of-the-sdk", "bad_profile", "list", AWS_PROFILE="..\n"),
    _usage("profile-and-local", "list", "--local", "--profile", "work"),
    _usage("project-empty-in-the-environment", "list", error="bad_project", IMGPIPE_PROJECT=""),
    _usage("region-empty-in-the-environment", "list", IMGPIPE_REGION=""),
    _usage("profile-empty-in-the-environment", "list", IMGPIPE_PROFILE=""),
    _usage("features-unknown", "list", "--status", "perhaps"),
    _usage("function-unknown", "logs", "../ingest"),
    _usage("folder-empty", "watch", ""),
    _usage("folder-gone", "watch", "nowhere"),
    _usage("local-neither-yes-nor-no", "list", IMGPIPE_LOCAL="maybe"),
    _usage("json-neither-yes-nor-no", "list", IMGPIPE_JSON="maybe"),
    *(
        _usage(f"address-{name}", "local", "models", "fetch", "yolox-tiny", "--url", url, error="bad_url")
        for name, url in {
            "empty": "",
            "half": "http://[::1",
            "without-a-host": "http:///model",
            "of-a-file": "file:///etc/passwd",
            "of-escapes": "\x1b[2J",
        }.items()
    ),
    # Where the SDK is sent, and with what.
    _failed("endpoint-no-url", "unreachable", "list", AWS_ENDPOINT_URL="not a url"),
    _failed("endpoint-of-another-kind", "unreachable", "list", AWS_ENDPOINT_URL="ftp://127.0.0.1"),
    _failed("endpoint-a-file", "unreachable", "list", AWS_ENDPOINT_URL="file:///etc/passwd"),
    _failed("endpoint-half-an-address", "unreachable", "list", AWS_ENDPOINT_URL="http://[::1"),
    _failed("endpoint-port-too-high", "unreachable", "list", AWS_ENDPOINT_URL="http://127.0.0.1:99999"),
    _failed("endpoint-port-a-word", "unreachable", "list", AWS_ENDPOINT_URL="http://127.0.0.1:http"),
    _failed("endpoint-with-a-header", "unreachable", "list", AWS_ENDPOINT_URL=f"{CLOSED}/\r\nX-Evil: 1"),
    _failed("endpoint-with-escapes", "unreachable", "list", AWS_ENDPOINT_URL="\x1b[2J"),
    _failed("key-with-a-line-end", "bad_credentials", "list", AWS_ACCESS_KEY_ID="AKIA\n"),
    _failed("session-token-with-a-line-end", "bad_credentials", "list", AWS_SESSION_TOKEN="a\nb"),
    # Where its own files are.
    _failed("state-of-nobody", "state_dir_unusable", "list", IMGPIPE_STATE_DIR="~nobody-at-all/x"),
    _failed("state-below-a-device", "state_dir_unusable", "list", IMGPIPE_STATE_DIR="/dev/null/x"),
    _failed("state-too-long", "state_dir_unusable", "list", IMGPIPE_STATE_DIR="/" + "x" * 5000),
)
