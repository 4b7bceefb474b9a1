"""Step 2: where the results are kept, by the settings a table or a bucket."""

from __future__ import annotations

from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.resources.results_bucket import ResultsBucket
from imgpipe_cli.deploy.resources.table import Expiry, Table

# What belongs to each store, outermost first: what has to go when the results have moved.
RESOURCES = {"table": ("table", "table.ttl"), "s3": ("results_bucket",)}

STEP = Step("table", "Results store", (Table(), Expiry(), ResultsBucket()))
