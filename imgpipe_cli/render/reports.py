"""What `up`, `status` and `down` say at their end or before they act."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgpipe_cli.aws.names import Names
from imgpipe_cli.render.columns import SENTENCE, Column, Columns
from imgpipe_cli.render.styled import Text
from imgpipe_cli.render.text import count, note, safe, size

if TYPE_CHECKING:
    from imgpipe_cli.deploy.destroy import Removal
    from imgpipe_cli.deploy.plan import ResourceState
    from imgpipe_cli.deploy.resource import Change, Resource, Step
    from imgpipe_cli.pictures.lacking import Lacking
    from imgpipe_cli.render.screen import Screen
    from imgpipe_cli.session.settings import Settings
    from imgpipe_cli.session.target import Remembered


def planned(screen: Screen, changes: Sequence[tuple[Step, Resource, Change]]) -> None:
    """Every call that `up` would send, one a line, with its parameters."""
    if not changes:
        screen.line("Nothing to do: everything is as it should be.")
        return
    for step, _, change in changes:
        call = change.call
        screen.line(f"{step.title}: {change.verb} {safe(change.what)}")
        screen.line(f"    {call.label} {_parameters(call.params)}".rstrip(), exact=True)
    screen.line(f"{count(len(changes), 'call')} would be sent. Nothing was changed.")


def _parameters(params: Mapping[str, Any]) -> str:
    return safe(json.dumps(params, default=repr, ensure_ascii=False)) if params else ""


def outputs(
    screen: Screen,
    found: Remembered,
    settings: Settings,
    missing: Sequence[tuple[str, str]],
    lacking: Lacking | None = None,
    *,
    changed: bool,
) -> None:
    """What the user now has, and has not: what was said of that before has scrolled away."""
    screen.line("Ready." if changed else "Ready. Nothing had to be changed.")
    output_lines(screen, found, settings)
    missing_lines(screen, missing)
    if lacking and lacking.pictures:
        screen.line(f"  {'Earlier':<9} {lacking_words(lacking, local=found.target.local)}")
    screen.line("Next: imgpipe upload photo.jpg --wait")


def missing_lines(screen: Screen, missing: Sequence[tuple[str, str]]) -> None:
    """missing: codes of notes with their details."""
    for code, detail in missing:
        screen.line(f"  {'Missing':<9} {note(code, detail)}")


def lacking_words(lacking: Lacking, *, local: bool) -> str:
    """What the pictures of before lack, and the way to it."""
    least = "" if lacking.complete else "at least "
    lack = "lacks" if lacking.pictures == 1 else "lack"
    pictures = f"{least}{count(lacking.pictures, 'finished picture')} {lack}"
    way = "imgpipe retry --all --again" if local else "imgpipe retry KEY... --again"
    return f"{pictures} {', '.join(lacking.features)}: {way}"


def lacking_document(lacking: Lacking | None) -> dict[str, Any] | None:
    """What finished pictures lack, as it stands in the JSON of `up`."""
    if lacking is None:
        return None
    return {
        "pictures": lacking.pictures,
        "features": dict(lacking.features),
        "complete": lacking.complete,
    }


def output_lines(screen: Screen, found: Remembered, settings: Settings) -> None:
    from imgpipe_cli.session import prices

    lines = [
        ("Bucket", found.bucket),
        ("Results", f"{found.api_url}/result?key=<key>"),
        ("", _access(found)),
        *([("", f"kept as JSON in bucket {_results_bucket(found)}")] if settings.results == "s3" else []),
        ("Page", f"{found.api_url}/"),
        ("Features", ", ".join(settings.features)),
    ]
    if not found.target.local:
        price = (
            f"about ${prices.per_1000(settings.features):.2f} for 1,000 pictures (Rekognition's list price)"
        )
        lines.append(("Price", price))
    if settings.monthly_limit:
        lines.append(("Limit", _limit(settings, local=found.target.local)))
    for name, value in lines:
        screen.line(f"  {name:<9} {safe(value)}")


def _limit(settings: Settings, *, local: bool) -> str:
    from imgpipe_cli.session import prices

    analyses = count(settings.monthly_limit, "analysis", "analyses")
    most = prices.told(prices.at_most(settings.features, settings.monthly_limit))
    return f"{analyses} a month" if local else f"{analyses} a month, at most {most} by Rekognition's list"


def outputs_document(found: Remembered) -> dict[str, Any]:
    """The addresses of a pipeline, as they stand in the JSON of `up` and `status`."""
    return {
        "project": found.target.project,
        "account": found.account,
        "region": found.region,
        "local": found.target.local,
        "bucket": found.bucket,
        "apiUrl": found.api_url,
        "pageUrl": f"{found.api_url}/",
        "resultUrl": f"{found.api_url}/result?key=",
    }


def settings_document(settings: Settings) -> dict[str, Any]:
    """The settings of a pipeline, as they stand in the JSON of `up` and `status`."""
    from imgpipe_cli.session import prices

    return {
        "features": list(settings.features),
        "minConfidence": settings.min_confidence,
        "private": settings.private,
        "rekognitionPricePer1000": prices.per_1000(settings.features),
        "results": settings.results,
        "sourceAccount": settings.source_account,
        "rekognitionTps": settings.rekognition_tps or None,
        "concurrency": settings.cap,
        "monthlyLimit": settings.monthly_limit or None,
    }


def _results_bucket(found: Remembered) -> str:
    return Names(found.target.project, found.account, found.region).results_bucket


def _access(found: Remembered) -> str:
    return "needs the access token" if found.private else "readable by everyone who knows a key"


def removals(screen: Screen, removals: Sequence[Removal], names: Any) -> None:
    """What `down` is about to remove, with what is in it."""
    screen.note("This will be removed:")
    told = set()
    for removal in removals:
        if removal.resource.parent is not None:
            continue  # goes together with what it is in
        if removal.step.name not in told:
            told.add(removal.step.name)
            screen.note(f"  {removal.step.title}")
        inside = contents(removal.contents)
        screen.note(f"    {_label(removal, names)}{f': {inside}' if inside else ''}")


def _label(removal: Removal, names: Any) -> str:
    from imgpipe_cli.deploy.resource import Context

    changes = list(removal.resource.removals(Context(removal.observed, names)))
    return safe(changes[-1].what) if changes else safe(removal.resource.name)


def contents(counts: Mapping[str, int]) -> str:
    """{"objects": 3, ...} -> "3 objects, 1 older version, 1.2 MB"."""
    words: Mapping[str, Callable[[int], str]] = {
        "objects": lambda n: count(n, "object"),
        "versions": lambda n: count(n, "older version"),
        "markers": lambda n: count(n, "delete marker"),
        "bytes": size,
        "uploads": lambda n: count(n, "unfinished upload"),
        "results": lambda n: count(n, "result"),
        "failed_events": lambda n: count(n, "failed event"),
    }
    if counts and not any(counts.values()):
        return "empty"
    return ", ".join(words[name](number) for name, number in counts.items() if number)


_WORST = ("not_owned", "drifted", "busy", "missing", "ready")
_STATE_WORDS = {
    "ready": "ready",
    "busy": "busy",
    "missing": "missing",
    "drifted": "drifted",
    "not_owned": "not owned",
}
_STYLES = {"ready": "green", "busy": "cyan", "missing": "yellow", "drifted": "yellow", "not_owned": "red"}


def states(screen: Screen, steps: Sequence[Step], found: Sequence[ResourceState]) -> None:
    """A row for each step; what differs is named."""
    whole = (Column(head, whole=True) for head in ("", "Step", "State"))
    table = Columns(*whole, Column("What", least=SENTENCE), title=1)
    for number, step in enumerate(steps):
        own = [state for state in found if state.step == step.name]
        worst = step_state(own)
        details = [
            detail
            for state in own
            if state.state != "ready"
            for detail in (state.drift or ([state.resource] if worst != state.state or len(own) > 1 else []))
        ]
        table.add_row(
            Text(str(number)),
            Text(step.title),
            Text(_STATE_WORDS[worst], _STYLES[worst]),
            # The way out for what is not ours is the same for all of it.
            Text("\n".join(safe(detail) for detail in dict.fromkeys(details))),
        )
    screen.show(table)


def step_state(states: Sequence[ResourceState]) -> str:
    """The state of a step is the worst of its resources'."""
    return min((state.state for state in states), key=_WORST.index)
