"""A request's body, read as a whole before anything is done with it: bounded in size and in time."""

from __future__ import annotations

import asyncio

from imgpipe_cli.local.guard.access import Asked, Refused
from imgpipe_cli.local.guard.asgi import Message, Receive
from imgpipe_cli.local.guard.room import Body


def told_size(asked: Asked, most_bytes: int) -> int:
    """How long the body will be at most, as far as the request tells."""
    length = asked.header("content-length")
    if length.isdecimal():
        return int(length) if int(length) <= most_bytes else 0  # it is refused unread
    return most_bytes if "transfer-encoding" in asked.headers else 0


async def read_body(
    asked: Asked, receive: Receive, place: Body, *, most_bytes: int, within_s: float
) -> bytes | Refused:
    """The body, or why it is not taken: too long, too slow or broken off."""
    too_long = Refused("EntityTooLarge", f"The body may have at most {most_bytes:,} bytes.", 413)
    length = asked.header("content-length")
    if length.isdecimal() and int(length) > most_bytes:
        return too_long
    chunks: list[bytes] = []
    try:
        async with asyncio.timeout(within_s) as place.limit:
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    return Refused("IncompleteBody", "The body broke off.", 400)
                chunks.append(message.get("body", b""))
                more = message.get("more_body", False)
                place.grow(len(chunks[-1]))
                if place.received > most_bytes:
                    return too_long
    except TimeoutError:
        slow = "so fast that others need not wait" if place.given_up else f"within {within_s:g} s"
        return Refused("RequestTimeout", f"The body was not sent {slow}.", 408)
    finally:
        place.limit = None
    return b"".join(chunks)


def replayed(body: bytes, receive: Receive) -> Receive:
    """What gives the body once more, and then whatever else comes from the client."""
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again
