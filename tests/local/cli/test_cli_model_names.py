"""Every stored feature says what found it, so that a local result can never pass for one of AWS."""

from __future__ import annotations

from imgpipe_cli.local.rekognition.endpoint import MODEL_HEADER
from ingest import analysis
from ingest.analysis import Findings, analyze
from ingest.backoff import Backoff
from tests.local.cli.conftest import Pipeline


def test_the_ingest_function_reads_the_header_that_the_local_cloud_writes(pipeline: Pipeline) -> None:
    assert analysis.MODEL_HEADER == MODEL_HEADER
    features = ("labels", "faces", "text", "properties")
    found = analyze(
        pipeline.machine.client("rekognition"),
        bucket=pipeline.bucket,
        key="astronaut.jpg",
        version_id=None,
        features=features,
        backoff=Backoff(left_s=lambda: 0),
    )
    for feature in features:
        outcome = found[feature]
        assert isinstance(outcome, Findings)
        assert outcome.model is not None
        assert outcome.model.startswith("imgpipe-local")
