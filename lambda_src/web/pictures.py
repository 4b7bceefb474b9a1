"""Short-lived links to stored pictures, and GET /image.

A link is signed here without a call to S3, so making one costs nothing and tells nothing about the object. An
`<img>` cannot send the token, which is why the page gets a link and not a redirect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.aws_clients import Timeouts
from shared.http_api import ApiError, Request, Response, json_response
from web.needs import Needs

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from shared.result_item import ResultItem

# S3 is never called here, only signed for; limits all the same, should that change.
S3_LIMITS = Timeouts(connect_s=1, read_s=2, attempts=2)

LINK_S = 300
"""Long enough to load a page of pictures, short enough that a copied link soon means nothing."""


def picture_url(request: Request, needs: Needs) -> Response:
    """GET /image?key=K: 200 `{url, expiresIn}`; ApiError 400 `missing_key`, 404 `not_found`."""
    key = request.query.get("key", "")
    if not key:
        raise ApiError(400, "missing_key", "Say which picture: /image?key=<its key in the bucket>.")
    item = needs.results.get(key)
    if item is None:
        raise ApiError(404, "not_found", "There is no result for this key (yet).")
    url = signed_link(needs.s3, needs.config.bucket, item)
    return json_response(200, {"url": url, "expiresIn": LINK_S})


def signed_link(s3: S3Client, bucket: str, item: ResultItem) -> str:
    """A link to the very version that the result is about.

    S3 answers with the type that the content really has, whatever its sender declared; what is no picture is
    offered as a download, so that an uploaded page never runs on the bucket's host.
    """
    parameters = {"Bucket": bucket, "Key": item["objectKey"]}
    if item.get("versionId"):
        parameters["VersionId"] = item["versionId"]
    if item.get("contentType"):
        parameters["ResponseContentType"] = item["contentType"]
    else:
        parameters["ResponseContentType"] = "application/octet-stream"
        parameters["ResponseContentDisposition"] = "attachment"
    return s3.generate_presigned_url("get_object", Params=parameters, ExpiresIn=LINK_S)
