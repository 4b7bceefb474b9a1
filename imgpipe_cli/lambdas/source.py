"""Rules that the functions and the command line share, loaded from the functions' own source, so that the
two can never disagree."""

from __future__ import annotations

import importlib.util
import sys
import threading
from typing import Any

from imgpipe_cli.lambdas import package

_loading = threading.Lock()  # a module is registered before it is complete


def shared(module: str) -> Any:
    """A module of lambda_src/shared that needs no other, under a name of ours: its own could be anybody's."""
    name = f"imgpipe_cli._shared_{module}"
    with _loading:
        if name in sys.modules:
            return sys.modules[name]
        spec = importlib.util.spec_from_file_location(name, package.source() / "shared" / f"{module}.py")
        assert spec is not None and spec.loader is not None
        loaded = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        return loaded
