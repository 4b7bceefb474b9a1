"""Starting the SDK with less: without AWS's C library, and without a look at all services that there are.

Wherever `awscrt` is installed the SDK imports it, and has it sign each call: 0.1 s and 9 MB for every
command. Here only `upload` needs it, and a profile for `aws login`, whose credentials the SDK cannot read
without it. And before it makes a client it lists the files of all 400 services: 0.02 s.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
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


def find_services_at_once(sdk: Any) -> None:
    """Have a session of botocore take the services that it is asked for as known."""
    loader = sdk.get_component("data_loader")
    listed = loader.list_available_services
    if not isinstance(listed, _Services):
        loader.list_available_services = _Services(listed)


class _Services:
    """Takes the place of the loader's method, and of its answer to "is it among them?"."""

    def __init__(self, listed: Callable[[str], list[str]], type_name: str = "service-2") -> None:
        self._listed = listed
        self._type_name = type_name

    def __call__(self, type_name: str) -> _Services:
        return _Services(self._listed, type_name)

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed(self._type_name))
