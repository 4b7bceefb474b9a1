"""Answers like the pipeline's HTTP API, on 127.0.0.1; always the same, so that only the asker counts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "photos/astronaut.jpg"
_LABELS = [
    {
        "Name": name,
        "Confidence": confidence,
        "Parents": [{"Name": "Human"}],
        "Aliases": [],
        "Categories": [{"Name": "Person Description"}],
        "Instances": [
            {
                "BoundingBox": {"Left": 0.28, "Top": 0.11, "Width": 0.2, "Height": 0.3},
                "Confidence": confidence,
            }
        ],
    }
    for name, confidence in (("Face", 99.2), ("Head", 98.7), ("Person", 97.1))
]
_RESULT = {
    "objectKey": KEY,
    "bucket": "bench-uploads-000000000000-us-east-1-an",
    "status": "done",
    "analyzedAt": "2026-01-01T00:00:00.000Z",
    "versionId": "v1",
    "eTag": "d41d8cd98f00b204e9800998ecf8427e",
    "sequencer": "00",
    "sizeBytes": 791555,
    "contentType": "image/jpeg",
    "width": 512,
    "height": 512,
    "labels": _LABELS,
    "features": ["labels"],
    "models": {"labels": "3.0"},
    "durationMs": 120,
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps(_RESULT).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def answering() -> Iterator[str]:
    """The base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/prod"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
