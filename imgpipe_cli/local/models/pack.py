"""One file with all installed models, for machines without network: `fetch --from` takes it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.models import catalogue
from imgpipe_cli.local.models.catalogue import Model
from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.system import file_io


def pack(folder: ModelFolder, target: Path) -> list[Model]:
    """Write an archive of the installed models, which replaces the file of that name.

    The same models give the same bytes. Raises Problem where a base model is missing, or for a file that
    cannot be written.
    """
    contents = {model: folder.read(model) for model in catalogue.MODELS}
    missing = [model.name for model, data in contents.items() if data is None and not model.optional]
    if missing:
        raise Problem(
            "models_missing",
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed; a pack holds all.",
            hint="imgpipe local models fetch installs them.",
        )
    archive = io.BytesIO()
    # Weights do not compress.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packing:
        for model, data in contents.items():
            if data is not None:
                packing.writestr(zipfile.ZipInfo(model.file), data)
    try:
        file_io.write(target, archive.getvalue(), mode=0o666)  # it is carried to others
    except OSError as error:
        raise Problem("pack_unwritable", f"{target} cannot be written: {error.strerror or error}.") from error
    return [model for model, data in contents.items() if data is not None]
