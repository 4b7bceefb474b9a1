"""Bodies of requests in the local cloud's memory: how many at once, and who gives way to whom."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imgpipe_cli.local.guard.access import Asked, Refused, Rules
from imgpipe_cli.local.guard.asgi import Message
from imgpipe_cli.local.guard.bodies import read_body, told_size
from imgpipe_cli.local.guard.guard import Guard
from imgpipe_cli.local.guard.room import SMALL_BYTES, Room
from imgpipe_cli.local.guard.signatures import Answer
from imgpipe_cli.local.guard.storage import Storage
from tests.support.own_loop import finish

MB = 1024 * 1024
KEY = "a" * 64
SIGNED = (
    f"AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/rekognition/aws4_request, "
    f"SignedHeaders=host, Signature={KEY}"
)


def request(size: int, **headers: str) -> dict[str, Any]:
    raw = {"host": "127.0.0.1:1", "content-length": str(size), **headers}
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in raw.items()]
    path = "/bucket" if "content_type" in headers and "multipart" in headers["content_type"] else "/"
    line = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    return {**line, "headers": pairs}


def form(size: int, **headers: str) -> dict[str, Any]:
    return request(size, content_type="multipart/form-data; boundary=x", **headers)


def call() -> dict[str, Any]:
    target = "RekognitionService.DetectLabels"
    json = "application/x-amz-json-1.1"
    return request(2, content_type=json, x_amz_target=target, authorization=SIGNED)


def guard(
    app: Callable[..., Awaitable[None]], *, verified: bool = True, storage: Storage | None = None
) -> Guard:
    refusal: Answer = (403, {}, b"")
    return Guard(
        app,
        Rules(1, lambda _key: True, lambda _bucket: True, lambda _api: True),
        app,
        verify=lambda _scope, _signed, _body: None if verified else refusal,
        storage=storage or Storage(Path(), unsaved=lambda: "", sizes=lambda: (0, 0)),
        api_slots=1,
        rekognition_slots=1,
        on_write=lambda: None,
    )


async def answers(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})


def sending(*bodies: bytes, then: Callable[[], Awaitable[Any]] | None = None) -> Callable[[], Awaitable[Any]]:
    left = list(bodies)

    async def receive() -> Any:
        if left:
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or then is not None}
        assert then is not None
        return await then()

    return receive


async def status_of(guard: Guard, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]]) -> int:
    statuses: list[int] = []

    async def send(message: Message) -> None:
        statuses.extend([message["status"]] if message["type"] == "http.response.start" else [])

    await guard(scope, receive, send)
    return statuses[0]


async def never() -> Any:
    await asyncio.Event().wait()


async def nobody(_message: Message) -> None:
    raise AssertionError("it has not ended yet")


@pytest.mark.parametrize(
    ("half_sent", "verified"),
    [
        (lambda: form(10, x_amz_target="RekognitionService.DetectLabels"), True),
        (call, True),
        (call, False),
    ],
    ids=["keyless", "known-key", "known-key-of-another"],
)
def test_who_has_not_proved_a_signature_holds_no_place_at_rekognition(
    half_sent: Callable[[], dict[str, Any]], verified: bool
) -> None:
    async def run() -> int:
        ours = guard(answers)
        theirs = guard(answers, verified=verified)
        theirs._rekognition_slots = ours._rekognition_slots
        idle = [asyncio.create_task(theirs(half_sent(), never, nobody)) for _ in range(9)]
        await asyncio.sleep(0)
        try:
            return await status_of(ours, call(), sending(b"{}"))
        finally:
            for task in idle:
                task.cancel()
            await asyncio.gather(*idle, return_exceptions=True)

    assert finish(run()) == 200


def test_bodies_without_a_key_are_read_only_as_far_as_there_is_room() -> None:
    read = 0

    async def run() -> list[int]:
        nonlocal read
        ours = guard(answers)
        done = asyncio.Event()

        async def rest() -> Any:
            await done.wait()
            return {"type": "http.request", "body": b"", "more_body": False}

        def counted() -> Callable[[], Awaitable[Any]]:
            inner = sending(bytes(16 * MB), then=rest)

            async def receive() -> Any:
                nonlocal read
                read += 1
                return await inner()

            return receive

        tasks = [
            asyncio.create_task(status_of(ours, form(16 * MB, origin="http://localhost:1"), counted()))
            for _ in range(10)
        ]
        for _ in range(50):
            await asyncio.sleep(0)
        assert read == 8, "each of four was asked for its body and for the rest"
        done.set()
        return list(await asyncio.gather(*tasks))

    assert finish(run()) == [200] * 10


@pytest.mark.parametrize("begun", [1, MB - 1])
def test_a_body_that_does_not_come_gives_way_to_one_that_does(begun: int) -> None:
    async def run() -> tuple[bytes | Refused, bytes | Refused]:
        room = Room(1 * MB, grace_s=0)
        asked = Asked.of("POST", "/", b"", [(b"content-length", str(MB).encode())])

        async def one(receive: Any) -> bytes | Refused:
            async with room.of(told_size(asked, 2 * MB)) as place:
                return await read_body(asked, receive, place, most_bytes=2 * MB, within_s=1000)

        stalled = asyncio.create_task(one(sending(bytes(begun), then=never)))
        await asyncio.sleep(0.01)
        whole = await one(sending(bytes(MB)))
        return await stalled, whole

    given_up, whole = finish(run())
    assert isinstance(given_up, Refused)
    assert (given_up.status, given_up.code) == (408, "RequestTimeout")
    assert whole == bytes(MB)


def test_small_bodies_need_no_room() -> None:
    async def run() -> None:
        room = Room(1 * MB)
        async with room.of(1 * MB), room.of(SMALL_BYTES), room.of(0):
            return

    finish(run())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"content-length", b"5")], 5),
        ([(b"content-length", b"101")], 0),
        ([(b"transfer-encoding", b"chunked")], 100),
        ([], 0),
    ],
)
def test_a_body_takes_the_room_that_it_says_it_needs(
    headers: list[tuple[bytes, bytes]], expected: int
) -> None:
    assert told_size(Asked.of("POST", "/", b"", headers), 100) == expected


def test_of_pictures_that_come_at_once_only_those_are_taken_that_the_disk_has_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each counts what the others are about to write; otherwise all find the same room."""
    size, results = 100, 1_000_000
    disk = SimpleNamespace(free=results + 3 * size)
    monkeypatch.setattr("imgpipe_cli.local.guard.storage.shutil.disk_usage", lambda _folder: disk)
    storage = Storage(tmp_path, unsaved=lambda: "", sizes=lambda: (0, 0))
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def burst() -> None:
        all_judged = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await all_judged.wait()
            await answers(scope, receive, send)

        guarded = guard(app, storage=storage)
        pictures = [guarded(form(size), sending(b"x" * size), send) for _ in range(8)]
        running = asyncio.gather(*pictures)
        while len(statuses) < 5:
            await asyncio.sleep(0.01)
        all_judged.set()
        await running

    finish(asyncio.wait_for(burst(), 30))
    assert sorted(statuses) == [200] * 3 + [507] * 5
    assert storage.trouble(3 * size, picture=True) == ""
