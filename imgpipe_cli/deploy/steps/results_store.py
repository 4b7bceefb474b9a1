"""Step 2: where the results are kept, by the settings a table or a bucket."""

from __future__ import annotations

from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.resources.dynamodb_table import Expiry, Table
from imgpipe_cli.deploy.resources.results_bucket import ResultsBucket

STEP = Step("table", "Results store", (Table(), Expiry(), ResultsBucket()))
