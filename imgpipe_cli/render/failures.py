"""What failed, by reason, and what became of it when it was looked at again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from imgpipe_cli.render import results
from imgpipe_cli.render.columns import SENTENCE, Column, Columns
from imgpipe_cli.render.styled import Drawn, Labeled, Stack, Text
from imgpipe_cli.render.text import count, safe

if TYPE_CHECKING:
    from imgpipe_cli.diagnose.retry.failure_queue import Contents
    from imgpipe_cli.diagnose.retry.judging import Picture
    from imgpipe_cli.diagnose.retry.retrying import Found, Retry
    from imgpipe_cli.render.screen import Screen
    from imgpipe_cli.session.settings import Settings

_NEVER_MIND = ("done", "nothing")
# Of so many messages that are none of ours each is named.
_NAMED = 5
# Of so many pictures and messages of one reason each is named.
_FEW = 3


def show(screen: Screen, found: Found, *, every_key: bool = False) -> None:
    """A row for each reason, the pictures of each, then what else is in the failure queue."""
    groups = _by_reason(found.pictures)
    if groups:
        screen.show(_table(groups))
    for code, some in groups.items():
        screen.line(_keys(code, some, every_key=every_key))
    for line in _lacking(found, every_key=every_key):
        screen.line(line)
    for line in _queue(found):
        screen.note(line)


def _by_reason(pictures: Sequence[Picture]) -> dict[str, list[Picture]]:
    """The most frequent reason first; what is done is none."""
    groups: dict[str, list[Picture]] = {}
    for picture in pictures:
        if picture.state not in _NEVER_MIND:
            groups.setdefault(picture.code, []).append(picture)
    return dict(sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])))


def _keys(code: str, pictures: Sequence[Picture], *, every_key: bool) -> str:
    """Which pictures: the first few, or each on a line of its own."""
    keys = [safe(picture.key) for picture in pictures]
    if every_key:
        return "\n".join([f"{safe(code)}:", *(f"  {key}" for key in keys)])
    more = f", {len(keys) - _FEW:,} more" if len(keys) > _FEW else ""
    return f"{safe(code)}: {', '.join(keys[:_FEW])}{more}"


def _lacking(found: Found, *, every_key: bool) -> Iterator[str]:
    """The finished pictures by the features that they lack."""
    groups: dict[str, list[Picture]] = {}
    for one in found.pictures if found.again else ():
        if lacks := lacked(one, found.settings):
            groups.setdefault(f"finished, without {', '.join(lacks)}", []).append(one)
    for label, some in groups.items():
        yield _keys(label, some, every_key=every_key)


def lacked(picture: Picture, settings: Settings) -> list[str]:
    """The features that a finished picture lacks, in words; empty for any other picture."""
    from imgpipe_cli.diagnose.retry.judging import asked_for

    if picture.state != "done":
        return []
    asked = asked_for(picture, settings.features)
    return [f"{one} of the current model" if one in picture.outdated else one for one in asked]


def _told(pictures: Sequence[Picture]) -> str:
    """Cause; where pictures of one reason tell different things, the first few of them."""
    told = list(dict.fromkeys(f"{safe(one.why)} {safe(one.hint)}".rstrip() for one in pictures))
    more = [f"{len(told) - _FEW:,} other messages"] if len(told) > _FEW else []
    return "\n".join([*told[:_FEW], *more])


def _table(groups: Mapping[str, Sequence[Picture]]) -> Columns:
    drawn = Columns(
        Column("Reason", whole=True),
        Column("Pictures", whole=True, right=True),
        Column("Queued", whole=True, right=True),
        Column("Retry", whole=True),
        Column("Cause", least=SENTENCE),
    )
    for code, some in groups.items():
        helps, style = _helps(some[0])
        queued = sum(len(one.events) for one in some)
        drawn.add_row(
            Text(safe(code)),
            Text(f"{len(some):,}"),
            Text(f"{queued:,}" if queued else ""),
            Text(helps, style),
            Text(_told(some)),
        )
    return drawn


def _helps(picture: Picture) -> tuple[str, str]:
    if picture.helps:
        return "may help", "green"
    if picture.state == "pending":
        return "not needed", "yellow"
    if picture.state == "unknown":
        return "unknown", "yellow"
    return "no use", "red"


def _queue(found: Found) -> Iterator[str]:
    contents = found.contents
    over = sum(len(one.events) for one in found.pictures if one.state in ("done", "gone"))
    if over:
        yield f"{count(over, 'event')} of the failure queue can go: the pictures have a result, or are gone."
    strangers = _strangers(contents)
    for message_id, why in strangers[:_NAMED]:
        yield f"The message {safe(message_id)} of the failure queue is left alone: {safe(why)}."
    if len(strangers) > _NAMED:
        yield f"So are {len(strangers) - _NAMED} more."
    if contents.elsewhere:
        yield f"{count(contents.elsewhere, 'event')} of the failure queue are in other hands just now."
    if not contents.complete:
        yield (
            f"The failure queue is longer: only {len(contents.entries):,} events were processed. "
            "For the rest run imgpipe retry again."
        )
    if found.queue_url is None:
        yield "The failure queue is missing: imgpipe up makes it again."


def _strangers(contents: Contents) -> list[tuple[str, str]]:
    return [(entry.message_id, entry.trouble) for entry in contents.entries if entry.trouble]


def cost(chosen: Sequence[Picture], settings: Settings, *, local: bool) -> str:
    """What analyzing again may cost; "" if Rekognition will not be asked."""
    from imgpipe_cli.diagnose.retry.judging import asked_once
    from imgpipe_cli.render import costs

    asked, copies = asked_once(chosen, settings.features)
    return costs.at_most(asked, copies, local=local)


def question(chosen: Sequence[Picture], price: str) -> str:
    """What is asked before anything happens. price: what `cost` says."""
    return " ".join(filter(None, [f"Analyze {count(len(chosen), 'picture')} again?", price, "[y/N]"]))


# --- outcomes ------------------------------------------------------------------------------------


def outcome(screen: Screen, picture: Picture, min_confidence: float) -> None:
    """One picture as it stands now: its result, or why there is none."""
    if picture.state == "done" and picture.item is not None and not picture.is_over_limit:
        screen.show(results.tables(picture.item, min_confidence))
        return
    style = {"done": "yellow", "pending": "yellow", "nothing": "dim"}.get(picture.state, "red")
    screen.show(_standing(picture, Text(safe(picture.why), style), _hint(picture)))


def finished(screen: Screen, picture: Picture, settings: Settings) -> None:
    """A picture that had its result before: of what, since when, and that nothing was asked."""
    from imgpipe_cli.pictures.keys import argument

    item = picture.item
    assert item is not None
    there = ", ".join(feature for feature in item["features"] if feature in item) or "nothing"
    at = f"{datetime.fromisoformat(item['analyzedAt']).astimezone():%Y-%m-%d %H:%M:%S}"
    key = argument(picture.key)
    if lacks := lacked(picture, settings):
        hint = f"It lacks {', '.join(lacks)}. To have that too: imgpipe retry {key} --again."
    else:
        hint = f"It lacks nothing that --again would ask for. See it with imgpipe result {key}."
    told = Text(f"Analyzed at {at}: {safe(there)}. Nothing was asked again.", "dim")
    screen.show(_standing(picture, told, hint))


def _standing(picture: Picture, told: Text, hint: str) -> Drawn:
    """A picture's key and, below it, its state and what to do."""
    rows = [(Text(picture.state, told.spans[0][1]), told)]
    if hint:
        rows.append((Text("hint"), Text(safe(hint))))
    return Stack(Text(safe(picture.key), "bold").unbroken(), Labeled(*rows), Text())


def _hint(picture: Picture) -> str:
    if picture.hint or picture.state != "failed":
        return picture.hint
    return results.after_all_tries(picture.key)


def summary(found: Found, chosen: Sequence[Picture], done: Retry | None, price: str, *, named: bool) -> str:
    """The last line. named: keys were given, so that nothing is known of other pictures."""
    if done is None:
        if not (found.pictures or found.contents.entries or named):
            return _nothing(found)
        plan = f"Nothing was changed. imgpipe retry would analyze {count(len(chosen), 'picture')} again."
        return f"{plan} {price}".rstrip()
    parts = []
    if (found.pictures or named) and not (done.outcomes or done.left):
        parts.append("No picture was analyzed again.")
    if done.outcomes or done.left:
        before = {one.key: one.item for one in found.pictures if one.state == "done"}
        same = {one.key for one in done.outcomes if one.item and one.item == before.get(one.key)}
        states = [
            "over_limit" if one.is_over_limit else "before" if one.key in same else one.state
            for one in done.outcomes
        ]
        states += ["pending"] * len(done.left)
        told = [f"{states.count(state)} {word}" for state, word in _WORDS.items() if state in states]
        parts.append(f"{count(len(states), 'picture')}: {', '.join(told)}.")
    if done.cleared is not None and (done.cleared.taken or done.cleared.left):
        taken = f"{count(done.cleared.taken, 'event')} taken out, " if done.cleared.taken else ""
        parts.append(f"Failure queue: {taken}{len(done.cleared.left) or 'none'} left.")
    return " ".join(parts) or _nothing(found)


def _nothing(found: Found) -> str:
    more = ", and no finished picture lacks anything" if found.again else ""
    return f"Nothing has failed{more}."


_WORDS = {
    "before": "done already",
    "done": "analyzed",
    "over_limit": "not asked again (monthly limit)",
    "failed": "failed again",
    "pending": "pending",
    "gone": "no longer in the bucket",
    "nothing": "nothing to analyze",
    "unknown": "unknown",
}


# --- JSON ----------------------------------------------------------------------------------------


def document(found: Found, chosen: Sequence[Picture], done: Retry | None) -> dict[str, Any]:
    """The data of `--json`. `state` is how a picture stands at the end."""
    again = {picture.key for picture in chosen}
    ends = {} if done is None else {one.key: one for one in done.outcomes}
    left = set() if done is None else {one.key for one in done.left}
    cleared = done.cleared if done is not None else None
    return {
        "reasons": [
            {
                "reason": code,
                "pictures": len(some),
                "queued": sum(len(one.events) for one in some),
                "helps": some[0].helps,
                "message": some[0].why,
                "hint": some[0].hint,
            }
            for code, some in _by_reason(found.pictures).items()
        ],
        "pictures": [
            {
                "key": one.key,
                "reason": one.code,
                "chosen": one.key in again,
                "state": "pending" if one.key in left else ends.get(one.key, one).state,
                "lacking": _lacking_features(ends.get(one.key, one), found.settings),
                "result": ends.get(one.key, one).item,
            }
            for one in found.pictures
        ],
        "failureQueue": {
            "events": len(found.contents.entries),
            "taken": cleared.taken if cleared is not None else 0,
            "complete": found.contents.complete,
            "elsewhere": found.contents.elsewhere,
            "leftAlone": [
                {"messageId": message_id, "why": why} for message_id, why in _strangers(found.contents)
            ],
        },
    }


def _lacking_features(picture: Picture, settings: Settings) -> list[str]:
    from imgpipe_cli.diagnose.retry.judging import asked_for

    return asked_for(picture, settings.features) if picture.state == "done" else []


def errors(done: Retry) -> list[dict[str, Any]]:
    """The pictures that have no good result at the end."""
    told = [*done.outcomes, *done.left]
    return [
        {"code": one.code, "message": f"{one.key}: {one.why}", "hint": _hint(one)}
        for one in told
        if one.state not in _NEVER_MIND or one.is_over_limit
    ]
