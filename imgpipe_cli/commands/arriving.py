"""The results of an upload: waited for from the first picture on, while others are still being sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from imgpipe_cli.commands.asking import note_pending
from imgpipe_cli.commands.runtime import Run
from imgpipe_cli.events import Arrived
from imgpipe_cli.system.threads import TICK_S

if TYPE_CHECKING:
    from imgpipe_cli.events import Sent, Unchanged
    from imgpipe_cli.pictures.report import Report
    from imgpipe_cli.render.upload_summary import Results
    from imgpipe_cli.session.connection import Connection
    from imgpipe_cli.session.target import Remembered
    from shared.result_item import ResultItem


class Arrivals:
    """Shows each result as it arrives, in a thread of its own.

    Up to ten pictures have their tables each, more have a line each.
    """

    def __init__(
        self,
        run: Run,
        connection: Connection,
        pipeline: Remembered,
        results: Results,
        *,
        timeout_s: float,
        are_few: Callable[[], bool],
        report: Report | None,
    ) -> None:
        """results: counts each one. are_few: whether each picture has its tables."""
        from imgpipe_cli.pictures.api import Api
        from imgpipe_cli.pictures.waiting import Waiter

        self.results = results
        self.replaced: list[str] = []
        self.pending: list[str] = []
        self._run = run
        self._connection = connection
        self._timeout_s = timeout_s
        self._are_few = are_few
        self._report = report
        self._waiter = Waiter(Api(pipeline.api_url, pipeline.token), on_silence=run.refuse_trouble)
        self._expected = 0
        self._is_sending = True
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._wait, name="results", daemon=True)

    @property
    def came(self) -> int:
        """How many results there are."""
        return self.results.analyzed + self.results.failed

    @property
    def to_come(self) -> int:
        """How many results are still waited for."""
        return self._expected - self.came - len(self.replaced)

    def expect(self, event: Sent | Unchanged, *, is_old: bool) -> None:
        """is_old: its result may have been there for long."""
        self._expected += 1
        self._waiter.expect(event.key, event.version_id, is_old=is_old)
        if self._thread.ident is None:
            self._thread.start()

    def finish(self) -> None:
        """Wait until all have arrived, or none has for the time given. Raises ApiUnavailable, Problem."""
        self._waiter.close()
        self._is_sending = False
        if self._thread.ident is not None:
            self._count_down()
            while self._thread.is_alive():
                self._thread.join(TICK_S)
        self._run.screen.progress.waiting(0)
        if self._error is not None:
            raise self._error
        if self.replaced:
            self._run.note("replaced_meanwhile", ", ".join(self.replaced))
        note_pending(self._run, self.pending)

    def _wait(self) -> None:
        try:
            self.pending = self._waiter.wait(self._show, timeout_s=self._timeout_s, is_over=self._is_over)
        except Exception as error:  # raised again by `finish`
            self._error = error

    def _show(self, item: ResultItem) -> None:
        from imgpipe_cli.render import results

        self.results.take(item)
        if self._report is not None:
            self._report.result(item)
        self._run.emit(Arrived(item))
        min_confidence = self.results.min_confidence
        if self._run.options.json:
            self._run.stream(item)
        elif self._are_few():
            self._run.screen.show(results.tables(item, min_confidence))
        else:
            self._run.screen.line(results.line(item, min_confidence))
        self._count_down()

    def _count_down(self) -> None:
        """Say how many are still to come; while pictures are sent, their own progress counts the results."""
        if not self._is_sending:
            self._run.screen.progress.waiting(self.to_come)

    def _is_over(self, key: str, version: str | None) -> bool:
        from imgpipe_cli.pictures.stored_picture import is_current

        if is_current(self._connection.aws, self._connection.names.bucket, key, version):
            return False
        self.replaced.append(key)
        if self._report is not None:
            self._report.replaced(key)
        return True
