"""What the finders say about pictures: each question about the same bytes is answered once.

Importing this module loads numpy and Pillow; OpenCV and the OCR models follow with the first question.
"""

from __future__ import annotations

import threading
from typing import Any

from imgpipe_cli.local.rekognition.allocator import return_large_buffers
from imgpipe_cli.local.rekognition.codes import CONFIDENCE as CODE_CONFIDENCE
from imgpipe_cli.local.rekognition.codes import Code, find_codes
from imgpipe_cli.local.rekognition.colors import dominant_colors
from imgpipe_cli.local.rekognition.faces import Face, FaceFinder, cropped
from imgpipe_cli.local.rekognition.geometry import Box
from imgpipe_cli.local.rekognition.labels import Sighting
from imgpipe_cli.local.rekognition.objects import Detector, ObjectModel, Thing
from imgpipe_cli.local.rekognition.picture import Frame, decode
from imgpipe_cli.local.rekognition.quality import Quality, quality_of
from imgpipe_cli.local.rekognition.text import Line, TextReader
from imgpipe_cli.local.rekognition.vision import opencv
from imgpipe_cli.local.rekognition.wire import Upload
from imgpipe_cli.system.single_flight import SingleFlight

# A frame is at most 12 MB; findings are a few KB. A pipeline asks several questions about one picture at once
# and rarely comes back to it later.
_FRAMES = 3
_FINDINGS = 256


class Analysis:
    """The finders and what they found; may be asked from several threads."""

    def __init__(self, *, threads: int, objects: ObjectModel | None = None) -> None:
        return_large_buffers()
        self._threads = threads
        self._objects = objects or ObjectModel(None)
        self._face_finder = FaceFinder(threads)
        # Reading text and decoding a large picture each take up to 150 MB for a moment: never both at once.
        self._heavy = threading.Lock()
        self._text_reader = TextReader(threads, self._heavy)
        self._frames: SingleFlight[Frame] = SingleFlight(_FRAMES)
        self._faces: SingleFlight[tuple[Face, ...]] = SingleFlight(_FINDINGS)
        self._lines: SingleFlight[tuple[Line, ...]] = SingleFlight(_FINDINGS)
        self._codes: SingleFlight[tuple[Code, ...]] = SingleFlight(_FINDINGS)
        self._things: SingleFlight[tuple[Thing, ...]] = SingleFlight(_FINDINGS)
        self._qualities: SingleFlight[Quality] = SingleFlight(_FINDINGS)
        self._colors: SingleFlight[tuple[dict[str, Any], ...]] = SingleFlight(_FINDINGS)

    def load(self) -> None:
        """Load every model now."""
        opencv(self._threads)
        self._face_finder.load()
        self._text_reader.load()
        self._objects.detector()

    def frame(self, upload: Upload) -> Frame:
        """The decoded picture; raises Refusal where there is none."""
        return self._frames.get(upload.digest, lambda: decode(upload.data, self._heavy))

    def faces(self, upload: Upload) -> tuple[Face, ...]:
        return self._faces.get(upload.digest, lambda: self._face_finder.find(self.frame(upload)))

    def lines(self, upload: Upload) -> tuple[Line, ...]:
        return self._lines.get(upload.digest, lambda: self._text_reader.read(self.frame(upload)))

    def codes(self, upload: Upload) -> tuple[Code, ...]:
        return self._codes.get(upload.digest, lambda: find_codes(self.frame(upload), self._threads))

    def detector(self) -> Detector | None:
        """What looks for objects at this moment; one answer is made with one of them."""
        return self._objects.detector()

    def things(self, upload: Upload, detector: Detector) -> tuple[Thing, ...]:
        # With its version: another model's findings are others.
        key = (upload.digest, detector.version)
        return self._things.get(key, lambda: detector.find(self.frame(upload)))

    def quality(self, upload: Upload) -> Quality:
        return self._qualities.get(upload.digest, lambda: quality_of(self.frame(upload)))

    def colors(self, upload: Upload, part: Box | None = None) -> tuple[dict[str, Any], ...]:
        """The dominant colors of the picture, or of what is in a box."""

        def found() -> tuple[dict[str, Any], ...]:
            frame = self.frame(upload)
            return dominant_colors(cropped(frame, part) if part else frame)

        return self._colors.get((upload.digest, part), found)

    def sightings(
        self, upload: Upload, detector: Detector | None, *, with_colors: bool
    ) -> tuple[Sighting, ...]:
        """Everything that becomes a label."""

        def located(name: str, confidence: float, box: Box) -> Sighting:
            return Sighting(name, confidence, box, self.colors(upload, box) if with_colors else None)

        seen = [located("Face", face.confidence, face.box) for face in self.faces(upload)]
        if detector is not None:
            things = self.things(upload, detector)
            seen += [located(thing.name, thing.confidence, thing.box) for thing in things]
        seen += [Sighting("Text", line.confidence) for line in self.lines(upload)]
        seen += [Sighting("QR Code", CODE_CONFIDENCE, code.box) for code in self.codes(upload)]
        return tuple(seen)
