"""Ports for servers that tests start as processes of their own, or stop and start again."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from imgpipe_cli.local.process.server import USUAL_PORT

# Below those that a system gives to connections: one of these stays free while its server is stopped.
_OWN = range(15_000, 32_000)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    numbers = random.SystemRandom()  # each worker of the tests draws others
    while True:
        port = numbers.choice(_OWN)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


@contextmanager
def usual_port_taken() -> Iterator[None]:
    """A local cloud that starts here gets a port of its own.

    All would start on the usual port, and one that is stopped for a moment would lose it to another test's.
    """
    with socket.socket() as holder:
        try:
            holder.bind(("127.0.0.1", USUAL_PORT))
            holder.listen()
        except OSError:
            pass  # another worker holds it, or whoever runs the tests has a local cloud
        yield
