"""Which operations this process really sends to AWS, and about what, written down by the SDK itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from botocore import xform_name
from botocore.model import OperationModel

Sent = tuple[str, str]
"""Service and operation, by boto3's names."""


Told = Callable[[Sent, str], None]
"""Takes a call, and its request as text: all names of resources stand in it as they are."""


class _Listener(logging.Handler):
    def __init__(self, told: Told) -> None:
        super().__init__(logging.DEBUG)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        # "Making request for %s with params: %s": each attempt of each call, pages too.
        arguments = record.args
        if isinstance(arguments, tuple) and arguments and isinstance(arguments[0], OperationModel):
            operation: OperationModel = arguments[0]
            request: Any = arguments[1]
            self._told((operation.service_model.service_name, xform_name(operation.name)), _text(request))


def _text(request: Mapping[str, Any]) -> str:
    """URL and body, without what is sent as a stream: that is a picture."""
    body = request["body"]
    if isinstance(body, Mapping):  # of the query protocol: its values are the names
        body = " ".join(map(str, body.values()))
    if isinstance(body, bytes):
        body = body.decode(errors="replace")
    return unquote(f"{request['url']} {body if isinstance(body, str) else ''}")


@contextmanager
def recorded(told: Told) -> Iterator[None]:
    """Hear of every request that botocore sends meanwhile, in whatever thread."""
    logger = logging.getLogger("botocore.endpoint")
    listener, level, propagate = _Listener(told), logger.level, logger.propagate
    logger.addHandler(listener)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False  # a test's captured log needs no request bodies
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
        logger.propagate = propagate
