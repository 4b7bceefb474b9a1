"""What a picture is. The rules are those of the ingest function, loaded from its own source, so that
what the command line refuses and what the pipeline refuses can never differ."""

from __future__ import annotations

import importlib.util
import sys
import threading
from typing import TYPE_CHECKING, Any

from imgpipe_cli.lambdas import package

if TYPE_CHECKING:
    from shared.picture import MAX_BYTES, Refusal, content_type, is_picture, refusal, size_text

_loading = threading.Lock()  # a module is registered before it is complete

__all__ = ["MAX_BYTES", "Refusal", "content_type", "is_picture", "refusal", "size_text"]


def _rules() -> Any:
    """The module shared/picture.py, under a name of ours: its own could be anybody's."""
    name = "imgpipe_cli._picture_rules"
    with _loading:
        if name in sys.modules:
            return sys.modules[name]
        spec = importlib.util.spec_from_file_location(name, package.source() / "shared" / "picture.py")
        assert spec is not None and spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    return getattr(_rules(), name)
