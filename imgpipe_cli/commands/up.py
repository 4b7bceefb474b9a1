"""`imgpipe up`: carry out the setup steps, or those that are still missing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgpipe_cli.commands.local_gaps import gaps
from imgpipe_cli.commands.options import WorkersOption, above_0, min_confidence_option
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.commands.up_consent import agreed, confirm_move, confirm_older, over_stored
from imgpipe_cli.result import Result

if TYPE_CHECKING:
    from imgpipe_cli.deploy.observe import Snapshot
    from imgpipe_cli.deploy.pipeline import Pipeline
    from imgpipe_cli.deploy.results.store import BucketStore, TableStore
    from imgpipe_cli.session.connection import Connection
    from imgpipe_cli.session.settings import Settings
    from imgpipe_cli.session.target import Remembered


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
                help="Features to look for, separated by commas: labels, moderation, faces, text or "
                "properties (default labels). Replaces the set.",
            ),
        ] = None,
        min_confidence: Annotated[
            float | None,
            min_confidence_option(
                "Tables and page show this and more by default (70); everything above 50 is stored."
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
        results: Annotated[
            str | None,
            typer.Option(
                "--results",
                envvar="IMGPIPE_RESULTS",
                metavar="table|s3",
                help="Where results are kept (default table): s3 keeps each as JSON in a bucket of its own.",
            ),
        ] = None,
        rekognition_tps: Annotated[
            float | None,
            typer.Option(
                "--rekognition-tps",
                envvar="IMGPIPE_REKOGNITION_TPS",
                min=0,
                max=100_000,
                callback=above_0,
                metavar="N",
                help="Calls a second that Rekognition answers in this account, as Service Quotas shows (read "
                "there by default). The pictures analyzed at once follow it.",
            ),
        ] = None,
        monthly_limit: Annotated[
            int | None,
            typer.Option(
                "--monthly-limit",
                envvar="IMGPIPE_MONTHLY_LIMIT",
                min=0,
                max=1_000_000_000,
                metavar="N",
                help="The most analyses in a month, one for each feature of a picture; further pictures wait "
                "for imgpipe retry (default none; 0 takes a limit away).",
            ),
        ] = None,
        source_account: Annotated[
            bool | None,
            typer.Option(
                "--source-account/--no-source-account",
                help="Whether Lambda may take the roles for this account only (default). up leaves that out "
                "where Lambda cannot take them so.",
            ),
        ] = None,
        repair_index: Annotated[
            bool,
            typer.Option("--repair-index", help="Also check the indexes of the results."),
        ] = False,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Only list the calls that would be sent.")
        ] = False,
        yes: Annotated[
            bool,
            typer.Option("--yes", "-y", help="Ask nothing."),
        ] = False,
        no_models: Annotated[
            bool,
            typer.Option(
                "--no-models",
                envvar="IMGPIPE_NO_MODELS",
                help="With --local: do without the models of the local analysis (29 MB), also in later runs.",
            ),
        ] = False,
        workers: WorkersOption = 16,
    ) -> Result:
        """Set up the pipeline: carry out the steps that are missing. Safe to run again at any time."""
        from imgpipe_cli.commands import model_fetch
        from imgpipe_cli.deploy import apply, conflicts, observe, pipeline_info, plan, releases
        from imgpipe_cli.deploy.pipeline import Pipeline
        from imgpipe_cli.deploy.readiness import FirstRequest
        from imgpipe_cli.deploy.resources.settings_parameter import stored_settings
        from imgpipe_cli.deploy.results import migrate
        from imgpipe_cli.deploy.steps import STEPS
        from imgpipe_cli.render import reports

        given: dict[str, Any] = {
            "features": features,
            "min_confidence": min_confidence,
            "private": private,
            "results": results,
            "rekognition_tps": rekognition_tps,
            "monthly_limit": monthly_limit,
            "source_account": source_account,
        }
        connection = _connected(run, given)
        fetched = connection.target.local and not dry_run and model_fetch.in_up(run, declined=no_models)
        pipeline = Pipeline(STEPS, connection.aws, connection.names, workers)
        run.screen.progress.steps(STEPS)
        snapshot = observe.snapshot(pipeline, run.emit)
        known = _known(run, pipeline, snapshot, given)
        older = releases.taken_back(known, snapshot)
        asked = partial(_settings, run, given, as_own=bool(older))
        wanted = partial(_determined, connection, asked)
        settings = migrate.begin(pipeline, wanted(known), snapshot)
        plan.refuse_not_owned(pipeline, snapshot, settings)
        run.screen.progress.only({resource.name for _, resource in pipeline.resources(settings)})
        for code, detail in _left_out(snapshot, connection):
            run.note(code, detail)
        if known and older:
            run.note("older_imgpipe", f"{releases.own()} would replace what {known.imgpipe} deployed")
        if dry_run:
            changes = migrate.planned(pipeline, snapshot, settings)
            return Result(
                data=[_change_data(step.name, change) for step, _, change in changes],
                show=lambda screen: reports.planned(screen, changes),
            )
        if older:
            confirm_older(run, older, yes=yes)
        confirm_move(run, pipeline, snapshot, settings, known, yes=yes)
        run.begin(connection)
        over = partial(over_stored, wanted, agreed(settings, yes=yes))
        first = FirstRequest(connection)
        outcomes = apply.apply(pipeline, snapshot, settings, run.emit, over, first.note)
        settings = stored_settings(outcomes["settings"].observed, connection.names)
        refuse_unfinished = _repaired(run, connection, settings) if repair_index else None
        found = pipeline_info.of(connection, {name: outcome.observed for name, outcome in outcomes.items()})
        assert found is not None
        run.keep(found)
        run.save()
        conflicts.refuse_other_settings(asked(settings), settings)
        changed = [name for name, outcome in outcomes.items() if outcome.changed]
        if not first.is_answered(found):
            _wait_until_answering(run, pipeline, found, changed)
        if refuse_unfinished is not None:
            refuse_unfinished()
        missing = gaps(settings.features) if connection.target.local else []
        missing += _left_out(snapshot, connection)
        return _ready(found, known, settings, changed, missing, more_models=fetched)


def _ready(
    found: Remembered,
    before: Settings | None,
    settings: Settings,
    changed: list[str],
    missing: list[tuple[str, str]],
    *,
    more_models: bool,
) -> Result:
    """before: the settings up to now, None of a new pipeline. changed: the resources. more_models: this run
    has fetched some."""
    from imgpipe_cli.diagnose.retry import again
    from imgpipe_cli.pictures.api import Api
    from imgpipe_cli.render import reports

    api = Api(found.api_url, found.token)
    local = found.target.local
    lacking = again.count_after(api, before, settings, local=local, more_models=more_models)
    data = {
        **reports.outputs_document(found),
        "settings": reports.settings_document(settings),
        "changed": changed,
        "missing": [code for code, _ in missing],
        "lacking": reports.lacking_document(lacking),
    }
    return Result(
        data=data,
        show=lambda screen: reports.outputs(screen, found, settings, missing, lacking, changed=bool(changed)),
    )


def _wait_until_answering(run: Run, pipeline: Pipeline, found: Remembered, changed: Collection[str]) -> None:
    from imgpipe_cli.deploy import conflicts
    from imgpipe_cli.deploy.readiness import LIMIT_S, wait_until_answering

    # Until a new deployment is out, the gateway answers for itself. Without a change it is asked once more.
    fresh = any(name.startswith(("api", "function", "permission.api")) for name in changed)
    # An API that does not answer may have been removed by another run.
    late = partial(conflicts.refuse_removal, pipeline, run.emit)
    wait_until_answering(found, run.emit, limit_s=LIMIT_S if fresh else 0.0, late=late)


def _left_out(snapshot: Snapshot, connection: Connection) -> list[tuple[str, str]]:
    """What the pipeline is without, by its endpoint or its owner's own choice: code and detail."""
    from imgpipe_cli.deploy.encryption_keys import own_keys

    without_tls = snapshot["bucket"].facts.get("plain_http", _plain_http(connection))
    keys = list(own_keys(snapshot, connection.names))
    left = {"no_tls_policy": connection.endpoint or ""} if without_tls else {}
    return list({**left, **({"own_key": ", ".join(keys)} if keys else {})}.items())


def _change_data(step: str, change: Any) -> dict[str, Any]:
    return {
        "step": step,
        "verb": change.verb,
        "what": change.what,
        "call": change.call.label,
    }


def _known(run: Run, pipeline: Pipeline, snapshot: Snapshot, given: Mapping[str, Any]) -> Settings | None:
    """What the pipeline was set up with; where that is lost, everything has to be asked for."""
    from imgpipe_cli.deploy import deployed

    known = deployed.settings(snapshot, pipeline.names)
    if known is not None and not snapshot["settings"].exists:
        access = "private" if known.private else "public"
        detail = f"{', '.join(known.features)}; {known.min_confidence:g} %; {access}; {known.results}"
        run.note("settings_rebuilt", detail)
    # What is not needed can be read again.
    readable = ("rekognition_tps", "monthly_limit", "source_account")
    needed = {name: value for name, value in given.items() if name not in readable}
    all_asked = all(run.asked(name, value) is not None for name, value in needed.items())
    if known is None and not all_asked and deployed.is_lost(pipeline, snapshot):
        raise deployed.lost(pipeline.names)
    return known


def _settings(
    run: Run, values: Mapping[str, Any], deployed: Settings | None, *, as_own: bool = False
) -> Settings:
    """as_own: whether the code will be this version's, also where it is newer now."""
    from imgpipe_cli.deploy import releases
    from imgpipe_cli.session.settings import resolve

    today = datetime.now(UTC).date().isoformat()
    asked = {name: run.asked(name, value) for name, value in values.items()}
    settings = resolve(**asked, deployed=deployed, today=today)
    by = releases.own() if as_own else releases.newest(settings)
    return replace(settings, imgpipe=by, first_day=settings.first_day or today)


def _determined(
    connection: Connection, asked: Callable[[Settings | None], Settings], deployed: Settings | None
) -> Settings:
    """What is asked for, with what AWS tells of its limits; an endpoint of the user's own has none."""
    from imgpipe_cli.deploy.ingest_cap import determined

    settings = asked(deployed)
    return settings if connection.endpoint is not None else determined(connection.aws, settings)


def _repaired(run: Run, connection: Connection, settings: Settings) -> Callable[[], None]:
    """Repair the indexes; what is returned raises the Problem of results that were refused."""
    from imgpipe_cli.deploy.results import reindex
    from imgpipe_cli.deploy.results.store import store

    where = store(settings.results, connection.aws, connection.names)
    found = reindex.repair(where)
    added, removed = _repaired_rows(connection, where)
    run.note("index_repaired", f"{found.added + added} added, {found.removed + removed} removed")
    return partial(reindex.refuse_unfinished, found, where)


def _repaired_rows(connection: Connection, where: TableStore | BucketStore) -> tuple[int, int]:
    from imgpipe_cli.aws.client import AwsError
    from imgpipe_cli.aws.errors import problem
    from imgpipe_cli.deploy.results.row_index import RowIndex

    try:
        return RowIndex(connection.aws, connection.names.index_table, where).repair()
    except AwsError as error:
        raise problem(error, f"repair table {connection.names.index_table}") from error


def _plain_http(connection: Connection) -> bool:
    return not connection.target.local and connection.aws.endpoint("s3").startswith("http://")


def _connected(run: Run, given: Mapping[str, Any]) -> Connection:
    """A slip of the pen starts no local cloud and fetches no models."""
    from imgpipe_cli.deploy.steps import SERVICES

    _settings(run, given, None)
    connection = run.connect(start_local=True, services=SERVICES)
    _check_region(connection)
    return connection


def _check_region(connection: Connection) -> None:
    """Rekognition is in fewer regions than the rest; an endpoint of the user's own is not asked."""
    from imgpipe_cli.errors import ExitCode, Problem

    if connection.endpoint is not None:
        return
    offered = connection.aws.regions("rekognition")
    if connection.aws.region not in offered:
        raise Problem(
            "no_rekognition",
            f"Amazon Rekognition is not offered in {connection.aws.region}.",
            hint=f"Choose --region from {', '.join(sorted(offered))}; or update boto3, which lists them: "
            "pip install --upgrade boto3.",
            exit_code=ExitCode.USAGE,
        )
