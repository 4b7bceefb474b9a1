"""Which operations this process really sends to AWS, written down by the SDK itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from botocore import xform_name
from botocore.model import OperationModel

Sent = tuple[str, str]
"""Service and operation, by boto3's names."""


class _Listener(logging.Handler):
    def __init__(self, told: Callable[[Sent], None]) -> None:
        super().__init__(logging.DEBUG)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        # "Making request for %s with params: %s": each attempt of each call, pages too.
        arguments = record.args
        if isinstance(arguments, tuple) and arguments and isinstance(arguments[0], OperationModel):
            operation = arguments[0]
            self._told((operation.service_model.service_name, xform_name(operation.name)))


@contextmanager
def recorded(told: Callable[[Sent], None]) -> Iterator[None]:
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
