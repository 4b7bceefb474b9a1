"""`imgpipe` and `python -m imgpipe_cli`."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from typing import Any

INTERRUPTED = 130

_ENDED_BY_SIGNAL = 128
_A_MOMENT_S = 0.01


def main() -> None:
    # Starting up makes many objects and hardly any garbage: look for it less often than Python would.
    gc.set_threshold(50_000)
    code = _run()
    # The interpreter's last collections would walk through all of the SDK's service models for nothing:
    # a quarter of the CPU time of a short command.
    gc.freeze()
    # The interpreter would wait for the threads of pools, up to for ever: for those of what was interrupted,
    # and for those of a question of doctor's that was not waited for itself (doctor/checks.py). And where
    # Ctrl-C came while a dataclass was made, it would end by the signal and not with this exit code.
    if code > _ENDED_BY_SIGNAL or any(thread.name == "doctor" for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    try:
        sys.unraisablehook = _again
        _clean_up_when_ended()
        from imgpipe_cli.cli import main as run

        return run()
    except KeyboardInterrupt:
        # While it is loading, or again while the command says that it was interrupted.
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1


def _clean_up_when_ended() -> None:
    """A closed terminal, or a polite end, unwinds as Ctrl-C does: so the cursor is shown again."""
    for name in ("SIGTERM", "SIGHUP"):  # the second is not there on Windows
        number = getattr(signal, name, None)
        # What nohup has made to be ignored stays so.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)


def _end(number: int, _frame: Any) -> None:
    raise SystemExit(_ENDED_BY_SIGNAL + number)


def _again(ignored: sys.UnraisableHookArgs) -> None:
    """Send again a Ctrl-C, or a polite end, that came in a callback (of awscrt, of a weak reference).

    Python prints what such a callback raises, and goes on as if nothing had happened.
    """
    ended = ignored.exc_value
    code = ended.code if isinstance(ended, SystemExit) and isinstance(ended.code, int) else 0
    if isinstance(ended, KeyboardInterrupt):
        code = INTERRUPTED
    if code <= _ENDED_BY_SIGNAL:
        sys.__unraisablehook__(ignored)
        return
    # Later, since this runs in the callback too.
    timer = threading.Timer(_A_MOMENT_S, _send, (code - _ENDED_BY_SIGNAL,))
    timer.daemon = True
    with contextlib.suppress(RuntimeError):  # at the very end no thread can begin
        timer.start()


def _send(number: int) -> None:
    """To the main thread, also where it waits for something."""
    if sys.platform == "win32":
        signal.raise_signal(number)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, number)


if __name__ == "__main__":
    main()
