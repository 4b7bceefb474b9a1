"""The only door to AWS: one session, clients made once, a pinned retry policy, and our errors.

Nothing else imports boto3 or botocore. Callers name a service and an operation and get plain
answers; whatever goes wrong arrives as an `AwsError`, and `aws_problems` turns one that nobody
expected into a Problem with a hint.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import random
import re
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from imgpipe_cli.aws.not_found import codes_of
from imgpipe_cli.aws.sdk_errors import code_of, is_foreign, told
from imgpipe_cli.aws.sdk_settings import Setting, UserSettings, bundle_fault, proxy_fault, without_password
from imgpipe_cli.system.single_flight import KnownValues
from imgpipe_cli.system.threads import Pool

# Reads of one look run side by side; each waits for the network, so this costs no CPU. Fewer than one
# look has reads would make the last of them wait for another round trip.
_READERS = 64
_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# The domains of AWS's own endpoints, in all its partitions.
_AWS_DOMAINS = (
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".api.aws",
    ".c2s.ic.gov",
    ".sc2s.sgov.gov",
    ".cloud.adc-e.uk",
    ".csp.hci.ic.gov",
)


# AWS did not carry the call out: there were too many in a short time.
THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "PriorRequestNotComplete",
        "SlowDown",
        "ProvisionedThroughputExceededException",
    }
)
# AWS is in trouble. Not 501, by which an endpoint says that it does not know the operation.
_TROUBLE = frozenset({500, 502, 503, 504})
_LONGEST_BUSY_PAUSE_S = 15.0


class AwsError(Exception):
    """One failed call.

    code: AWS's error code, or one of ours for what never reached AWS: Unreachable, NoCredentials,
    BrokenCredentials, HalfAPair, MfaNeeded, CrtNeeded, SsoLogin, AwsLogin, BadKeys, BadProfile, BadFile,
    BadSetting, NoRegion, BadRegion, BadParameters, NotAws.
    status: the HTTP status, 0 when there was no answer.
    setting: the variable or profile of the user's that it is about, where that is known.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        service: str = "",
        operation: str = "",
        status: int = 0,
        setting: Setting | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.service = service
        self.operation = operation
        self.status = status
        self.setting = setting

    @property
    def lost(self) -> bool:
        """True if the call may have been carried out although no good answer arrived."""
        return self.code == "Unreachable" or self.status >= 500


@dataclass(frozen=True)
class Place:
    """Where calls go. Keys and endpoint are given for the local cloud only; otherwise the SDK finds them."""

    region: str | None = None
    profile: str | None = None
    endpoint: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None

    @property
    def is_local(self) -> bool:
        return self.access_key_id is not None


@dataclass(frozen=True)
class Patience:
    """How long a call may take to connect and to answer, how often the SDK sends it at most, and for how long
    it is sent again after that while AWS is throttling or in trouble."""

    connect_s: float = 5
    read_s: float = 60
    # Explicit: the default mode of the SDK is about to change, and differs between environments.
    attempts: int = 5
    busy_s: float = 120


@dataclass(frozen=True)
class Credentials:
    """The credentials that the SDK found, without what is secret of them.

    method: where, in the SDK's own words, such as env or sso. ends_with: of the access key's id.
    expires: None where the SDK does not know or they never do.
    """

    method: str
    ends_with: str
    temporary: bool
    expires: datetime | None


class Aws:
    """Clients of one account and region. Thread-safe.

    sleep and clock are arguments so that tests wait for nothing. on_busy: told once, when AWS begins to be
    waited for because it is throttling or in trouble.
    """

    def __init__(
        self,
        place: Place,
        *,
        patience: Patience = Patience(),
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place = place
        self.patience = patience
        self.sleep = sleep
        self.clock = clock
        self.known = KnownValues()
        self.on_busy: Callable[[str], None] | None = None
        self._clients: dict[tuple[str, bool], Any] = {}
        self._making = threading.Lock()
        self._pools: dict[str, Pool] = {}
        self._looking = threading.Lock()
        self._looked, self._found = False, None
        self._session = self._new_session()

    # --- session and clients -------------------------------------------------------------------

    def _new_session(self) -> Any:
        import boto3
        from botocore.session import Session

        with _errors_of("", ""):
            self._sdk = _session_of_nobody() if self.place.is_local else Session()
            return boto3.Session(
                botocore_session=self._sdk,
                profile_name=self.place.profile,
                # Every other SDK and the AWS CLI read AWS_REGION; boto3 only AWS_DEFAULT_REGION.
                region_name=self.place.region or os.environ.get("AWS_REGION") or None,
                aws_access_key_id=self.place.access_key_id,
                aws_secret_access_key=self.place.secret_access_key,
            )

    @property
    def region(self) -> str:
        """The region in force; raises AwsError("NoRegion") instead of letting S3 assume one.

        It becomes part of host names and signatures, and the SDK lets a line end pass: hence "BadRegion".
        """
        region = self._session.region_name
        if not region:
            raise AwsError("NoRegion", "No region is configured.")
        if not _REGION.fullmatch(region):
            raise AwsError("BadRegion", f"{region!r} is not the name of a region.")
        return str(region)

    @property
    def profile(self) -> str | None:
        """The profile in force, chosen here or by AWS_PROFILE; None: the default one."""
        name = str(self._session.profile_name)
        return None if name == "default" else name

    def client(self, service: str, *, once: bool = False) -> Any:
        """The boto3 client of a service; with once, one that never sends a request twice."""
        key = (service, once)
        if key not in self._clients:
            with self._making:
                if key not in self._clients:
                    self._clients[key] = self._new_client(service, once=once)
        return self._clients[key]

    def prepare(self, services: Sequence[str]) -> None:
        """Make these clients, in this order, while the caller waits for the network: each costs CPU only."""

        def make() -> None:
            with contextlib.suppress(AwsError):  # the first call that needs the client raises it again
                for service in services:
                    self.client(service)

        threading.Thread(target=make, name="clients", daemon=True).start()

    def _new_client(self, service: str, *, once: bool = False, unsigned: bool = False) -> Any:
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        region = self.region
        # Keys of its own keep the SDK from looking for some.
        keys = {"aws_access_key_id": "-", "aws_secret_access_key": "-"} if unsigned else {}
        if not unsigned:
            self._find_credentials()
        config = Config(
            connect_timeout=self.patience.connect_s,
            read_timeout=self.patience.read_s,
            retries={"mode": "standard", "total_max_attempts": 1 if once else self.patience.attempts},
            max_pool_connections=_READERS + 8,
            signature_version=UNSIGNED if unsigned else "s3v4" if service == "s3" else None,
            s3={"addressing_style": "path"} if service == "s3" and self.place.is_local else None,
            # The user's proxy is for the world, not for this machine.
            proxies={} if self.place.is_local else None,
        )
        try:
            made = self._session.client(
                service, region_name=region, endpoint_url=self.place.endpoint, config=config, **keys
            )
            _check_url(made.meta.endpoint_url)
        except (BotoCoreError, ValueError) as error:
            raise self._blamed(error) or _from_botocore(error, service, "") from error
        self._check_way(made.meta.endpoint_url)
        made.meta.events.register("before-send", _refuse_broken_headers)
        if not once:
            made.meta.events.register("needs-retry", self._while_busy)
        return made

    def _settings(self) -> UserSettings:
        """What the user has set for the SDK. Never fails: it is asked when something already has."""
        try:
            profiles = self._sdk.full_config.get("profiles", {})
        except Exception:  # whatever is wrong with the files
            profiles = {}
        file = os.path.expanduser(str(self._sdk.get_config_variable("config_file")))  # noqa: PTH111
        return UserSettings(os.environ, profiles, str(self._session.profile_name), file)

    def _blamed(self, error: Exception) -> AwsError | None:
        """The error of a setting of the user's that the SDK cannot work with."""
        from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES as KNOWN
        from botocore.exceptions import BotoCoreError

        # JSON and times that cannot be read are ValueErrors too, of credentials.
        settings_own = isinstance(error, BotoCoreError) and code_of(error) in ("", "BadProfile")
        if self.place.is_local or not (settings_own or type(error) is ValueError):
            return None
        setting = self._settings().blamed(str(error), KNOWN)
        return AwsError("BadSetting", str(error), setting=setting) if setting is not None else None

    def _check_way(self, url: str) -> None:
        """Raise AwsError("BadSetting") for a proxy or certificates with which no call can arrive: the
        SDK says, after five tries, that AWS cannot be reached."""
        if self.place.is_local:
            return
        settings = self._settings()
        bundle = settings.bundle(self._sdk.get_config_variable("ca_bundle"))
        for found, fault_of in (
            (settings.proxy(url), proxy_fault),
            (bundle if url.startswith("https:") else None, bundle_fault),
        ):
            if found is not None and (fault := fault_of(found[1])):
                raise AwsError("BadSetting", fault, setting=found[0])

    def _while_busy(
        self, attempts: int, response: Any, request_dict: dict[str, Any], **_context: Any
    ) -> float | None:
        """Asked by the SDK after each attempt, beside its own rules: whether, and when, there is another one.

        A set-up sends hundreds of calls, and five attempts are too few for one of them now and then.
        """
        if response is None or attempts < self.patience.attempts or not _is_busy(response[1]):
            return None
        now, further = self.clock(), attempts - self.patience.attempts
        until = request_dict["context"].setdefault("imgpipe-busy-until", now + self.patience.busy_s)
        # Many wait side by side: without chance they would all come back at the same moment.
        pause_s = min(2.0**further, _LONGEST_BUSY_PAUSE_S) * (1 + random.random()) / 2  # noqa: S311
        if now + pause_s > until:
            return None
        if self.on_busy is not None:
            told, self.on_busy = self.on_busy, None
            told(str(response[1].get("Error", {}).get("Code", "")))
        self.sleep(pause_s)
        return 0.0

    def endpoint(self, service: str) -> str:
        """The URL that calls of this service go to."""
        return str(self.client(service).meta.endpoint_url)

    @property
    def custom_endpoint(self) -> str | None:
        """The endpoint in force when it is not AWS's own, else None."""
        url = self.endpoint("s3")
        return None if is_aws(url) else url

    @property
    def is_elsewhere(self) -> bool:
        """Whether calls go to the local cloud, or to another endpoint that is not AWS's own."""
        return self.place.is_local or self.custom_endpoint is not None

    def endpoint_variable(self, service: str) -> str:
        """The variable that sends this one service elsewhere."""
        name = str(self.client(service).meta.service_model.service_id.hyphenize())
        return f"AWS_ENDPOINT_URL_{name.replace('-', '_').upper()}"

    def regions(self, service: str) -> list[str]:
        """The regions of this region's partition in which the SDK knows the service. Raises AwsError."""
        return list(self._session.get_available_regions(service, partition_name=self.partition))

    @property
    def partition(self) -> str:
        """AWS's name for the world that this region is in, such as aws or aws-cn. Raises AwsError."""
        with _errors_of("", ""):
            return str(self._session.get_partition_for_region(self.region))

    def credentials(self) -> Credentials:
        """The credentials that calls are signed with, fresh ones where they can be had. Raises AwsError."""
        self._find_credentials()
        self._renew_credentials()
        found = self._found
        if found is None:
            raise self._no_credentials()
        frozen = found.get_frozen_credentials()
        return Credentials(
            method=str(found.method),
            ends_with=str(frozen.access_key)[-4:],
            temporary=bool(frozen.token),
            # The SDK has no public word for it.
            expires=getattr(found, "_expiry_time", None),
        )

    def _find_credentials(self) -> None:
        """Have the SDK look for them, once. Raises AwsError for what it stumbles over; it may find none."""
        with self._looking:  # two looks could ask twice for the code of a device
            if self._looked:
                return
            # A code that is typed is not shown, nor read from a pipe in which something else comes.
            warnings.filterwarnings("error", category=getpass.GetPassWarning)
            try:
                self._found = self._session.get_credentials()
            except Exception as error:
                raise self._not_signed_in(error) from error
            self._looked = True

    def _renew_credentials(self) -> None:
        """Have those that end soon replaced, as each call would: here it is known what an error is about."""
        if self._found is None:
            return
        try:
            _check_keys(self._found.get_frozen_credentials(), self._found.method)
        except Exception as error:
            raise self._not_signed_in(error) from error

    def _no_credentials(self) -> AwsError:
        """There are none; or one half of a pair, which the SDK passes over."""
        settings = self._settings()
        if half := settings.half_a_pair():
            setting, lacks = half
            return AwsError("HalfAPair", f"{setting.name} is set, and {lacks} is not", setting=setting)
        named = settings.profile in settings.profiles and settings.profile != "default"
        return AwsError("NoCredentials", "", setting=settings.of_profile() if named else None)

    def _not_signed_in(self, error: Exception) -> AwsError:
        """What went wrong on the way to credentials: the SDK lets errors of all kinds through there."""
        from botocore import xform_name
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, AwsError):
            return error
        if isinstance(error, ClientError):
            name = xform_name(error.operation_name)
            return _from_client_error(error, "sts" if name.startswith("assume") else "sso", name)
        if blamed := self._blamed(error):
            return blamed
        code = code_of(error) if isinstance(error, BotoCoreError) else "BrokenCredentials"
        untyped = isinstance(error, EOFError) or "parameter TokenCode" in str(error)
        if untyped or isinstance(error, getpass.GetPassWarning):
            code = "MfaNeeded"
        if code == "Unreachable":
            return _from_botocore(error, "sts", "")
        settings = self._settings()
        half = settings.half_a_pair() if "Partial credentials" in str(error) else None
        if half is not None:
            return AwsError("HalfAPair", told(error), setting=half[0])
        whole = code == "MfaNeeded"  # it is the profile in force that asks for the code
        setting = settings.of_profile() if whole else settings.credentials(str(error))
        # Keys in the environment come before all else, unless a profile was chosen.
        dated = all(os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_CREDENTIAL_EXPIRATION"))
        if dated and self.place.profile is None:
            setting = Setting("AWS_CREDENTIAL_EXPIRATION")
        return AwsError(code or "BrokenCredentials", "" if untyped else told(error), setting=setting)

    def contact(self) -> tuple[str, datetime | None]:
        """The URL of STS and what its clock says, None if it does not. Raises AwsError without an answer.

        Asked with an unsigned call, which is refused: so it answers without credentials, too.
        """
        from email.utils import parsedate_to_datetime

        from botocore.exceptions import ClientError

        client = self._new_client("sts", unsigned=True)
        with _errors_of("sts", "get_caller_identity"):
            try:
                answer = client.get_caller_identity()
            except ClientError as error:
                answer = error.response
                if (found := _from_client_error(error, "sts", "get_caller_identity")).code == "NotAws":
                    raise found from error
        text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        try:
            return str(client.meta.endpoint_url), parsedate_to_datetime(text)
        except ValueError:
            return str(client.meta.endpoint_url), None

    # --- calls ---------------------------------------------------------------------------------

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        """Send one operation (boto3's snake_case name). Raises AwsError."""
        client = self.client(service, once=once)
        with self._calling(service, operation):
            answer: dict[str, Any] = getattr(client, operation)(**params)
        answer.pop("ResponseMetadata", None)
        return answer

    @contextlib.contextmanager
    def _calling(self, service: str, operation: str) -> Iterator[None]:
        """Whatever a call raises arrives as an AwsError that names the user's setting it is about."""
        self._renew_credentials()
        try:
            with _errors_of(service, operation):
                yield
        except AwsError as error:
            if error.code == "NoCredentials":
                raise self._no_credentials() from error.__cause__
            if error.code == "NotAws" or type(error.__cause__).__name__ == "ProxyConnectionError":
                found = self._settings().proxy(self.endpoint(service))
                error.setting = found[0] if found else None
            raise

    def find(
        self, service: str, operation: str, *, missing: Collection[str] | None = None, **params: Any
    ) -> dict[str, Any] | None:
        """Like call, but None for these error codes: if none are named, for those by which the service says
        that something is not there. Every other error is raised: a denied call must never read so."""
        try:
            return self.call(service, operation, **params)
        except AwsError as error:
            if error.code in (codes_of(service) if missing is None else missing):
                return None
            raise

    def pages(self, service: str, operation: str, **params: Any) -> Iterator[dict[str, Any]]:
        """The pages of an operation that boto3 has a paginator for. Raises AwsError."""
        paginator = self.client(service).get_paginator(operation)
        with self._calling(service, operation):
            yield from paginator.paginate(**params)

    def items(
        self,
        service: str,
        operation: str,
        key: str,
        *,
        missing: Collection[str] | None = None,
        **params: Any,
    ) -> list[Any]:
        """What all pages of an operation hold under a key; empty for the same error codes as in `find`."""
        try:
            return [item for page in self.pages(service, operation, **params) for item in page.get(key, [])]
        except AwsError as error:
            if error.code in (codes_of(service) if missing is None else missing):
                return []
            raise

    def together(self, reads: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
        """Carry out the reads of one look side by side. A read must not itself call `together`."""
        return self._threads("read").answers(reads)

    def gather(self, snapshot: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
        """Carry out looks side by side; each of them may call `together`, and none calls `looks`."""
        return self._threads("look").answers(snapshot)

    def _threads(self, kind: str) -> Pool:
        """One pool of each kind for a whole run: making threads for every look costs more than the look."""
        with self._making:
            if kind not in self._pools:
                self._pools[kind] = Pool(_READERS, thread_name_prefix=kind)
            return self._pools[kind]

    def close(self) -> None:
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)


def _session_of_nobody() -> Any:
    """A session of the SDK that knows none of the user's files and variables: they are about AWS, and what is
    wrong with them, such as a profile that is gone, must not keep anybody from the cloud on this machine."""
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES as VARIABLES
    from botocore.session import Session

    defaults = {name: (None, None, default, None) for name, (_, _, default, _) in VARIABLES.items()}
    nowhere, nothing = (None, None, os.devnull, None), (None, None, None, None)
    files = {"config_file": nowhere, "credentials_file": nowhere}
    return Session(session_vars=defaults | files | {"s3": nothing, "proxies_config": nothing})


def _check_keys(keys: Any, method: str) -> None:
    """Raise TypeError for what no call can be signed with: the SDK takes whatever a program's JSON holds."""
    pair, token = (keys.access_key, keys.secret_key), keys.token
    texts = all(isinstance(key, str) for key in (*pair, "" if token is None else token))
    if not texts or (method == "custom-process" and not all(pair)):
        raise TypeError("keys are texts that are not empty")


def _is_busy(answer: Mapping[str, Any]) -> bool:
    """Whether the service says that it is asked too often, or in trouble."""
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status == 429 or status in _TROUBLE or answer.get("Error", {}).get("Code") in THROTTLED


def is_aws(url: str) -> bool:
    """Whether the URL is one of AWS's own endpoints."""
    return (urlsplit(url).hostname or "").endswith(_AWS_DOMAINS)


def _check_url(url: str) -> None:
    """Raise ValueError for what the SDK would try to reach again and again, or stumble over in a call."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.port == 0:
        raise ValueError(f"Invalid endpoint: {url}")


def _refuse_broken_headers(request: Any, **_context: Any) -> None:
    """Keys with a line end, as they are copied: the SDK would try five times, and then show the signature."""
    for value in request.headers.values():
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        if any(end in text for end in "\r\n\0"):
            raise AwsError("BadKeys", "The access key or the session token holds the end of a line.")


# --- errors --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _errors_of(service: str, operation: str) -> Iterator[None]:
    """Whatever the SDK raises in between arrives as an AwsError."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise _from_client_error(error, service, operation) from error
    except BotoCoreError as error:
        raise _from_botocore(error, service, operation) from error
    except (ResponseParserError, KeyError) as error:  # a page that is XML by chance lacks what the SDK takes
        raise AwsError("NotAws", str(error), service=service, operation=operation) from error


def _from_client_error(error: Any, service: str, operation: str) -> AwsError:
    details = error.response.get("Error") or {}
    # S3 names what it does not like beside its message.
    named = [str(value) for key, value in details.items() if key.startswith("Argument")]
    answer = error.response.get("ResponseMetadata", {})
    status = int(answer.get("HTTPStatusCode", 0))
    code = str(details.get("Code") or status)
    if code.isdigit() and is_foreign(status, answer.get("HTTPHeaders", {}), operation):
        code = "NotAws"
    return AwsError(
        code,
        " ".join([str(details.get("Message") or details.get("message") or error), *_bracketed(named)]),
        service=service,
        operation=operation,
        status=status,
    )


def _bracketed(named: Sequence[str]) -> list[str]:
    return [f"({', '.join(named)})"] if named else []


def _from_botocore(error: Exception, service: str, operation: str) -> AwsError:
    text = without_password(str(error))
    # The SDK says only that it failed; a proxy that refuses has a reason.
    reason = re.search(r"Tunnel connection failed: [^'\")]+", repr(getattr(error, "kwargs", "")))
    if reason:
        text = f"{text} ({reason[0]})"
    return AwsError(code_of(error) or "Unreachable", text, service=service, operation=operation)
