"""The local Rekognition as the server sees it: one call in, a status and a body out.

Owns the bounded pool. Signatures, permissions, HTTP and Logref belong to the server.
"""

from __future__ import annotations

import contextvars
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, get_args

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.models.catalogue import MODELS, Model, Role
from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.local.rekognition.capabilities import RoleState, capabilities
from imgpipe_cli.local.rekognition.errors import Refusal, internal, invalid_parameter
from imgpipe_cli.local.rekognition.moderation import is_installed

if TYPE_CHECKING:
    from imgpipe_cli.local.rekognition.analysis import Analysis
    from imgpipe_cli.local.rekognition.operations import Job

ReadObject = Callable[[str, str, str | None], bytes]

_log = logging.getLogger(__name__)


class Rekognition:
    """Answers requests from any number of threads with the work of `workers` threads.

    Waiting requests hold no picture of the bucket: objects are read by the worker. The finders run with as
    many threads as leave no core to two of them. models: where models may be installed, now or later;
    catalogue: which ones.
    """

    def __init__(
        self, *, workers: int = 2, models: ModelFolder | None = None, catalogue: Sequence[Model] = MODELS
    ) -> None:
        self._workers = workers
        self._models = models
        self._catalogue = catalogue
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="rekognition")
        self._lock = threading.Lock()
        self._analysis: Analysis | None = None

    def answer(
        self, operation: str, request: dict[str, Any], read_object: ReadObject
    ) -> tuple[int, dict[str, Any]]:
        """The HTTP status and the JSON body; blocks until they are there.

        request: the decoded JSON body, Image.Bytes as base64 text. read_object(bucket, key, version) runs in
        a worker thread, in this call's context; KeyError means missing, PermissionError not allowed.
        """
        from imgpipe_cli.local.rekognition.operations import job

        try:
            if not isinstance(request, dict):
                raise invalid_parameter("the body must be a JSON object.")
            order = job(operation, request)
            context = contextvars.copy_context()
            return 200, self._pool.submit(context.run, self._carried_out, order, read_object).result()
        except Refusal as refusal:
            return refusal.status, refusal.body()
        except Problem as problem:
            return self._failed(f"{problem.message} {problem.hint}")
        except Exception:
            # The boundary of the service: whatever a model or decoder throws is an answer, as on AWS.
            _log.exception("The local Rekognition could not answer %s", operation)
            return self._failed("The local analysis failed; the log of the local cloud has the reason.")

    def capabilities(self) -> dict[str, Any]:
        """What each operation really does, with which model, and what it cannot do; loads no model."""
        states = {role: self._state(role) for role in get_args(Role)}
        return capabilities(states, moderation=is_installed())

    def _state(self, role: Role) -> RoleState:
        """Of the installed model of that role, else of the one that everybody gets."""
        state = RoleState("", "missing")
        for model in sorted(self._catalogue, key=lambda model: model.optional):
            if model.role == role and self._models is not None:
                condition = self._models.condition(model)
                if condition == "installed" or not model.optional:
                    state = RoleState(model.version, condition)
        return state

    def warm(self) -> None:
        """Load all models, so that the first answer is fast. Raises Problem where OpenCV is unsuitable."""
        self._pool.submit(lambda: self._finders().load()).result()

    def _carried_out(self, order: Job, read_object: ReadObject) -> dict[str, Any]:
        from imgpipe_cli.local.rekognition.wire import fetched

        return order.body(self._finders(), fetched(order.source, read_object))

    def _failed(self, message: str) -> tuple[int, dict[str, Any]]:
        refusal = internal(message)
        return refusal.status, refusal.body()

    def _finders(self) -> Analysis:
        """Made by the first worker that needs them."""
        from imgpipe_cli.local.rekognition.analysis import Analysis
        from imgpipe_cli.local.rekognition.installed import InstalledModels

        with self._lock:
            if self._analysis is None:
                threads = max(1, (os.cpu_count() or 1) // self._workers)
                models = InstalledModels(self._models, self._catalogue, threads)
                self._analysis = Analysis(threads=threads, models=models)
            return self._analysis
