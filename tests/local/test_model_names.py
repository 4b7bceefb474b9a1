"""Every stored feature says what found it, so that a local result can never pass for one of AWS."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from imgpipe_cli.local.process.control import LocalCloud
from imgpipe_cli.local.rekognition.endpoint import MODEL_HEADER
from ingest import analysis
from ingest.analysis import Findings, analyze
from ingest.backoff import Backoff


@pytest.fixture
def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (200, 200), "white").save(stream, "PNG")
    return stream.getvalue()


def test_the_ingest_function_reads_the_header_that_the_local_cloud_writes(
    cloud: LocalCloud, connect: Callable[..., Any], picture: bytes
) -> None:
    assert analysis.MODEL_HEADER == MODEL_HEADER
    s3 = connect(cloud, "s3")
    s3.create_bucket(Bucket="named-models")
    s3.put_object(Bucket="named-models", Key="a.png", Body=picture)
    features = ("labels", "faces", "text", "properties")
    client = connect(cloud, "rekognition")
    found = analyze(
        client,
        bucket="named-models",
        key="a.png",
        version_id=None,
        features=features,
        backoff=Backoff(left_s=lambda: 0),
    )
    for feature in features:
        outcome = found[feature]
        assert isinstance(outcome, Findings)
        expected = "OpenCV" if feature == "faces" else "imgpipe-local"
        assert outcome.model is not None
        assert outcome.model.startswith(expected)
