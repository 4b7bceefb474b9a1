"""`imgpipe` and `python -m imgpipe_cli`."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading


def main() -> None:
    # Starting up makes many objects and hardly any garbage: look for it less often than Python would.
    gc.set_threshold(50_000)
    from imgpipe_cli.cli import main as run

    code = run()
    # The interpreter's last collections would walk through all of the SDK's service models for nothing:
    # a quarter of the CPU time of a short command.
    gc.freeze()
    # A question of doctor's that was not waited for (doctor/checks.py): its calls run in pools, whose threads
    # the interpreter would wait for, up to for ever.
    if any(thread.name == "doctor" for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
