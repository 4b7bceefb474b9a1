"""Rekognition on the local cloud's port: the wire format and the caller's rights on the picture.

What is found in the pixels is the work of local/rekognition/; this file only carries it. MiniStack has
checked the caller's `rekognition:*` action before a request arrives here.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import json
import logging
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from imgpipe_cli.local.rekognition.faults import FaultSwitch, Outcome

LOGGER = logging.getLogger("imgpipe.local.rekognition")

MODEL_HEADER = "x-model-version"

ReadObject = Callable[[str, str, str | None], bytes]
Response = tuple[int, dict[str, str], bytes]


class Analysis(Protocol):
    """What local/rekognition/ provides."""

    def answer(
        self, operation: str, request: dict[str, Any], read_object: ReadObject
    ) -> tuple[int, dict[str, Any]]: ...
    def capabilities(self) -> dict[str, Any]: ...
    def warm(self) -> None: ...


class RekognitionService:
    """MiniStack's handler for `rekognition`; loads the analysis in the background."""

    def __init__(
        self,
        load: Callable[[], Analysis],
        read: CallerReads,
        *,
        workers: int,
        faults: FaultSwitch | None = None,
    ) -> None:
        self._load = load
        self._read = read
        self._faults = faults or FaultSwitch()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="imgpipe-rekognition")
        self._loading = threading.Lock()
        self._analysis: Analysis | None = None
        self._failure = ""

    async def handle(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Response:
        """Answer one call; the event loop only waits."""
        del method, path
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        status, answer = await self._answered(operation, headers, body, query)
        if "__type" in answer:
            answer = {"Code": answer["__type"], "Logref": str(uuid.uuid4()), **answer}
        names = self._named_model(operation) if status == 200 else {}
        headers_out = {"Content-Type": "application/x-amz-json-1.1", **names}
        return status, headers_out, json.dumps(answer).encode()

    def _named_model(self, operation: str) -> dict[str, str]:
        """DetectFaces has no member for a model version, and every answer shall name what found it."""
        model = self.capabilities().get("operations", {}).get(operation, {}).get("model")
        return {MODEL_HEADER: model} if model else {}

    async def _answered(
        self, operation: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> tuple[int, dict[str, Any]]:
        injected = self._faults.injected(operation)
        if injected is None or injected.outcome != "throttled":
            await asyncio.sleep(self._faults.latency_s(operation))
        if injected is not None:
            self._faults.count(operation, injected.outcome)
            return injected.status, injected.body()
        # The thread must see whose request this is: MiniStack keeps the caller in context variables.
        context = contextvars.copy_context()
        read = self._read.for_request(headers, query)
        loop = asyncio.get_running_loop()
        status, answer = await loop.run_in_executor(
            self._pool, context.run, self._answer, operation, body, read
        )
        self._faults.count(operation, _outcome(status))
        return status, answer

    def capabilities(self) -> dict[str, Any]:
        """What can be analyzed, or why not yet."""
        if self._analysis is not None:
            return self._analysis.capabilities()
        return {"unavailable": self._failure or "loading"}

    def warm(self) -> None:
        """Load the models in a background thread, so that the first picture does not wait for them."""
        threading.Thread(target=self._warm, name="imgpipe-rekognition-warm", daemon=True).start()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _warm(self) -> None:
        try:
            self._loaded().warm()
        except Exception as error:
            self._failure = f"{type(error).__name__}: {error}"
            LOGGER.exception("Rekognition could not be loaded")

    def _loaded(self) -> Analysis:
        with self._loading:
            if self._analysis is None:
                self._analysis = self._load()
            return self._analysis

    def _answer(self, operation: str, body: bytes, read: ReadObject) -> tuple[int, dict[str, Any]]:
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            request = None
        if not isinstance(request, dict):
            return 400, {"__type": "SerializationException", "Message": "The request is not a JSON object."}
        try:
            return self._loaded().answer(operation, request, read)
        except Exception as error:
            LOGGER.exception("%s failed", operation)
            return 500, {"__type": "InternalServerError", "Message": f"{type(error).__name__}: {error}"}


def _outcome(status: int) -> Outcome:
    return "answered" if status == 200 else "refused" if status < 500 else "failed"


class CallerReads:
    """Reads S3 objects with the rights of whoever called Rekognition, as AWS does."""

    def __init__(self, app: Any, iam_evaluator: Any, iam_actions: Any, router: Any) -> None:
        self._app = app
        self._evaluator = iam_evaluator
        self._actions = iam_actions
        self._router = router

    def for_request(self, headers: dict[str, str], query: dict[str, list[str]]) -> ReadObject:
        """A function for the thread of one request; raises KeyError or PermissionError."""
        caller = self._router.extract_access_key_id(headers, query)
        region = self._router.extract_region(headers, query)
        # With the caller's own signature S3 also sees that a bucket of another region is not to be had,
        # as on AWS.
        passed_on = frozenset({"host", "authorization", "x-amz-security-token"})
        signed = {name: value for name, value in headers.items() if name in passed_on}

        def read(bucket: str, key: str, version: str | None) -> bytes:
            parameters = {"versionId": [version]} if version else {}
            path = f"/{bucket}/{key}"
            action = "s3:GetObjectVersion" if version else "s3:GetObject"
            denied = self._evaluator.enforce(
                caller,
                action,
                "s3",
                region,
                resource_arn=f"arn:aws:s3:::{bucket}/{key}",
                service_context=self._actions.s3_service_context(action, parameters, path),
            )
            if denied:
                raise PermissionError(f"{action} on {bucket}/{key}")
            return self._object(path, signed, parameters)

        return read

    def _object(self, path: str, headers: dict[str, str], parameters: dict[str, list[str]]) -> bytes:
        status, _, body = self._app.call_service_handler_sync(
            self._app.SERVICE_HANDLERS["s3"], "GET", path, headers, b"", parameters, timeout=30
        )
        if status != 200:
            raise KeyError(quote(path))
        return bytes(body)


def register(service: RekognitionService, app: Any, router: Any, iam_actions: Any) -> None:
    """Give MiniStack one more service. It has no plug-ins; these three dictionaries are all it consults."""
    app.SERVICE_HANDLERS["rekognition"] = service.handle
    # Without a pattern, the first call would search every model of botocore, for seconds, on the event loop.
    router.SERVICE_PATTERNS["rekognition"] = {
        "host_patterns": [r"rekognition\."],
        "target_prefixes": ["RekognitionService"],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE["rekognition"] = "rekognition"


def load_analysis(workers: int, models: Path) -> Analysis:
    """The real analysis; imported late, because OpenCV and its models take a second and 200 MB."""
    package = importlib.import_module("imgpipe_cli.local.rekognition")
    store = importlib.import_module("imgpipe_cli.local.models.store")
    analysis: Analysis = package.Rekognition(workers=workers, models=store.ModelFolder(models))
    return analysis
