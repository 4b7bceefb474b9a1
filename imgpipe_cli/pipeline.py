"""imgpipe from Python: a pipeline as one object. docs/how-to/python.md shows it at work.

The commands are not built on it; both stand on the same modules.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from os import PathLike, fspath
from typing import TYPE_CHECKING, Literal, TypeVar

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.deploy.pipeline_info import discover
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Event, Refused, Sent, Unchanged
from imgpipe_cli.pictures import listing
from imgpipe_cli.pictures.api import Api, ApiUnavailable, repeated
from imgpipe_cli.pictures.finding import FoundPages, Search
from imgpipe_cli.pictures.keys import check_key
from imgpipe_cli.pictures.patterns import Patterns
from imgpipe_cli.pictures.sending.plan import Plan
from imgpipe_cli.pictures.sending.send import send
from imgpipe_cli.pictures.waiting import Waiter
from imgpipe_cli.session.connection import Connection, connect
from imgpipe_cli.session.remembered import Targets
from imgpipe_cli.session.target import Remembered, resolve

if TYPE_CHECKING:
    from shared.result_item import ResultItem

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Upload:
    """What became of the files of one upload.

    versions: key -> version of what is in the bucket, sent now or there before. sent: how many of them were
    sent now. refused: file -> why it was not sent.
    """

    versions: Mapping[str, str | None]
    sent: int
    refused: Mapping[str, str]


class Pipeline:
    """A pipeline that `imgpipe up` has set up; without arguments the one that was used last.

    Signs in at its first use. Everything raises `imgpipe_cli.errors.Problem`, which has a `code`, a `message`
    and a `hint`.
    """

    def __init__(
        self,
        project: str | None = None,
        *,
        local: bool | None = None,
        region: str | None = None,
        profile: str | None = None,
    ) -> None:
        """As the options of the commands: local=True is the cloud on this machine, local=False is AWS."""
        last, known = Targets().read()
        self._target, self._known = resolve(
            project=project, local=local, region=region, profile=profile, last=last, known=known
        )
        self._connected: Connection | None = None
        self._found: Remembered | None = None

    def upload(
        self,
        *paths: str | PathLike[str],
        prefix: str = "",
        key: str | None = None,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        force: bool = False,
    ) -> Upload:
        """Send files, folders and patterns, as `imgpipe upload` does: what is there already stays as it is.

        It asks nothing. Each new picture is analyzed, and on AWS that is billed.
        """
        versions: dict[str, str | None] = {}
        refused: dict[str, str] = {}

        def take(event: Event) -> None:
            match event:
                case Sent() | Unchanged():
                    versions[event.key] = event.version_id
                case Refused():
                    refused[event.source] = f"{event.message} {event.hint}".strip()

        with _as_problem("send pictures"):
            patterns = Patterns(tuple(include), tuple(exclude))
            plan = Plan([fspath(path) for path in paths], prefix=prefix, key=key, patterns=patterns)
            connection = self._connection()
            outcome = send(connection.aws, connection.names, plan, take, force=force)
        return Upload(versions, outcome.sent, refused)

    def wait(
        self,
        pictures: Upload | Iterable[str],
        *,
        timeout_s: float = 180.0,
        on_result: Callable[[ResultItem], object] = lambda _item: None,
    ) -> dict[str, ResultItem | None]:
        """The results of an upload, or of these keys: key -> result, None for one that has not come.

        timeout_s: seconds without a new result. on_result: called with each as it arrives.
        """
        versions = pictures.versions if isinstance(pictures, Upload) else dict.fromkeys(pictures)
        results: dict[str, ResultItem | None] = dict.fromkeys(versions)

        def arrived(item: ResultItem) -> None:
            results[item["objectKey"]] = item
            on_result(item)

        def wait(api: Api) -> None:
            waiter = Waiter(api)
            waiter.expect_all({key: version for key, version in versions.items() if results[key] is None})
            waiter.wait(arrived, timeout_s=timeout_s)

        self._ask(wait)
        return results

    def result(self, key: str) -> ResultItem | None:
        """The result of one picture; None where there is none (yet)."""
        checked = check_key(key)
        return self._ask(lambda api: repeated(lambda: api.result(checked)))

    def find(
        self,
        *labels: str,
        any_label: bool = False,
        text: str = "",
        name: str = "",
        prefix: str = "",
        status: Literal["", "done", "failed"] = "",
        min_confidence: float | None = None,
    ) -> Iterator[ResultItem]:
        """The results that match, read as needed: best first, or newest first without labels and words.

        labels: all of them, or with any_label one. text, name: words in the picture, and of its key. prefix:
        of the key. min_confidence: percent; else as the pipeline is set.
        """

        def begin(api: Api) -> tuple[list[ResultItem], Iterator[list[ResultItem]]]:
            source: listing.Pages = listing.PatientPages(api, wanted)
            if labels or text or name:
                sure = self._pipeline().min_confidence if min_confidence is None else min_confidence
                source = FoundPages(api, Search(labels, any_label, text, name, sure, status, prefix))
            found = listing.pages(source, listing.PAGE)
            return next(found), found

        wanted = listing.Wanted(status or None, prefix=prefix)
        first, rest = self._ask(begin)
        with _as_problem("read results"):
            yield from listing.matching(chain([first], rest), wanted, 0)

    # --- where it is -----------------------------------------------------------------------------

    def _connection(self) -> Connection:
        self._connected = self._connected or connect(self._target, self._known)
        return self._connected

    def _pipeline(self) -> Remembered:
        """As it is remembered; one on this machine is looked up, since its old port may be anybody's."""
        known = self._known
        if self._found is None and isinstance(known, Remembered) and known.token and not known.target.local:
            self._found = known
        self._found = self._found or discover(self._connection())
        return self._found

    def _ask(self, question: Callable[[Api], Answer]) -> Answer:
        """The API's answer; where it is not as remembered, it is looked up and asked again."""
        with _as_problem("read results"):
            found = self._pipeline()
            try:
                return question(Api(found.api_url, found.token))
            except (ApiUnavailable, Problem) as error:
                is_wrong = isinstance(error, ApiUnavailable) or error.code == "unauthorized"
                if not is_wrong or found is not self._known:
                    raise
            self._found = found = discover(self._connection())
            return question(Api(found.api_url, found.token))


@contextlib.contextmanager
def _as_problem(doing: str) -> Iterator[None]:
    """Whatever is expected to go wrong arrives as a Problem."""
    try:
        yield
    except AwsError as error:
        raise problem(error, doing) from error
    except ApiUnavailable as error:
        raise error.problem from error
