"""Hostile `imgpipe.toml` and `targets.json`, and what the command line makes of each."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hostile.command_lines import CLOSED


@dataclass(frozen=True)
class FileRow:
    """make: puts it at this path. error: the code of the problem."""

    id: str
    make: Callable[[Path], object]
    error: str
    there: Callable[[], bool] = lambda: True


def _posix() -> bool:
    return os.name == "posix"


def _linux() -> bool:
    return sys.platform.startswith("linux")


def _no_root() -> bool:
    return _posix() and os.geteuid() != 0


def _written(content: str | bytes) -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


def _link(target: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(target)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _forbidden(path: Path) -> None:
    path.touch(0)


def _toml(name: str, content: str | bytes, error: str = "bad_configuration") -> FileRow:
    return FileRow(f"toml-{name}", _written(content), error)


PASSES = "bad_credentials"
"""The file is taken: the command goes on to AWS, which does not know the keys."""

CONFIGURATIONS = (
    _toml("empty", "", PASSES),
    _toml("with-a-mark", b"\xef\xbb\xbfproject = 'demo'", PASSES),
    _toml("with-windows-line-ends", "project = 'demo'\r\nlocal = false\r\n", PASSES),
    _toml("not-utf-8", b"project = '\xff'"),
    _toml("utf-16", "project = 'demo'".encode("utf-16")),
    _toml("binary", bytes(range(256))),
    _toml("unfinished", "project = 'demo"),
    _toml("no-toml", "<html>"),
    _toml("key-twice", "project = 'a'\nproject = 'b'"),
    _toml("unknown-key", "bucket = 'others'"),
    _toml("key-of-escapes", '"\\u001b[2J" = 1'),
    _toml("nested", "[project]\nname = 'a'"),
    _toml("deep", "features = " + "[" * 3000 + "]" * 3000),
    _toml("number-of-5000-digits", f"min_confidence = {'9' * 5000}"),
    _toml("number-nan", "min_confidence = nan"),
    _toml("number-infinite", "min_confidence = inf"),
    _toml("tps-zero", "rekognition_tps = 0"),
    _toml("limit-negative", "monthly_limit = -1"),
    _toml("tps-above", "rekognition_tps = 1000000"),
    _toml("text-for-a-number", "min_confidence = '80'"),
    _toml("number-for-a-text", "region = 5"),
    _toml("date-for-a-text", "project = 2026-11-22"),
    _toml("text-for-a-switch", "local = 'false'"),
    _toml("features-of-lists", "features = [['labels']]"),
    _toml("huge", "# " + "x" * 200_000),
    _toml("project-of-escapes", r"project = 'a\u001b'", "bad_project"),
    _toml("project-up-and-away", "project = '../x'", "bad_project"),
    _toml("region-another-host", "region = 'x@example.org/#'", "bad_region"),
    _toml("region-empty", "region = ''", "bad_usage"),
    _toml("profile-unknown", "profile = 'nobody'", "bad_profile"),
    FileRow("toml-folder", lambda path: path.mkdir(), "bad_configuration"),
    FileRow("toml-pipe", _pipe, "bad_configuration", _posix),
    FileRow("toml-device-without-end", _link("/dev/zero"), "bad_configuration", _posix),
    FileRow("toml-file-that-fails", _link("/proc/self/mem"), "bad_configuration", _linux),
    FileRow("toml-link-to-itself", _link("imgpipe.toml"), "bad_configuration", _posix),
    FileRow("toml-link-to-nothing", _link("nowhere"), PASSES, _posix),
    FileRow("toml-unreadable", _forbidden, "bad_configuration", _no_root),
)

CLOUD: dict[str, Any] = {
    "pid": 2**31 - 1,
    "port": 9,
    "access_key_id": "AKIA0000000000000001",
    "secret_access_key": "never-shown",
    "account": "000000000000",
    "region": "us-east-1",
    "token": "never-shown",
}


def _cloud(name: str, content: Any) -> FileRow:
    written = content if isinstance(content, str | bytes) else json.dumps(content)
    return FileRow(f"cloud-{name}", _written(written), "")


# What the local cloud wrote about itself; error: that of `local start`, where it is not "local_not_started".
CLOUDS = (
    _cloud("empty", ""),
    _cloud("of-nothing", {}),
    _cloud("of-a-port-only", {"port": 4777}),
    _cloud("a-list", []),
    _cloud("deep", "[" * 100_000),
    _cloud("not-utf-8", b'{"port": "\xff"}'),
    _cloud("pid-of-everybody", {**CLOUD, "pid": -1}),
    _cloud("pid-of-the-group", {**CLOUD, "pid": 0}),
    _cloud("pid-too-large", {**CLOUD, "pid": 2**70}),
    _cloud("pid-a-text", {**CLOUD, "pid": "1"}),
    _cloud("port-too-high", {**CLOUD, "port": 65_536}),
    _cloud("port-true", {**CLOUD, "port": True}),
    _cloud("token-a-number", {**CLOUD, "token": 5}),
    _cloud("without-a-key", {name: value for name, value in CLOUD.items() if name != "access_key_id"}),
    FileRow("cloud-folder", lambda path: path.mkdir(), "state_dir_unusable"),
    FileRow("cloud-pipe", _pipe, "", _posix),
    FileRow("cloud-link-to-itself", _link("cloud.json"), "", _posix),
    FileRow("cloud-device-without-end", _link("/dev/zero"), "", _posix),
)
LOGS = (
    FileRow("log-folder", lambda path: path.mkdir(), "state_dir_unusable"),
    FileRow("log-pipe", _pipe, "state_dir_unusable", _posix),
    FileRow("log-device", _link("/dev/null"), "state_dir_unusable", _posix),
)

PIPELINE: dict[str, Any] = {
    "target": {"project": "imgpipe", "local": False, "region": "eu-west-1", "profile": None},
    "account": "123456789012",
    "region": "eu-west-1",
    "endpoint": None,
    "bucket": "imgpipe-uploads-123456789012-eu-west-1-an",
    "api_url": f"{CLOSED}/prod",
    "token": "never-shown",
    "private": False,
    "min_confidence": 70.0,
}


def _state(name: str, *, last: Any = None, version: Any = 1, error: str = PASSES, **changes: Any) -> FileRow:
    document = {
        "version": version,
        "last": PIPELINE["target"] if last is None else last,
        "pipelines": [{**PIPELINE, **changes}],
    }
    return FileRow(f"state-{name}", _written(json.dumps(document)), error)


# What cannot be read is nothing: the pipeline is then looked up on AWS.
STATES = (
    FileRow("state-empty", _written(""), PASSES),
    FileRow("state-cut", _written(json.dumps({"version": 1, "last": PIPELINE["target"]})[:-5]), PASSES),
    FileRow("state-binary", _written(bytes(range(256))), PASSES),
    FileRow("state-a-list", _written("[]"), PASSES),
    FileRow("state-null", _written("null"), PASSES),
    FileRow("state-deep", _written("[" * 100_000), PASSES),
    FileRow("state-huge", _written(b" " * (1 << 21) + b"{}"), PASSES),
    FileRow("state-folder", lambda path: path.mkdir(), PASSES),
    FileRow("state-pipe", _pipe, PASSES, _posix),
    FileRow("state-link-to-itself", _link("targets.json"), PASSES, _posix),
    FileRow("state-device-without-end", _link("/dev/zero"), PASSES, _posix),
    FileRow("state-unreadable", _forbidden, PASSES, _no_root),
    _state("of-a-newer-imgpipe", version=2),
    _state("with-more-than-known", future="x"),
    _state("target-of-numbers", last={"project": 5}),
    _state("target-of-another-name", last={"project": "../x"}),
    _state("target-a-text", last="imgpipe"),
    _state("url-a-number", api_url=7),
    _state("url-null", api_url=None),
    _state("token-a-list", token=["a"]),
    _state("account-a-number", account=123456789012),
    _state("private-a-text", private="no"),
    _state("confidence-a-text", min_confidence="high"),
    _state("confidence-null", min_confidence=None),
    _state("pipeline-of-another-name", target={**PIPELINE["target"], "project": "A B"}),
    # Well-formed, and wrong.
    _state("url-half-an-address", api_url="http://[::1/prod"),
    _state("url-port-a-word", api_url="http://127.0.0.1:port/prod"),
    _state("url-a-file", api_url="file:///etc/passwd"),
    _state("url-empty", api_url=""),
    _state("url-with-a-line-end", api_url=f"{CLOSED}/prod\r\nX-Evil: 1"),
    _state("token-with-a-line-end", token="a\r\nX-Evil: 1", private=True),
)
