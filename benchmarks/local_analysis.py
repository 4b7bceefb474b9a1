"""How fast the local analysis is and what memory it takes: `python benchmarks/local_analysis.py`.

Needs imgpipe[dev] and Linux (memory and CPU times are read from /proc). Uses the installed models and fetches
those that are not there. Starts a local cloud of its own in a temporary folder. On a busy machine, read the
CPU times.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from PIL import Image

from imgpipe_cli.local.process import control
from imgpipe_cli.local.process.running_cloud import LocalCloud
from imgpipe_cli.local.rekognition import Rekognition
from installed_models import with_models

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SAMPLES = ("astronaut.jpg", "cat.jpg", "coffee.jpg", "sign.png")
FEATURES: dict[str, tuple[str, dict[str, object]]] = {
    "labels": ("DetectLabels", {}),
    "properties": ("DetectLabels", {"Features": ["IMAGE_PROPERTIES"]}),
    "faces": ("DetectFaces", {}),
    "text": ("DetectText", {}),
    "moderation": ("DetectModerationLabels", {}),
}

# What issue and design ask for.
MOST_OVERHEAD_MS = 5
MOST_FIRST_ANSWER_S = 3
MOST_BYTES = 900_000_000


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the local analysis.")
    parser.add_argument(
        "--rounds", type=int, default=5, help="how often each picture is analyzed (default 5)"
    )
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as state:
        models = with_models(Path(state) / "models")
        system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
        print(f"{system}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}")
        service = Rekognition(workers=2, models=models)
        print(f"Labels: {service.capabilities()['models']['labels']}\n")
        service.warm()
        _latencies(service, rounds)
        _throughput(service, rounds)
        with _cloud(Path(state)) as (cloud, launched):
            _first_answer(cloud, launched)
            _overhead(service, cloud)
            _memory(Path(state), cloud)
    return 0


def _request(name: str, salt: int = 0, **parameters: object) -> dict[str, object]:
    """Another salt makes other bytes of the same pixels, so that nothing comes from the cache."""
    data = (EXAMPLES / name).read_bytes() + (salt.to_bytes(4, "big") if salt else b"")
    return {"Image": {"Bytes": b64encode(data).decode()}, **parameters}


def _answered(service: Rekognition, feature: str, name: str, salt: int) -> tuple[float, float]:
    """Seconds of wall time and of CPU time for one answer."""
    operation, parameters = FEATURES[feature]
    request = _request(name, salt, **parameters)
    started, started_cpu = time.perf_counter(), time.process_time()
    status, body = service.answer(operation, request, _nothing)
    assert status == 200, body
    return time.perf_counter() - started, time.process_time() - started_cpu


def _nothing(*place: object) -> bytes:
    raise KeyError(place)


def _latencies(service: Rekognition, rounds: int) -> None:
    print(f"Latency of a new picture, ms of wall time / of CPU time (medians of {rounds}), one at a time\n")
    print(f"| picture | {' | '.join(FEATURES)} |\n|---|{'---|' * len(FEATURES)}")
    salt = 0
    for name in SAMPLES:
        cells = []
        for feature in FEATURES:
            times = []
            for _ in range(rounds):
                salt += 1
                times.append(_answered(service, feature, name, salt))
            wall, cpu = (statistics.median(column) * 1000 for column in zip(*times, strict=True))
            cells.append(f"{wall:.0f} / {cpu:.0f}")
        print(f"| {name} | {' | '.join(cells)} |")
    print()


def _throughput(service: Rekognition, rounds: int) -> None:
    print("Pictures per second, 4 callers, samples in turn\n")
    print("| features | pictures/s |\n|---|---|")
    for number, features in enumerate([*([one] for one in FEATURES), list(FEATURES)]):
        jobs = [
            (name, 1_000_000 + number * 10_000 + turn * 10 + place)
            for turn in range(rounds)
            for place, name in enumerate(SAMPLES)
        ]

        def one(job: tuple[str, int], wanted: list[str] = features) -> None:
            for feature in wanted:
                _answered(service, feature, *job)

        started = time.perf_counter()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, jobs))
        print(f"| {', '.join(features)} | {len(jobs) / (time.perf_counter() - started):.1f} |")
    print()


@contextmanager
def _cloud(state: Path) -> Iterator[tuple[LocalCloud, float]]:
    """A local cloud, and when it was launched."""
    launched = time.perf_counter()
    cloud = control.start(state)
    try:
        yield cloud, launched
    finally:
        control.stop(state)


def _first_answer(cloud: LocalCloud, launched: float) -> None:
    started, started_cpu = time.perf_counter(), _cpu_s(cloud.pid)
    _sent(cloud, "DetectLabels", _request("coffee.jpg"))
    ended, cpu = time.perf_counter(), _cpu_s(cloud.pid)
    _result("First DetectLabels asked at once after start, s", ended - started, MOST_FIRST_ANSWER_S)
    print(f"  of which CPU {cpu - started_cpu:.2f} s; from launch {ended - launched:.2f} s, CPU {cpu:.2f} s")


def _cpu_s(pid: int) -> float:
    """What the process has used since its start; user and system are fields 14 and 15 of proc(5)'s stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _overhead(service: Rekognition, cloud: LocalCloud) -> None:
    """Server minus bare analysis for a picture whose analysis is in the cache of both."""
    request = _request("cat.jpg")
    ask = _asker(cloud, "DetectFaces", request)
    bare = _median_ms(lambda: service.answer("DetectFaces", request, _nothing))
    served = _median_ms(ask)
    print(f"Bare answer from the cache {bare:.2f} ms, over the server {served:.2f} ms")
    _result("Server overhead a request, ms", served - bare, MOST_OVERHEAD_MS)


def _median_ms(call: Callable[[], object], times: int = 200) -> float:
    for _ in range(20):
        call()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1000


def _asker(cloud: LocalCloud, operation: str, request: dict[str, object]) -> Callable[[], bytes]:
    """One signed request over one open connection, so that the client's own work is not measured."""
    body = json.dumps(request).encode()
    headers = {
        "X-Amz-Target": f"RekognitionService.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Host": urlsplit(cloud.endpoint).netloc,
    }
    signed = AWSRequest("POST", f"{cloud.endpoint}/", headers=headers, data=body)
    keys = Credentials(cloud.access_key_id, cloud.secret_access_key)
    SigV4Auth(keys, "rekognition", cloud.region).add_auth(signed)
    connection = http.client.HTTPConnection(urlsplit(cloud.endpoint).netloc, timeout=60)

    def ask() -> bytes:
        connection.request("POST", "/", body, dict(signed.headers.items()))
        response = connection.getresponse()
        answer = response.read()
        assert response.status == 200, answer
        return answer

    return ask


def _sent(cloud: LocalCloud, operation: str, request: dict[str, object]) -> None:
    _asker(cloud, operation, request)()


def _memory(state: Path, cloud: LocalCloud) -> None:
    """After everything is loaded and worked: the samples, then large pictures, four callers at once."""
    buffer = BytesIO()
    large = Image.open(EXAMPLES / "astronaut.jpg").resize((4032, 3024))
    large.save(buffer, "JPEG", quality=60)
    twelve = b64encode(buffer.getvalue()).decode()
    jobs: list[tuple[str, dict[str, object]]] = []
    for salt in range(3):
        for name in SAMPLES:
            for operation, parameters in FEATURES.values():
                jobs.append((operation, _request(name, 5_000_000 + salt, **parameters)))
    for operation, parameters in FEATURES.values():
        jobs.append((operation, {"Image": {"Bytes": twelve}, **parameters}))
    most = 0
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(_sent, cloud, *job) for job in jobs]
        while not all(call.done() for call in calls):
            most = max(most, control.status(state).memory_bytes or 0)
            time.sleep(0.1)
        for call in calls:
            call.result()
    rest = control.status(state).memory_bytes or 0
    print(f"Memory (PSS) of the cloud without function workers: at rest afterwards {rest / 1e6:.0f} MB")
    _result("Most memory while working, MB", most / 1e6, MOST_BYTES / 1e6)


def _result(what: str, value: float, most: float) -> None:
    print(f"{what}: {value:.2f} (at most {most:g}): {'kept' if value <= most else 'MISSED'}")


if __name__ == "__main__":
    sys.exit(main())
