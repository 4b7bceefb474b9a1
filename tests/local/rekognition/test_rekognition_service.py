"""Threads, cache and loading: equal bytes are analyzed once, no more at a time than workers."""

from __future__ import annotations

import contextvars
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from imgpipe_cli.local.rekognition import Rekognition
from imgpipe_cli.local.rekognition.analysis import Analysis
from imgpipe_cli.local.rekognition.wire import Upload

Sample = Callable[[str], bytes]
IN_S3 = {"Image": {"S3Object": {"Bucket": "pictures", "Name": "a.jpg"}}}


def test_the_text_of_one_picture_is_read_once(sample: Sample) -> None:
    analysis = Analysis(threads=1)
    upload = Upload(sample("sign.png"), "digest")
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(analysis.lines, upload) for _ in range(8)]
    first = calls[0].result()
    assert all(call.result() is first for call in calls)
    assert analysis.lines(Upload(b"never looked at", "digest")) is first


def test_no_more_pictures_are_in_hand_than_there_are_workers(sample: Sample) -> None:
    service = Rekognition(workers=2)
    lock, together = threading.Lock(), threading.Barrier(2)
    in_hand = most = 0

    def read(bucket: str, key: str, version: str | None) -> bytes:
        nonlocal in_hand, most
        with lock:
            in_hand += 1
            most = max(most, in_hand)
        together.wait(60)
        with lock:
            in_hand -= 1
        return sample("cat.jpg")

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(service.answer, "DetectText", IN_S3, read) for _ in range(16)]
        assert all(call.result()[0] == 200 for call in calls)
    assert most == 2


def test_the_object_is_read_in_the_context_of_the_call(rekognition: Rekognition, sample: Sample) -> None:
    """The server keeps the caller's account in a context variable."""
    caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="nobody")
    seen: list[str] = []

    def read(bucket: str, key: str, version: str | None) -> bytes:
        seen.append(caller.get())
        return sample("cat.jpg")

    caller.set("somebody")
    rekognition.answer("DetectText", IN_S3, read)
    assert seen == ["somebody"]


def test_many_threads_get_the_right_answer_each(seeing: Rekognition, sample: Sample) -> None:
    pictures = {"astronaut.jpg": 1, "cat.jpg": 0, "coffee.jpg": 0, "sign.png": 0}

    def faces(name: str, spoil: int) -> int:
        data = sample(name) + bytes([spoil])  # another digest, the same pixels
        return len(seeing.answer("DetectFaces", IN_S3, lambda *_: data)[1]["FaceDetails"])

    with ThreadPoolExecutor(8) as pool:
        calls = [(name, pool.submit(faces, name, spoil)) for name in pictures for spoil in range(4)]
    assert [(name, call.result()) for name, call in calls] == [(name, pictures[name]) for name, _ in calls]


def test_importing_and_describing_it_loads_no_image_library() -> None:
    code = (
        "import json, sys\n"
        "from imgpipe_cli.local.rekognition import Rekognition\n"
        "Rekognition().capabilities()\n"
        "heavy = ('cv2', 'onnxruntime', 'rapidocr', 'numpy', 'PIL')\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_capabilities_name_each_operation_its_model_and_what_it_cannot_do(seeing: Rekognition) -> None:
    operations = seeing.capabilities()["operations"]
    assert sorted(operations) == ["DetectFaces", "DetectLabels", "DetectModerationLabels", "DetectText"]
    assert all(entry["does"] and entry["cannot"] for entry in operations.values())
    assert all(operations[name]["available"] for name in ("DetectLabels", "DetectFaces", "DetectText"))
    json.dumps(seeing.capabilities())


def test_capabilities_say_what_is_missing_and_how_to_get_it(rekognition: Rekognition) -> None:
    operations = rekognition.capabilities()["operations"]
    assert not operations["DetectFaces"]["available"]
    for name in ("DetectLabels", "DetectFaces"):
        assert "imgpipe local models fetch" in operations[name]["cannot"]
