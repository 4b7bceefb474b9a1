"""What the SDK and moto compute again and again, with the same outcome each time, kept for all tests."""

from __future__ import annotations

import functools
from types import FunctionType
from typing import Any

from botocore.compat import accepts_kwargs
from botocore.hooks import EventAliaser
from botocore.loaders import create_loader

_of_function = functools.cache(accepts_kwargs)
_alias = functools.cache(EventAliaser(None)._alias_event_name)


def _accepts_kwargs(function: Any) -> Any:
    """A method's answer is that of its function. Nothing else is kept: it would keep whole clients alive."""
    plain = getattr(function, "__func__", function)
    return _of_function(plain) if isinstance(plain, FunctionType) else accepts_kwargs(function)


def _alias_event_name(_emitter: EventAliaser, name: str) -> str:
    return str(_alias(name))


FASTER = (
    # The models of the services, read anew for each session.
    ("botocore.session.create_loader", functools.cache(create_loader)),
    # The handlers of each new session, with the names of their events: 5 of 6 ms.
    ("botocore.hooks.accepts_kwargs", _accepts_kwargs),
    ("botocore.hooks.EventAliaser._alias_event_name", _alias_event_name),
    # 1,400 patterns of URLs for the library `requests`, which nobody here uses: 2 ms an account.
    ("moto.core.models.RESPONSES_METHODS", []),
)
