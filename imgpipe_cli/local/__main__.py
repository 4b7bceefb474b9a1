"""`python -m imgpipe_cli.local`: the local cloud's process; `imgpipe local start` runs it."""

from __future__ import annotations

import sys

from imgpipe_cli.local.process.server import main

sys.exit(main())
