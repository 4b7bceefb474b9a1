"""Why the local cloud does not answer as it should: it has ended meanwhile, or its disk is full.

What a call meets then looks like trouble with a network, or with AWS.
"""

from __future__ import annotations

import errno
import os
import re

from imgpipe_cli.errors import Problem, sentence

# What is made of an answer that does not come, or comes from whoever has the port of a cloud that has ended.
_NO_ANSWER = frozenset({"unreachable", "aws_error", "api_unavailable", "api_not_answering", "not_told"})
_OTHER_ANSWER = frozenset({"bad_credentials", "not_aws", "access_denied", "unauthorized"})
# What a function says that could not be unpacked; a quota or a limit is no full disk to who only looks at it.
_ERRNO = re.compile(r"\[Errno (\d+)\]")
_NO_ROOM = frozenset({errno.ENOSPC, errno.EFBIG, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)})


def behind(error: Exception, command: str) -> Problem | None:
    """What is wrong with the local cloud, where this error may come from that, for this command."""
    from imgpipe_cli.local.process import control

    silent, other = _is_no_answer(error), isinstance(error, Problem) and error.code in _OTHER_ANSWER
    if not (silent or other):
        return None
    found = control.status()
    if found.cloud is None:
        return Problem(
            "local_ended",
            f"The local cloud has ended while imgpipe {command} ran.",
            hint=f"Start it with imgpipe local start, then run imgpipe {command} again.",
        )
    if silent and (why := found.disk_trouble or _no_room(str(error))):
        return Problem(
            "local_disk_full",
            f"The local cloud cannot write to its disk: {sentence(why)}",
            hint=f"Make room for {found.data_dir}, then run imgpipe {command} again; see imgpipe local "
            "status.",
        )
    return None


def in_short(found: Problem) -> str:
    """The same within a note of a command that goes on by itself."""
    if found.code == "local_ended":
        return "the local cloud has ended; start it with imgpipe local start"
    return f"{found.message[0].lower()}{found.message[1:].rstrip('.')}; make room on it"


def _no_room(said: str) -> str:
    told = _ERRNO.search(said)
    return os.strerror(int(told[1])) if told and int(told[1]) in _NO_ROOM else ""


def _is_no_answer(error: Exception) -> bool:
    from imgpipe_cli.aws.client import AwsError
    from imgpipe_cli.pictures.api import ApiUnavailable

    if isinstance(error, Problem):
        return error.code in _NO_ANSWER
    return isinstance(error, ApiUnavailable) or (isinstance(error, AwsError) and error.lost)
