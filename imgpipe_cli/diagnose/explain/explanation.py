"""What became of a picture, and what to do: the conclusion from the evidence. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from imgpipe_cli.deploy.plan import ResourceState
from imgpipe_cli.diagnose.explain import parts
from imgpipe_cli.diagnose.explain.attempts import Attempt
from imgpipe_cli.diagnose.explain.evidence import Evidence, Version
from imgpipe_cli.diagnose.retry import reasons
from imgpipe_cli.diagnose.retry.failure_queue import FailedEvent
from imgpipe_cli.errors import ExitCode
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures import keys
from imgpipe_cli.pictures.waiting import TRIED_FOR, is_retrying

if TYPE_CHECKING:
    from shared.result_item import ResultItem

State = Literal["done", "failed", "pending", "not_found"]

EXIT_CODES = {
    "done": ExitCode.DONE,
    "failed": ExitCode.FAILED,
    "pending": ExitCode.PENDING,
    "not_found": ExitCode.FAILED,
}
# The function is stopped after two minutes; a run that has not ended by now never will.
_LONGEST_RUN = timedelta(minutes=15)
_REPAIR = "Run imgpipe up, which repairs it"
_UPLOAD_AGAIN = "upload the picture again"


@dataclass(frozen=True)
class Conclusion:
    """state decides the exit code; cause: a code for scripts; why: what happened; advice: what to do."""

    state: State
    cause: str
    why: str
    advice: str


def conclusion(found: Evidence) -> Conclusion:
    """The one answer to "where is my result?"."""
    current = found.current
    if current is None and found.result is None:
        return _absent(found)
    if current is not None and current.removed:
        return _removed(current)
    if current is not None and functions.events.is_folder(found.key, current.size_bytes):
        why = f"{found.key} only makes a folder show; there is nothing to analyze."
        pictures = f"See the pictures in it: imgpipe list --prefix {keys.argument(found.key)}"
        return Conclusion("not_found", "folder", why, pictures)
    if found.result is not None and _is_current(found, found.result.get("versionId")):
        return _stored(found, found.result)
    if found.result_error:
        return _unreadable(found)
    return _without_result(found)


def own_attempts(found: Evidence) -> list[Attempt]:
    """Those at the newest version; an attempt that did not get so far as to name one counts too."""
    return [one for one in found.attempts if _is_current(found, one.version_id)]


def own_failures(found: Evidence) -> list[FailedEvent]:
    """What waits in the failure queue for the newest version."""
    events = found.queue.events if found.queue else ()
    return [one for one in events if _is_current(found, one.version_id)]


def _is_current(found: Evidence, version_id: str | None) -> bool:
    current = found.current.version_id if found.current else None
    return None in (current, version_id) or version_id == current


# --- not there -----------------------------------------------------------------------------------


def _absent(found: Evidence) -> Conclusion:
    bucket = parts.first(found.parts, ["bucket"])
    if bucket is not None and bucket.state == "missing":
        return Conclusion(
            "failed", parts.cause(bucket), parts.said(bucket), f"{_REPAIR}, then {_UPLOAD_AGAIN}."
        )
    if found.near:
        advice = f"Did you mean {' or '.join(found.near)}? A key is written exactly as in the bucket."
    else:
        advice = "Send it with imgpipe upload; imgpipe list shows what is there."
    return Conclusion("not_found", "not_in_bucket", f"There is no picture {found.key} in the bucket.", advice)


def _removed(current: Version) -> Conclusion:
    why = f"The picture was removed from the bucket at {_clock(current.at)}, and its result with it."
    return Conclusion("not_found", "removed", why, f"If that was a mistake, {_UPLOAD_AGAIN}.")


# --- there is a result ---------------------------------------------------------------------------


def _stored(found: Evidence, result: ResultItem) -> Conclusion:
    if result["status"] != "failed":
        if found.current is None:
            why = "The result is there, but the picture is no longer in the bucket."
        else:
            why = f"The result was written at {_clock(datetime.fromisoformat(result['analyzedAt']))}."
        return Conclusion("done", "done", why, f"See it: imgpipe result {keys.argument(found.key)}")
    error = result["error"]
    if not error.get("retryable"):
        return Conclusion("failed", str(error["code"]), _sentence(error["message"]), _sentence(error["hint"]))
    code, why = str(error["code"]), _sentence(error["message"])
    if not is_retrying(result, found.now):
        return _given_up(found, code, why, parts.first(found.parts, parts.WORKING))
    return _failing(found, code, why, found.now, hint=str(error["hint"]))


# --- there is no result --------------------------------------------------------------------------


def _unreadable(found: Evidence) -> Conclusion:
    why = f"The API does not give the result ({found.result_error})."
    part = parts.first(found.parts, parts.READING)
    if part is not None:
        return Conclusion("failed", parts.cause(part), f"{why} {parts.said(part)}", f"{_REPAIR}.")
    if found.api_errors:
        last = found.api_errors[-1]
        said = str(last.fields.get("errorMessage") or last.message)
        why = f"{why} The function get_result says: {_sentence(said)}"
    return Conclusion("failed", "api_error", why, "imgpipe logs get_result --errors shows more.")


def _without_result(found: Evidence) -> Conclusion:
    tried = own_attempts(found)
    if not tried:
        return _never_tried(found)
    last = tried[-1]
    if last.ending == "handled":
        return _handled(found, last)
    if last.ending == "running" and found.now - last.began < _LONGEST_RUN:
        why = f"The ingest function is looking at it since {_clock(last.began)}."
        return Conclusion("pending", "running", why, f"Wait for it: {_waited_for(found)}")
    return _failing(found, _failure_code(last), _failure(last), last.ended or last.began)


def _handled(found: Evidence, last: Attempt) -> Conclusion:
    at = _clock(last.ended or last.began)
    if last.outcome in ("done", "failed"):
        why = f"The ingest function wrote a result at {at}, but the API does not find it."
        part = parts.first(found.parts, parts.READING)
        if part is not None:
            return Conclusion("failed", parts.cause(part), f"{why} {parts.said(part)}", f"{_REPAIR}.")
        return Conclusion("failed", "result_lost", why, f"It was deleted from its store: {_again(found)}.")
    why = f"The ingest function left the picture alone at {at}: {last.outcome}."
    return Conclusion("failed", "skipped", why, f"To analyze it: {_again(found)}.")


def _never_tried(found: Evidence) -> Conclusion:
    waiting = own_failures(found)
    if waiting:
        code, why = reasons.of_event(waiting[-1])
        part = parts.first(found.parts, parts.WORKING)
        return _given_up(found, code, _sentence(why), part)
    broken = parts.calling(found.parts)
    if broken is not None:
        advice = f"{_REPAIR}, then {_again(found)}: S3 reports a picture only once."
        return Conclusion("failed", parts.cause(broken), parts.said(broken), advice)
    if found.failures:
        return _failing(found, "function_fails", _failure(found.failures[-1]), found.failures[-1].began)
    return _not_received(found)


def _not_received(found: Evidence) -> Conclusion:
    current = found.current
    age = found.now - current.at if current else reasons.LATEST
    if age < reasons.LATEST:
        why = "The bucket's event has not reached the ingest function yet."
        usual = "that takes seconds" if age < reasons.USUAL else "that takes seconds, at busy times minutes"
        return Conclusion("pending", reasons.NO_EVENT_YET, why, f"Wait, {usual}: {_waited_for(found)}")
    part = parts.first(found.parts, ["logs.ingest", *parts.COMING])
    if part is not None:
        why = f"There is no result, and no log line that says why. {parts.said(part)}"
        return Conclusion("failed", parts.cause(part), why, f"{_REPAIR}, then {_again(found)}.")
    if found.logs_complete:
        why = "No event of the picture reached the ingest function; it may be older than the trigger."
        return Conclusion("failed", reasons.NEVER_RECEIVED, why, f"To analyze it: {_again(found)}.")
    why = "There is no result, and the log of that time is too long to be read whole."
    return Conclusion("failed", "log_too_long", why, f"To analyze it: {_again(found)}.")


# --- it failed, perhaps for now ------------------------------------------------------------------


def _failing(found: Evidence, code: str, why: str, at: datetime, *, hint: str = "") -> Conclusion:
    """The last attempt failed for a reason that may pass: is there another one to come?"""
    part = parts.first(found.parts, parts.WORKING)
    tries = len(own_attempts(found))
    if own_failures(found) or tries >= found.tries or found.now - at > TRIED_FOR:
        return _given_up(found, code, why, part)
    if part is not None:
        advice = f"{_REPAIR}; the next attempt comes by itself."
        return Conclusion("pending", parts.cause(part), f"{why} {parts.said(part)}", advice)
    why = f"{why} It is tried again by itself."
    return Conclusion("pending", code, why, hint or "Wait for the next attempt.")


def _given_up(found: Evidence, code: str, why: str, part: ResourceState | None) -> Conclusion:
    where = ", and the event is in the failure queue" if own_failures(found) else ""
    why = f"{why} No attempt is left{where}."
    if part is not None:
        advice = f"{_REPAIR}, then {_again(found)}."
        return Conclusion("failed", parts.cause(part), f"{why} {parts.said(part)}", advice)
    advice = f"See imgpipe logs ingest --errors; once it is over, {_again(found)}."
    return Conclusion("failed", code, why, advice)


def _again(found: Evidence) -> str:
    """How the picture is looked at again as it stands in the bucket."""
    return f"imgpipe retry {keys.argument(found.key)}"


def _waited_for(found: Evidence) -> str:
    return f"imgpipe result --wait {keys.argument(found.key)}"


def _failure_code(attempt: Attempt) -> str:
    return "timed_out" if attempt.ending == "timed_out" else reasons.of_error(attempt.error)


def _failure(attempt: Attempt) -> str:
    took = f" after {attempt.duration_ms / 1000:.1f} s" if attempt.duration_ms else ""
    if attempt.ending == "timed_out":
        return f"The ingest function ran out of time: Lambda stopped it{took}."
    if attempt.ending in ("crashed", "running"):
        return f"The ingest function ended{took} without saying why."
    return f"The ingest function failed{took}: {_sentence(_first_line(attempt.error))}"


def _first_line(text: str) -> str:
    return next(iter(text.splitlines()), "")


def _sentence(text: object) -> str:
    said = " ".join(str(text).split())
    return said if said.endswith((".", "!", "?")) else f"{said}."


def _clock(at: datetime) -> str:
    local = at.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}"
