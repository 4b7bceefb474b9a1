"""What the SDK and moto do again and again, with the same outcome each time, done once for all tests."""

from __future__ import annotations

import functools
import pkgutil
import string
import threading
from types import FunctionType
from typing import Any

from botocore.compat import accepts_kwargs
from botocore.hooks import EventAliaser, HierarchicalEmitter
from botocore.loaders import create_loader
from botocore.useragent import sanitize_user_agent_string_component
from moto.backend_index import backend_url_patterns
from moto.core.base_backend import BaseBackend
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.errors import ErrorLookup, ErrorLookupFactory
from moto.core.routing import ServiceOperationRouter
from moto.core.utils import method_names_from_class
from moto.moto_api._internal.moto_random import MotoRandom
from moto.sqs.models import SQSBackend

_of_function = functools.cache(accepts_kwargs)
_emitter: Any = EventAliaser(HierarchicalEmitter())
_alias = functools.cache(_emitter._alias_event_name)


def _accepts_kwargs(function: Any) -> Any:
    """A method's answer is that of its function. Nothing else is kept: it would keep whole clients alive."""
    plain = getattr(function, "__func__", function)
    return _of_function(plain) if isinstance(plain, FunctionType) else accepts_kwargs(function)


def _alias_event_name(_emitter: EventAliaser, name: str) -> str:
    return str(_alias(name))


_receive = SQSBackend.receive_message


def _receive_at_once(
    queues: SQSBackend, name: str, count: int, _wait_s: int, visibility_s: int, *further: Any, **named: Any
) -> Any:
    """Nobody puts anything into a queue of moto's while one call asks for it."""
    return _receive(queues, name, count, 0, visibility_s, *further, **named)


SDK: tuple[tuple[str, Any], ...] = (
    # The models of the services, read anew for each session.
    ("botocore.session.create_loader", functools.cache(create_loader)),
    # The handlers of each new session, with the names of their events: 5 of 6 ms.
    ("botocore.hooks.accepts_kwargs", _accepts_kwargs),
    ("botocore.hooks.EventAliaser._alias_event_name", _alias_event_name),
    # The User-Agent header, twice for each call.
    (
        "botocore.useragent.sanitize_user_agent_string_component",
        functools.cache(sanitize_user_agent_string_component),
    ),
)
_router_of = ServiceOperationRouter._get_router
_routing = threading.Lock()


def _get_router(service: ServiceOperationRouter, protocol: str) -> Any:
    """Made by one thread at a time: Python 3.11 cannot compile in two at once (SystemError)."""
    with _routing:
        return _router_of(service, protocol)


_process = BotocoreStubber.process_request
_answering = threading.RLock()


def _process_request(stubber: BotocoreStubber, request: Any) -> Any:
    """One at a time: moto walks through its dictionaries while other threads change them (RuntimeError)."""
    with _answering:
        return _process(stubber, request)


# The services that the tests call. moto tries the addresses of all 180 for each call, in this order.
_SERVICES = {
    *("apigateway", "awslambda", "ce", "cloudwatch", "dynamodb", "ec2", "iam", "kms", "logs", "rekognition"),
    *("s3", "s3control", "servicequotas", "sns", "sqs", "ssm", "sts"),
}


def _get_random_string(
    random: MotoRandom, length: int = 20, include_digits: bool = True, lower_case: bool = False
) -> str:
    text = "".join(random.choices(string.ascii_letters + string.digits * include_digits, k=length))
    return text.lower() if lower_case else text


_urls: Any = BaseBackend.urls
_known_urls: dict[type[BaseBackend], Any] = {}


def _urls_of_kind(backend: BaseBackend) -> Any:
    """The same for each account and region."""
    kind = type(backend)
    if kind not in _known_urls:
        _known_urls[kind] = _urls.fget(backend)
    return _known_urls[kind]


_create_error_lut = ErrorLookupFactory._create_error_lut
_known_errors: dict[str, ErrorLookup] = {}


def _errors_of_service(model: Any) -> ErrorLookup:
    if model.service_name not in _known_errors:
        _known_errors[model.service_name] = _create_error_lut(model)
    return _known_errors[model.service_name]


MOTO: tuple[tuple[str, Any], ...] = (
    ("moto.core.routing.ServiceOperationRouter._get_router", _get_router),
    ("moto.core.botocore_stubber.BotocoreStubber.process_request", _process_request),
    # 1,400 patterns of URLs for the library `requests`, which nobody here uses: 2 ms an account.
    ("moto.core.models.RESPONSES_METHODS", []),
    # The names of all methods of a service, looked up for each call.
    ("moto.core.responses.method_names_from_class", functools.cache(method_names_from_class)),
    (
        "moto.backend_index.backend_url_patterns",
        [(service, address) for service, address in backend_url_patterns if service in _SERVICES],
    ),
    # The addresses of a service, put together for each call.
    ("moto.core.base_backend.BaseBackend.urls", property(_urls_of_kind)),
    # The errors of a service, read from its model for each error.
    ("moto.core.errors.ErrorLookupFactory._create_error_lut", staticmethod(_errors_of_service)),
    # The id of each request, letter by letter.
    ("moto.moto_api._internal.moto_random.MotoRandom.get_random_string", _get_random_string),
    # Long polling of queues: seconds in each test of `retry`.
    ("moto.sqs.models.SQSBackend.receive_message", _receive_at_once),
)


def replace(name: str, replacement: Any) -> None:
    """Put it in place of what has this dotted name, for good."""
    owner, _, attribute = name.rpartition(".")
    setattr(pkgutil.resolve_name(owner), attribute, replacement)
