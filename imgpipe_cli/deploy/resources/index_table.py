"""The table by whose rows pictures are found: a part of step 2, for both stores of results."""

from __future__ import annotations

from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resources.dynamodb_table import DynamoTable


class IndexTable(DynamoTable):
    """Its rows are those of `lambda_src/shared/index_rows.py`."""

    name = "index_table"
    title = "the index table"
    keys = ("pk", "sk")
    lost = "its rows and no result"

    def table(self, names: Names) -> str:
        return names.index_table
