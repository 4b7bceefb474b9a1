"""The local cloud with the real analysis, for which the stand-in is the object model.

Run by path in place of `python -m imgpipe_cli.local`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from imgpipe_cli.local.files import LocalFiles
from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.local.process.server import main
from imgpipe_cli.local.rekognition import Rekognition

# -P keeps this file's folder off the path, and the tests are no installed package.
sys.path.append(str(Path(__file__).parents[2]))

if __name__ == "__main__":
    from tests.local.rekognition.stand_in import stand_in_model

    models = ModelFolder(LocalFiles(Path(sys.argv[sys.argv.index("--folder") + 1])).models)
    sys.exit(
        main(load=lambda workers: Rekognition(workers=workers, models=models, catalogue=[stand_in_model()]))
    )
