"""The local cloud with a Rekognition that only counts bytes, so that tests of the cloud load no models.

Run by path in place of `python -m imgpipe_cli.local`; conftest.py does.
"""

from __future__ import annotations

import base64
import sys
from typing import Any

from imgpipe_cli.local.process.server import main
from imgpipe_cli.local.rekognition.endpoint import ReadObject

_INVALID_OBJECT = "Unable to get object metadata from S3. Check object key, region and/or access permissions."


class Stub:
    def answer(
        self, operation: str, request: dict[str, Any], read_object: ReadObject
    ) -> tuple[int, dict[str, Any]]:
        if operation == "DetectFaces":
            raise ValueError("a defect")
        image = request["Image"]
        if "Bytes" in image:
            content = base64.b64decode(image["Bytes"])
        else:
            where = image["S3Object"]
            try:
                content = read_object(where["Bucket"], where["Name"], where.get("Version"))
            except (KeyError, PermissionError):
                return 400, {"__type": "InvalidS3ObjectException", "Message": _INVALID_OBJECT}
        if operation == "DetectText":
            return 200, {"TextDetections": [], "TextModelVersion": "stub"}
        return 200, {
            "Labels": [{"Name": f"{len(content)} bytes", "Confidence": 99.0}],
            "LabelModelVersion": "stub",
        }

    def capabilities(self) -> dict[str, Any]:
        return {"stub": True}

    def warm(self) -> None:
        pass


if __name__ == "__main__":
    sys.exit(main(load=lambda _workers: Stub()))
