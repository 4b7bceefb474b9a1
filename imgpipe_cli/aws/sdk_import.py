"""Importing the SDK without AWS's C library.

Wherever `awscrt` is installed the SDK imports it, and has it sign each call: 0.1 s and 9 MB for every
command. Here only `upload` needs it, and a profile for `aws login`, whose credentials the SDK cannot read
without it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

_LIBRARY = "awscrt"
_NEEDS_IT = "login_session"


def without_crt() -> None:
    """Import what decides that for good, unless it is imported already, or the library is needed."""
    modules: dict[str, Any] = sys.modules  # None in it keeps a module from being imported
    if "botocore.compat" in modules or _LIBRARY in modules or _is_needed():
        return
    modules[_LIBRARY] = None
    try:
        import botocore.compat  # noqa: F401
    finally:
        del modules[_LIBRARY]


def _is_needed() -> bool:
    file = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config")
    try:
        return _NEEDS_IT in file.expanduser().read_text(encoding="utf-8", errors="replace")
    except (OSError, RuntimeError):
        return False
