"""What the SDK and moto do again and again, with the same outcome each time, done once for all tests."""

from __future__ import annotations

import functools
import inspect
import io
import pkgutil
import re
import string
import sys
import threading
from types import FunctionType
from typing import Any
from urllib.parse import unquote, urlparse

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import accepts_kwargs, get_current_datetime
from botocore.endpoint_provider import EndpointProvider
from botocore.hooks import EventAliaser, HierarchicalEmitter, NodeList
from botocore.loaders import create_loader
from botocore.useragent import UserAgentString, sanitize_user_agent_string_component
from moto import backend_index
from moto.backend_index import backend_url_patterns
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.base_backend import BaseBackend
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.errors import ErrorLookup, ErrorLookupFactory
from moto.core.exceptions import HTTPException
from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY, Request, normalize_request
from moto.core.request import environ_key_for_header as key_in_environ
from moto.core.request import should_preserve_original_header_name as is_kept_as_sent
from moto.core.routing import ServiceOperationRouter
from moto.core.utils import (
    camelcase_to_underscores,
    get_equivalent_url_in_aws_domain,
    method_names_from_class,
)
from moto.moto_api._internal.moto_random import MotoRandom
from moto.sqs.models import SQSBackend

from tests.support.faster_dynamodb import DYNAMODB

_emitter: Any = EventAliaser(HierarchicalEmitter())
_alias = functools.cache(_emitter._alias_event_name)


def _accepts_kwargs(function: Any) -> Any:
    """As its code says. An answer that is kept would keep its function, and with that a whole client."""
    plain = getattr(function, "__func__", function)
    if isinstance(plain, FunctionType):
        return plain.__code__.co_flags & inspect.CO_VARKEYWORDS
    return accepts_kwargs(function)


def _alias_event_name(_emitter: EventAliaser, name: str) -> str:
    return str(_alias(name))


_receive = SQSBackend.receive_message


def _receive_at_once(
    queues: SQSBackend, name: str, count: int, _wait_s: int, visibility_s: int, *further: Any, **named: Any
) -> Any:
    """Nobody puts anything into a queue of moto's while one call asks for it."""
    return _receive(queues, name, count, 0, visibility_s, *further, **named)


_providers: dict[int, tuple[Any, EndpointProvider]] = {}


def _endpoint_provider(ruleset_data: Any, **more: Any) -> EndpointProvider:
    """One for all clients of a service: the rules of its addresses are read anew for each client."""
    if id(ruleset_data) not in _providers:  # the loader keeps what it has loaded
        _providers[id(ruleset_data)] = (ruleset_data, EndpointProvider(ruleset_data=ruleset_data, **more))
    return _providers[id(ruleset_data)][1]


def _copy_of_handlers(nodes: NodeList) -> NodeList:
    return NodeList(nodes.first[:], nodes.middle[:], nodes.last[:])


_text_of = UserAgentString.to_string


def _user_agent(named: UserAgentString) -> str:
    """Nobody here reads which features a call used."""
    if "_text" not in named.__dict__:
        named.__dict__["_text"] = _text_of(named)
    return str(named.__dict__["_text"])


_sign = SigV4Auth.add_auth


def _sign_for_moto(signer: Any, request: AWSRequest) -> None:
    """moto reads whose key it is, and checks no signature. Every other endpoint gets a real one."""
    host = str(urlparse(str(request.url)).hostname)
    if not host.endswith(".amazonaws.com") or type(signer) not in (SigV4Auth, S3SigV4Auth):
        _sign(signer, request)
    elif signer.credentials is None:
        _sign(signer, request)  # raises the error of that
    else:
        request.context["timestamp"] = get_current_datetime().strftime("%Y%m%dT%H%M%SZ")
        signer._modify_request_before_signing(request)
        request.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders=host, Signature=none"
        )


SDK: tuple[tuple[str, Any], ...] = (
    # The models of the services, read anew for each session.
    ("botocore.session.create_loader", functools.cache(create_loader)),
    # The handlers of each new session, with the names of their events: 5 of 6 ms.
    ("botocore.hooks.accepts_kwargs", _accepts_kwargs),
    ("botocore.hooks.EventAliaser._alias_event_name", _alias_event_name),
    ("botocore.hooks.NodeList.__copy__", _copy_of_handlers),
    ("botocore.regions.EndpointProvider", _endpoint_provider),
    # The User-Agent header, twice for each call.
    (
        "botocore.useragent.sanitize_user_agent_string_component",
        functools.cache(sanitize_user_agent_string_component),
    ),
    ("botocore.useragent.UserAgentString.to_string", _user_agent),
    ("botocore.auth.SigV4Auth.add_auth", _sign_for_moto),
)
_router_of = ServiceOperationRouter._get_router
_routing = threading.Lock()


def _get_router(service: ServiceOperationRouter, protocol: str) -> Any:
    """Made by one thread at a time: Python 3.11 cannot compile in two at once (SystemError)."""
    with _routing:
        return _router_of(service, protocol)


_answering = threading.RLock()


def _process_request(_stubber: BotocoreStubber, request: Any) -> Any:
    """One at a time: moto walks through its dictionaries while other threads change them (RuntimeError)."""
    with _answering:
        address, _ = get_equivalent_url_in_aws_domain(request.url)
        answer = _who_answers(f"{address.scheme}://{address.netloc}{address.path}")
        if answer is None:
            is_aws = (address.hostname or "").endswith(".amazonaws.com")
            return (404, {}, "Not yet implemented") if is_aws else None
        asked = normalize_request(request)
        try:
            return answer(asked, asked.raw_url, asked.headers)
        except HTTPException as refused:
            return refused.code, refused.get_headers(), refused.get_body()


@functools.lru_cache(4096)
def _who_answers(url: str) -> Any:
    """The method of moto's that takes calls of this URL; found anew for each call otherwise."""
    for service, address in backend_index.backend_url_patterns:
        if address.match(url):
            backends: Any = get_backend(service)
            regions = backends[DEFAULT_ACCOUNT_ID]
            urls = regions["us-east-1" if "us-east-1" in regions else "aws"].urls
            for pattern, method in urls.items():
                if re.match(pattern, url):
                    return method
    return None


_of_any_kind: Any = Request.from_primitives.__func__


def _from_primitives(kind: type[Request], method: str, url: str, headers: Any, body: Any = None) -> Any:
    """The same request without a builder of requests between: a tenth of the time of each call."""
    address = urlparse(url)
    sent = body.encode() if isinstance(body, str) else body
    multipart = "multipart" in str(headers.get("Content-Type", ""))
    if not isinstance(sent, bytes | bytearray | None) or multipart or address.path.startswith("//"):
        return _of_any_kind(kind, method, url, headers, body)
    uri = _as_latin(address.path)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": _as_latin(unquote(address.path)),
        "QUERY_STRING": _as_latin(address.query),
        "REQUEST_URI": uri,
        "RAW_URI": uri,
        "SERVER_NAME": address.hostname,
        "SERVER_PORT": str(address.port or {"http": 80, "https": 443}[address.scheme]),
        "HTTP_HOST": address.netloc,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": address.scheme,
        "wsgi.input": io.BytesIO(sent or b""),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    as_sent = {}
    for name, value in headers.items():
        key = key_in_environ(name)
        if key != "HTTP_TRANSFER_ENCODING":
            text = value.decode() if isinstance(value, bytes) else str(value)
            environ[key] = f"{environ[key]}, {text}" if key in as_sent else text
            as_sent[key] = name
    environ["CONTENT_LENGTH"] = str(len(sent or b""))
    environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = {
        key: name for key, name in as_sent.items() if is_kept_as_sent(name)
    }
    return kind(environ)


def _as_latin(text: str) -> str:
    """As WSGI has it."""
    return text.encode().decode("latin1")


# The services that the tests call. moto tries the addresses of all 180 for each call, in this order.
_SERVICES = {
    *("apigateway", "awslambda", "ce", "cloudwatch", "dynamodb", "ec2", "iam", "kms", "logs", "rekognition"),
    *("s3", "s3control", "servicequotas", "sns", "sqs", "ssm", "sts"),
}


_ALPHABETS = {
    digits: bytes(
        (string.ascii_letters + string.digits * digits).encode()[byte % (52 + 10 * digits)]
        for byte in range(256)
    )
    for digits in (False, True)
}


def _get_random_string(
    random: MotoRandom, length: int = 20, include_digits: bool = True, lower_case: bool = False
) -> str:
    text: str = random.randbytes(length).translate(_ALPHABETS[include_digits]).decode()
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


_words_of = functools.cache(camelcase_to_underscores)

MOTO: tuple[tuple[str, Any], ...] = (
    ("moto.core.routing.ServiceOperationRouter._get_router", _get_router),
    ("moto.core.botocore_stubber.BotocoreStubber.process_request", _process_request),
    ("moto.core.request.Request.from_primitives", classmethod(_from_primitives)),
    # Letter by letter, for each call and each field of its answer.
    ("moto.core.responses.camelcase_to_underscores", _words_of),
    ("moto.core.utils.camelcase_to_underscores", _words_of),
    ("moto.sqs.models.camelcase_to_underscores", _words_of),
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
    *DYNAMODB,
)


def replace(name: str, replacement: Any) -> None:
    """Put it in place of what has this dotted name, for good."""
    owner, _, attribute = name.rpartition(".")
    setattr(pkgutil.resolve_name(owner), attribute, replacement)
