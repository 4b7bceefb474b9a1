"""What a removal of pictures came to."""

from __future__ import annotations

from imgpipe_cli.deploy.resources.upload_bucket import KEPT_DAYS
from imgpipe_cli.render.text import count

# The ingest function needs minutes for the results of thousands.
_SOON = 100


def words(pictures: int, versions: int | None) -> str:
    """versions: how many entries were removed for good; None where all versions stay."""
    if versions is not None:
        return f"{count(pictures, 'picture')} removed, and {count(versions, 'version')} for good."
    if not pictures:
        return "Nothing was removed."
    its = "Its result goes" if pictures == 1 else "Their results go"
    when = "seconds" if pictures <= _SOON else "minutes"
    return (
        f"{count(pictures, 'picture')} removed. {its} within {when}. "
        f"The bucket keeps the versions for {KEPT_DAYS} days; --purge removes them at once."
    )
