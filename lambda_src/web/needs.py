"""The settings and clients of the web function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from shared.stores import Store
from shared.usage import monthly_limit
from web.pages import ResultList

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from web.index_reader import IndexReader
    from web.usage import Counters


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings from the environment.

    `index` is the name of a table's index, empty for a bucket. `failed_index` is that of failed results,
    empty while it, and the index of what is in pictures, do not hold all of them. `first_day` is the
    pipeline's first day (UTC): no result is older. `min_confidence` and `public_results` are told to the
    page: where its slider starts, and whether GET /result needs the token. `monthly_limit`: of analyses, None
    for any number.
    """

    store: Store
    index: str
    failed_index: str
    bucket: str
    upload_prefix: str
    token_sha256: str
    first_day: date
    min_confidence: float
    public_results: bool
    index_table: str
    monthly_limit: int | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Config:
        return cls(
            store=Store.from_environment(environment),
            index=environment.get("INDEX_NAME", ""),
            failed_index=environment.get("FAILED_INDEX", ""),
            bucket=environment["BUCKET_NAME"],
            upload_prefix=environment["UPLOAD_PREFIX"],
            token_sha256=environment["TOKEN_SHA256"],
            first_day=date.fromisoformat(environment["FIRST_DAY"]),
            min_confidence=float(environment["MIN_CONFIDENCE"]),
            public_results=environment["PUBLIC_RESULTS"] == "true",
            index_table=environment["INDEX_TABLE"],
            monthly_limit=monthly_limit(environment),
        )


@dataclass(frozen=True, kw_only=True)
class PageLimits:
    """How much time and room a page of results may take.

    After `walk_s` seconds no further days are asked for, after `read_s` no further results.
    Lambda's answers end at 6 MB, so larger results make a shorter page.
    """

    walk_s: float = 3.0
    read_s: float = 8.0
    answer_bytes: int = 5_000_000


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What the routes are answered with."""

    config: Config
    results: ResultList
    s3: S3Client
    counters: Counters
    index: IndexReader
    now: Callable[[], datetime]
    page_limits: PageLimits = PageLimits()
