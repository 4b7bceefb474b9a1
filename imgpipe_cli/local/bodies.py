"""A request's body, read as a whole before anything is done with it: bounded in size and in time."""

from __future__ import annotations

import asyncio

from imgpipe_cli.local.access import Asked, Refused
from imgpipe_cli.local.asgi import Message, Receive


async def read_body(asked: Asked, receive: Receive, *, most_bytes: int, within_s: float) -> bytes | Refused:
    """The body, or why it is not taken: too long, too slow or broken off."""
    too_long = Refused("EntityTooLarge", f"The body may have at most {most_bytes:,} bytes.", 413)
    length = asked.header("content-length")
    if length.isdecimal() and int(length) > most_bytes:
        return too_long
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(within_s):
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    return Refused("IncompleteBody", "The body broke off.", 400)
                chunks.append(message.get("body", b""))
                more = message.get("more_body", False)
                size += len(chunks[-1])
                if size > most_bytes:
                    return too_long
    except TimeoutError:
        return Refused("RequestTimeout", f"The body was not sent within {within_s:g} s.", 408)
    return b"".join(chunks)


def replayed(body: bytes, receive: Receive) -> Receive:
    """What gives the body once more, and then whatever else comes from the client."""
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again
