"""`imgpipe` and `python -m imgpipe_cli`."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    # Starting up makes many objects and hardly any garbage: look for it less often than Python would.
    gc.set_threshold(50_000)
    from imgpipe_cli.cli import main as run

    code = run()
    # The interpreter's last collections would walk through all of the SDK's service models for nothing:
    # a quarter of the CPU time of a short command.
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
