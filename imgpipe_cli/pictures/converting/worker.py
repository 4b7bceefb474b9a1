"""`python -m imgpipe_cli.pictures.converting.worker`: converts one picture after the other.

A process of its own, since a hostile file may crash a library, fill the memory, or keep it busy for ever:
then it ends, or is ended, and nothing but that picture is lost.

In: a line of JSON, {"kind", "path"} or {"kind", "bytes"} with so many bytes behind it. Out: {"pixels"}; the
next line in, empty, lets it decode so many. Then {"bytes", "smaller"} with the JPEG behind it, or {"code",
"reason"}.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any, BinaryIO

# Address space: the largest picture takes half of it in the worst way that was found.
_MEMORY_BYTES = 4 * 1024 * 1024 * 1024


def main() -> int:
    _limit_memory()
    commands, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := commands.readline():
        asked = json.loads(line)
        content = commands.read(asked["bytes"]) if "bytes" in asked else None
        answer, jpeg = _converted(asked, content, commands, answers)
        _say(answers, answer)
        answers.write(jpeg)
        answers.flush()
    return 0


def _converted(
    asked: dict[str, Any], content: bytes | None, commands: BinaryIO, answers: BinaryIO
) -> tuple[dict[str, Any], bytes]:
    from imgpipe_cli.pictures.converting.decoding import NotDecoded, decoded
    from imgpipe_cli.pictures.converting.encoding import encoded

    def before(pixels: int) -> None:
        _say(answers, {"pixels": pixels})
        answers.flush()
        commands.readline()

    try:
        with io.BytesIO(content) if content is not None else Path(asked["path"]).open("rb") as file:
            found = decoded(file, asked["kind"], before)
            jpeg = encoded(found.image)
    except NotDecoded as error:
        return {"code": error.code, "reason": str(error)}, b""
    except MemoryError:
        return {"code": "too_many_pixels", "reason": "there is not enough memory to convert it"}, b""
    except OSError as error:
        return {"code": "unreadable", "reason": error.strerror or type(error).__name__}, b""
    return {"bytes": len(jpeg), "smaller": found.is_smaller}, jpeg


def _say(answers: BinaryIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")


def _limit_memory() -> None:
    """Where the system has such a limit: Windows has none, macOS keeps none."""
    try:
        import resource
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    least = _MEMORY_BYTES if most == resource.RLIM_INFINITY else min(_MEMORY_BYTES, most)
    resource.setrlimit(resource.RLIMIT_AS, (least, most))


if __name__ == "__main__":
    sys.exit(main())
