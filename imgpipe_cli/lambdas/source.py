"""The rules that the functions and the command line share, loaded from the functions' own source, so that the
two can never disagree.

Each name is a module of lambda_src, loaded when it is first used. `dynamo_types` and `table_rows` need boto3;
the others need the standard library only. All import their neighbors relatively.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from imgpipe_cli.lambdas import package

if TYPE_CHECKING:
    from shared import (
        dynamo_types,
        events,
        forced,
        identity,
        index_rows,
        jpeg_parts,
        orientation,
        original,
        picture,
        picture_kinds,
        result_objects,
        results,
        table_rows,
        tiff_tags,
    )
    from web import modules as page_modules

__all__ = [
    "dynamo_types",
    "events",
    "forced",
    "identity",
    "index_rows",
    "jpeg_parts",
    "orientation",
    "original",
    "page_modules",
    "picture",
    "picture_kinds",
    "result_objects",
    "results",
    "table_rows",
    "tiff_tags",
]

# A package of ours: `shared` by itself could be anybody's.
_PACKAGE = "imgpipe_cli._lambda_src"


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(name)
    if _PACKAGE not in sys.modules:
        root = ModuleType(_PACKAGE)
        root.__path__ = [str(package.source())]
        sys.modules.setdefault(_PACKAGE, root)
    place = "web.modules" if name == "page_modules" else f"shared.{name}"
    # Kept, so that it is asked for once: some are used for each of thousands of pictures.
    globals()[name] = module = importlib.import_module(f"{_PACKAGE}.{place}")
    return module
