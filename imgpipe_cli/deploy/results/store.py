"""Both stores of results as the command line copies between them: what is newer in one goes into the other.

A store tells its items by digest (the MD5 of an item's stored text), so what is the same in both is known
from one pass over each, without reading it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.errors import is_about_all
from imgpipe_cli.aws.names import Names
from imgpipe_cli.lambdas.source import dynamo_types, table_rows
from imgpipe_cli.lambdas.source import result_objects as rules
from imgpipe_cli.system.threads import Pool

if TYPE_CHECKING:
    from shared.result_item import Stored

T = TypeVar("T")

# Objects read or written at once.
PARALLEL = 16
# So many are refused, and none is not: it is not about single results.
REFUSED_TO_ALL = 64
# How often one item is tried again when the pipeline changes it meanwhile.
_LOOKS = 5
_BATCH = 200
_NO_RESULT = "NotAResult"
_TOO_BUSY = "a result changed again and again while it was being copied"


def is_about_one(error: AwsError) -> bool:
    """Whether the others may well be read and written."""
    return error.code == _NO_RESULT or (400 <= error.status < 500 and not is_about_all(error))


def _raise(name: str, error: AwsError) -> None:
    raise AwsError(
        error.code,
        f"{error.message} ({name})",
        service=error.service,
        operation=error.operation,
        status=error.status,
    ) from error


class ResultStore(Protocol):
    """name: what people read, such as "table imgpipe-results"."""

    @property
    def name(self) -> str: ...

    def digests(self) -> dict[str, str]:
        """The digest of each item that is there, tombstones too, by its name. Raises AwsError."""
        ...

    def items(
        self, known: Mapping[str, str], refused: Callable[[str, AwsError], None] = _raise
    ) -> Iterator[Stored]:
        """The items whose digest is not the known one; refused is told of each that cannot be read. Raises
        AwsError."""
        ...

    def put(self, item: Stored, *, absent: bool) -> bool:
        """Store the item unless what is there counts more; whether it was stored. Raises AwsError.

        absent: nothing was there a moment ago, so a look can be saved.
        """
        ...


def store(kind: str, aws: Aws, names: Names) -> TableStore | BucketStore:
    """kind: as in the settings, table or s3."""
    return TableStore(aws, names.table) if kind == "table" else BucketStore(aws, names.results_bucket)


def batches(things: Iterable[T]) -> Iterator[list[T]]:
    """A few at a time: a pool takes all that it is given at once, and there may be very many results."""
    source = iter(things)
    while some := list(islice(source, _BATCH)):
        yield some


def _digest(item: Stored) -> str:
    return hashlib.md5(rules.dump(item), usedforsecurity=False).hexdigest()


def name_of(item: Stored) -> str:
    """Under which name both stores tell their items."""
    return str(rules.name_of(item["objectKey"]))


@dataclass(frozen=True)
class TableStore:
    """The DynamoDB table."""

    aws: Aws
    table: str

    @property
    def name(self) -> str:
        return f"table {self.table}"

    def digests(self) -> dict[str, str]:
        return {name_of(item): _digest(item) for item in self._all()}

    def items(
        self,
        known: Mapping[str, str],
        refused: Callable[[str, AwsError], None] = _raise,  # noqa: ARG002 (a table is read as a whole)
    ) -> Iterator[Stored]:
        return (item for item in self._all() if known.get(name_of(item)) != _digest(item))

    def is_empty(self) -> bool:
        """Whether nothing was ever stored here, or all of it is gone. Raises AwsError."""
        page = self.aws.call("dynamodb", "scan", TableName=self.table, ConsistentRead=True, Limit=1)
        return not page["Items"]

    def _all(self) -> Iterator[Stored]:
        # Consistent: a result that was written a moment ago counts too.
        for page in self.aws.pages("dynamodb", "scan", TableName=self.table, ConsistentRead=True):
            yield from map(table_rows.stored_in, page["Items"])

    def put(self, item: Stored, *, absent: bool) -> bool:
        for look in range(_LOOKS):
            stored = None if absent and look == 0 else self._get(item["objectKey"])
            if not rules.counts_more(item, stored):
                return False
            if self._put(item, stored):
                return True
        raise AwsError("Conflict", _TOO_BUSY, service="dynamodb", operation="put_item")

    def _get(self, key: str) -> Stored | None:
        found = self.aws.call(
            "dynamodb",
            "get_item",
            TableName=self.table,
            Key={"objectKey": {"S": key}},
            ConsistentRead=True,
        ).get("Item")
        return table_rows.stored_in(found) if found else None

    def unmarked(self) -> Iterator[tuple[list[Stored], int]]:
        """Failed results without the mark of their index, page by page; and how many rows each page had.

        Raises AwsError.
        """
        params = {
            "TableName": self.table,
            "FilterExpression": "#status = :failed AND attribute_not_exists(#mark)",
            "ExpressionAttributeNames": {"#status": "status", "#mark": table_rows.FAILED},
            "ExpressionAttributeValues": {":failed": {"S": "failed"}},
            "ConsistentRead": True,
        }
        for page in self.aws.pages("dynamodb", "scan", **params):
            yield [table_rows.stored_in(row) for row in page["Items"]], page["ScannedCount"]

    def mark(self, item: Stored) -> bool:
        """Write an unmarked row anew; False where it has changed since, and has its mark. Raises AwsError."""
        return self._put(item, item)

    def renew(self, item: Stored, seen: Stored) -> bool:
        """Put the item in place of what was seen; False when that has changed since. Raises AwsError."""
        return self._put(item, seen)

    def _put(self, item: Stored, observed: Stored | None) -> bool:
        """Put the item in place of what was seen; False when that has changed since."""
        row = {"Item": table_rows.row_of(item), **dynamo_types.unchanged(observed)}
        try:
            self.aws.call("dynamodb", "put_item", TableName=self.table, **row)
        except AwsError as error:
            if error.code == "ConditionalCheckFailedException":
                return False
            raise
        return True


@dataclass(frozen=True)
class BucketStore:
    """The bucket of results; lambda_src/shared/result_objects.py says what stands where."""

    aws: Aws
    bucket: str

    @property
    def name(self) -> str:
        return f"bucket {self.bucket}"

    def digests(self) -> dict[str, str]:
        # S3's ETag is the MD5 of an object put in one piece, with the bucket's own encryption. With a KMS key
        # it is not; then every item reads as different, and is compared one by one.
        return {
            rules.name_of_result(entry["Key"]): entry["ETag"].strip('"')
            for entry in self.listed(rules.RESULTS)
        }

    def is_empty(self) -> bool:
        """Whether nothing was ever stored here, or all of it is gone. Raises AwsError."""
        page = self.aws.call("s3", "list_objects_v2", Bucket=self.bucket, Prefix=rules.RESULTS, MaxKeys=1)
        return not page.get("Contents")

    def listed(self, prefix: str) -> Iterator[dict[str, Any]]:
        for page in self.aws.pages("s3", "list_objects_v2", Bucket=self.bucket, Prefix=prefix):
            yield from page.get("Contents", [])

    def items(
        self, known: Mapping[str, str], refused: Callable[[str, AwsError], None] = _raise
    ) -> Iterator[Stored]:
        def read(name: str) -> Stored | None:
            """None: removed since it was listed."""
            try:
                found = self.get(name)
            except AwsError as error:
                if not is_about_one(error):
                    raise
                refused(name, error)
                return None
            return found and found[0]

        names = [name for name, digest in self.digests().items() if known.get(name) != digest]
        with Pool(PARALLEL, thread_name_prefix="copy") as pool:
            for some in batches(names):
                yield from (item for item in pool.map(read, some) if item is not None)

    def get(self, name: str) -> tuple[Stored, str] | None:
        """The stored item and its ETag. Raises AwsError."""
        answer = self.aws.find(
            "s3",
            "get_object",
            missing=("NoSuchKey", "404"),
            Bucket=self.bucket,
            Key=rules.result_object(name),
        )
        if answer is None:
            return None
        try:
            item = rules.load(answer["Body"].read())
            rules.index_of(item)  # its key and time can be read
            name_of(item)
            return item, str(answer["ETag"])
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise AwsError(_NO_RESULT, "what is stored there is no result") from error

    def put(self, item: Stored, *, absent: bool) -> bool:
        """As the ingest function does it: its entries first, so that no result is without them."""
        entries = rules.entries_of(item)
        for look in range(_LOOKS):
            found = None if absent and look == 0 else self.get(name_of(item))
            if not rules.counts_more(item, found and found[0]):
                return False
            for entry in entries:
                self.aws.call("s3", "put_object", Bucket=self.bucket, Key=entry, Body=b"")
            if self._put(item, found and found[1]):
                for old in rules.entries_of(found[0]) if found else ():
                    if old not in entries:
                        self.aws.call("s3", "delete_object", Bucket=self.bucket, Key=old)
                return True
        raise AwsError("Conflict", _TOO_BUSY, service="s3", operation="put_object")

    def renew(self, item: Stored, seen: Stored) -> bool:
        """Put the item in place of what was seen; False when that has changed since. Raises AwsError.

        Its entries stay: both are of the same time and status.
        """
        found = self.get(name_of(item))
        return found is not None and found[0] == seen and self._put(item, found[1])

    def _put(self, item: Stored, etag: str | None) -> bool:
        """Put the item in place of the object with this ETag; False when that has changed since."""
        try:
            self.aws.call("s3", "put_object", Bucket=self.bucket, **rules.put_request(item, etag))
        except AwsError as error:
            if error.code in rules.CHANGED:
                return False
            raise
        return True
