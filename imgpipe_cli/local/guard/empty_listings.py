"""What S3 lists under a beginning that no key of the local cloud can have: nothing.

MiniStack writes the beginning that was asked for into its answer, and fails where XML cannot hold it.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from imgpipe_cli.local.guard.access import NEVER_IN_KEYS, Asked
from imgpipe_cli.local.guard.signatures import Answer

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def empty_listing(asked: Asked, bucket: str) -> Answer | None:
    """The answer to a list of a bucket with such a beginning; None for any other request."""
    prefix = "".join(asked.query.get("prefix", ()))
    if asked.method != "GET" or not NEVER_IN_KEYS.search(prefix):
        return None
    if "uploads" in asked.query:
        kind, name = "ListMultipartUploadsResult", "Bucket"
    else:
        kind, name = ("ListVersionsResult" if "versions" in asked.query else "ListBucketResult"), "Name"
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><{kind} xmlns="{_NAMESPACE}">'
        f"<{name}>{escape(bucket)}</{name}>"
        f"<KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></{kind}>"
    )
    return 200, {"content-type": "application/xml"}, text.encode()
