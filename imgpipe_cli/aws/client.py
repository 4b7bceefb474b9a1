"""The only door to AWS: clients made once, and calls by the names of service and operation.

Nothing outside this package imports boto3 or botocore. Callers get plain answers; whatever goes wrong arrives
as an `AwsError`, and `errors.problem` turns one that nobody expected into a Problem with a hint. Signing in
and its checks are in sign_in.py, timeouts and what is sent again in backoff.py.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from imgpipe_cli.aws.backoff import STANDARD, Backoff, Timeouts
from imgpipe_cli.aws.not_found import codes_of
from imgpipe_cli.aws.sdk_errors import AwsError, errors_of, from_botocore, from_client_error
from imgpipe_cli.aws.sign_in import Credentials, Place, SignIn
from imgpipe_cli.system.single_flight import SingleFlight
from imgpipe_cli.system.threads import Pool

# What callers need, all from here.
__all__ = ["Aws", "AwsError", "Credentials", "Place", "Timeouts", "is_aws"]

# Reads of one look run side by side; each waits for the network, so this costs no CPU. Fewer than one
# look has reads would make the last of them wait for another round trip.
_READERS = 64
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


class Aws:
    """Clients of one account and region. Thread-safe.

    sleep and clock are arguments so that tests wait for nothing.
    """

    def __init__(
        self,
        place: Place,
        *,
        timeouts: Timeouts = STANDARD,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.place = place
        self.sleep = sleep
        self.clock = clock
        self.backoff = Backoff(timeouts, sleep=sleep, clock=clock)
        self.known: SingleFlight[str | None] = SingleFlight()
        # What was counted in a bucket, for its removal in the same run.
        self.counted: dict[str, list[dict[str, str]]] = {}
        self._clients: dict[tuple[str, bool], Any] = {}
        self._making = threading.Lock()
        self._pools: dict[str, Pool] = {}
        self._sign_in = SignIn(place)

    # --- clients -------------------------------------------------------------------------------

    @property
    def region(self) -> str:
        """The region in force. Raises AwsError("NoRegion") and AwsError("BadRegion")."""
        return self._sign_in.region

    @property
    def profile(self) -> str | None:
        """The profile in force, chosen here or by AWS_PROFILE; None: the default one."""
        return self._sign_in.profile

    def credentials(self) -> Credentials:
        """The credentials that calls are signed with, fresh ones where they can be had. Raises AwsError."""
        return self._sign_in.credentials()

    def signing_keys(self) -> tuple[str, str, str | None]:
        """The access key's id, the secret and the session token that calls are signed with, fresh ones where
        they can be had. For this package only. Raises AwsError."""
        return self._sign_in.signing_keys()

    def trusted_certificates(self) -> str:
        """The file of the certificates that the SDK trusts."""
        return self._sign_in.trusted_certificates()

    def proxy_variable(self, url: str) -> str | None:
        """The variable of the user's that sends what goes to this URL through a proxy."""
        found = self._sign_in.settings().proxy(url)
        return found[0].name if found else None

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
            self._sign_in.find_credentials()
        config = Config(
            connect_timeout=self.backoff.timeouts.connect_s,
            read_timeout=self.backoff.timeouts.read_s,
            retries={"mode": "standard", "total_max_attempts": 1 if once else self.backoff.timeouts.attempts},
            max_pool_connections=_READERS + 8,
            signature_version=UNSIGNED if unsigned else "s3v4" if service == "s3" else None,
            s3={"addressing_style": "path"} if service == "s3" and self.place.is_local else None,
            # The user's proxy is for the world, not for this machine.
            proxies={} if self.place.is_local else None,
        )
        try:
            made = self._sign_in.session.client(
                service, region_name=region, endpoint_url=self.place.endpoint, config=config, **keys
            )
            _check_url(made.meta.endpoint_url)
        except (BotoCoreError, ValueError) as error:
            raise self._sign_in.blamed(error) or from_botocore(error, service, "") from error
        self._sign_in.check_route(made.meta.endpoint_url)
        made.meta.events.register("before-send", _refuse_broken_headers)
        if not once:
            made.meta.events.register("needs-retry", self.backoff.while_busy)
        return made

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
        return list(self._sign_in.session.get_available_regions(service, partition_name=self.partition))

    @property
    def partition(self) -> str:
        """AWS's name for the world that this region is in, such as aws or aws-cn. Raises AwsError."""
        with errors_of("", ""):
            return str(self._sign_in.session.get_partition_for_region(self.region))

    def contact(self) -> tuple[str, datetime | None]:
        """The URL of STS and what its clock says, None if it does not. Raises AwsError without an answer.

        Asked with an unsigned call, which is refused: so it answers without credentials, too.
        """
        from email.utils import parsedate_to_datetime

        from botocore.exceptions import ClientError

        client = self._new_client("sts", unsigned=True)
        with errors_of("sts", "get_caller_identity"):
            try:
                answer = client.get_caller_identity()
            except ClientError as error:
                answer = error.response
                if (found := from_client_error(error, "sts", "get_caller_identity")).code == "NotAws":
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
        self._sign_in.renew_credentials()
        try:
            with errors_of(service, operation):
                yield
        except AwsError as error:
            if error.code == "NoCredentials":
                raise self._sign_in.no_credentials() from error.__cause__
            if error.code == "NotAws" or type(error.__cause__).__name__ == "ProxyConnectionError":
                found = self._sign_in.settings().proxy(self.endpoint(service))
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
