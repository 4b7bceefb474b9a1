"""`imgpipe` and `python -m imgpipe_cli`."""

from __future__ import annotations

import sys


def main() -> None:
    from imgpipe_cli.cli import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()
