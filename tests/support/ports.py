"""Ports for servers that tests start as processes of their own, or stop and start again."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from imgpipe_cli.local.files import LocalFiles

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


def keep_a_port(state: Path) -> None:
    """The local cloud of this state folder starts there each time, and finds it free.

    On the usual port, or one that the system gives, another test would follow while it is stopped.
    """
    port = LocalFiles(state / "local").port
    port.parent.mkdir(mode=0o700)
    port.write_text(str(free_port()))
