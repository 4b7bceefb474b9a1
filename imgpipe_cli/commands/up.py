"""`imgpipe up`: carry out the setup steps, or those that are still missing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe_cli.commands.base import Result, Run, command
from imgpipe_cli.events import Note

if TYPE_CHECKING:
    from imgpipe_cli.target import Connection, Remembered


def register(app: typer.Typer) -> None:
    @command(app)
    def up(
        run: Run,
        features: Annotated[
            str | None,
            typer.Option(
                "--features",
                envvar="IMGPIPE_FEATURES",
                metavar="LIST",
                help="What to look for: labels,moderation,faces,text (default labels). Replaces the set.",
            ),
        ] = None,
        min_confidence: Annotated[
            float | None,
            typer.Option(
                "--min-confidence",
                envvar="IMGPIPE_MIN_CONFIDENCE",
                min=0,
                max=100,
                metavar="PERCENT",
                help="What tables and page show by default (70); everything above 50 is stored.",
            ),
        ] = None,
        private: Annotated[
            bool | None,
            typer.Option(
                "--private/--public",
                envvar="IMGPIPE_PRIVATE",
                help="Whether reading a result by its key needs the access token (default public).",
            ),
        ] = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Only list the calls that would be sent.")
        ] = False,
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
        workers: Annotated[
            int, typer.Option("--workers", min=1, max=64, envvar="IMGPIPE_WORKERS", hidden=True)
        ] = 16,
    ) -> Result:
        """Set up the pipeline: carry out the steps that are missing. Safe to run again at any time."""
        from imgpipe_cli import outputs, runner
        from imgpipe_cli.commands.local import starter
        from imgpipe_cli.steps import SERVICES, STEPS

        del yes  # up asks nothing as long as it replaces and removes nothing
        connection = run.connect(start_local=starter(run), services=SERVICES)
        _check_region(connection)
        pipeline = runner.Pipeline(STEPS, connection.aws, connection.names, workers)
        run.screen.steps(STEPS)
        looks = runner.look(pipeline, run.emit)
        runner.refuse_foreign(pipeline, looks)
        settings = _settings(run, looks["settings"], features, min_confidence, private)
        if looks["bucket"].facts.get("plain_http", _plain_http(connection)):
            run.emit(Note("no_tls_policy", connection.endpoint or ""))
        if dry_run:
            changes = runner.planned_changes(pipeline, looks, settings)
            return Result(
                data=[_change_data(step.name, change) for step, _, change in changes],
                show=lambda screen: screen.planned(changes),
            )
        outcomes = runner.up(pipeline, looks, settings, run.emit)
        found = outputs.of(connection, {name: outcome.seen for name, outcome in outcomes.items()})
        assert found is not None
        run.memory.put(found)
        changed = [name for name, outcome in outcomes.items() if outcome.changed]
        if any(name.startswith(("api", "function", "permission.api")) for name in changed):
            _until_answering(run, found)
        data = {**output_data(found), "settings": _settings_data(settings), "changed": changed}
        return Result(data=data, show=lambda screen: screen.outputs(found, settings, bool(changed)))


def output_data(found: Remembered) -> dict[str, Any]:
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


def _settings_data(settings: Any) -> dict[str, Any]:
    return {
        "features": list(settings.features),
        "minConfidence": settings.min_confidence,
        "private": settings.private,
        "rekognitionPricePer1000": settings.price_per_1000,
    }


def _change_data(step: str, change: Any) -> dict[str, Any]:
    return {
        "step": step,
        "verb": change.verb,
        "what": change.what,
        "call": change.call.label,
    }


def _settings(
    run: Run, seen: Any, features: str | None, min_confidence: float | None, private: bool | None
) -> Any:
    from imgpipe_cli.settings import Settings, resolve

    return resolve(
        features=run.asked("features", features),
        min_confidence=run.asked("min_confidence", min_confidence),
        private=run.asked("private", private),
        deployed=Settings.from_json(seen.facts["value"]) if seen.exists else None,
        today=datetime.now(UTC).date().isoformat(),
    )


def _plain_http(connection: Connection) -> bool:
    return not connection.target.local and connection.aws.endpoint("s3").startswith("http://")


def _check_region(connection: Connection) -> None:
    """Rekognition is in fewer regions than the rest; an endpoint of the user's own is not asked."""
    from imgpipe_cli.problems import ExitCode, Problem

    if connection.endpoint is not None:
        return
    offered = connection.aws.regions("rekognition")
    if connection.aws.region not in offered:
        raise Problem(
            "no_rekognition",
            f"Amazon Rekognition is not offered in {connection.aws.region}.",
            hint=f"Choose --region from {', '.join(sorted(offered))}.",
            exit_code=ExitCode.USAGE,
        )


def _until_answering(run: Run, found: Remembered) -> None:
    """A new deployment takes a moment: until it is out, the gateway answers for itself."""
    from imgpipe_cli.answering import wait_until_answering

    wait_until_answering(found, run.emit)
