"""Step 2: where the results are kept, by the settings a table or a bucket, and their index."""

from __future__ import annotations

from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.resources.dynamodb_table import Expiry, Table
from imgpipe_cli.deploy.resources.index_table import IndexTable
from imgpipe_cli.deploy.resources.results_bucket import ResultsBucket

# The index first: a store with results and no index of them is older than it, and is read to fill it.
STEP = Step("table", "Results store", (IndexTable(), Table(), Expiry(), ResultsBucket()))
