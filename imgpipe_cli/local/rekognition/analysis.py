"""What the finders say about pictures: each question about the same bytes is answered once.

Importing this module loads numpy and Pillow; OpenCV and the OCR models follow with the first question.
"""

from __future__ import annotations

import threading
from typing import Any

from imgpipe_cli.local.rekognition.allocator import return_large_buffers
from imgpipe_cli.local.rekognition.classifier import Shares
from imgpipe_cli.local.rekognition.codes import CONFIDENCE as CODE_CONFIDENCE
from imgpipe_cli.local.rekognition.codes import Code, find_codes
from imgpipe_cli.local.rekognition.colors import dominant_colors
from imgpipe_cli.local.rekognition.combined import ANIMAL_PERHAPS, animal_share, borne_out, concepts
from imgpipe_cli.local.rekognition.faces import Face, cropped
from imgpipe_cli.local.rekognition.geometry import Box
from imgpipe_cli.local.rekognition.installed import Finders, InstalledModels
from imgpipe_cli.local.rekognition.labels import Sighting
from imgpipe_cli.local.rekognition.moderation import Moderator
from imgpipe_cli.local.rekognition.objects import Thing
from imgpipe_cli.local.rekognition.picture import Frame, decode
from imgpipe_cli.local.rekognition.quality import Quality, quality_of
from imgpipe_cli.local.rekognition.text import Glimpse, Line, TextReader
from imgpipe_cli.local.rekognition.vision import opencv
from imgpipe_cli.local.rekognition.wire import Upload
from imgpipe_cli.system.single_flight import SingleFlight

# A frame is at most 12 MB; findings are a few KB. A pipeline asks several questions about one picture at once
# and rarely comes back to it later.
_FRAMES = 3
_FINDINGS = 256


class Analysis:
    """The finders and what they found; may be asked from several threads."""

    def __init__(self, *, threads: int, models: InstalledModels | None = None) -> None:
        return_large_buffers()
        self._threads = threads
        self._models = models or InstalledModels(None, (), threads)
        # Reading text and decoding a large picture each take up to 150 MB for a moment: never both at once.
        self._heavy = threading.Lock()
        self._text_reader = TextReader(threads, self._heavy)
        self._moderator = Moderator()
        self._frames: SingleFlight[Frame] = SingleFlight(_FRAMES)
        self._faces: SingleFlight[tuple[Face, ...]] = SingleFlight(_FINDINGS)
        self._lines: SingleFlight[tuple[Line, ...]] = SingleFlight(_FINDINGS)
        self._glimpses: SingleFlight[Glimpse] = SingleFlight(_FINDINGS)
        self._codes: SingleFlight[tuple[Code, ...]] = SingleFlight(_FINDINGS)
        self._things: SingleFlight[tuple[Thing, ...]] = SingleFlight(_FINDINGS)
        self._shares: SingleFlight[Shares] = SingleFlight(_FINDINGS)
        self._explicit: SingleFlight[float] = SingleFlight(_FINDINGS)
        self._qualities: SingleFlight[Quality] = SingleFlight(_FINDINGS)
        self._colors: SingleFlight[tuple[dict[str, Any], ...]] = SingleFlight(_FINDINGS)

    def load(self) -> None:
        """Load every model now, except that of moderation, which most pipelines never ask for."""
        opencv(self._threads)
        self._text_reader.load()
        self._models.finders()

    def finders(self) -> Finders:
        """What looks at pictures at this moment; one answer is made with one of these."""
        return self._models.finders()

    def frame(self, upload: Upload) -> Frame:
        """The decoded picture; raises Refusal where there is none."""
        return self._frames.get(upload.digest, lambda: decode(upload.data, self._heavy))

    def faces(self, upload: Upload, finders: Finders) -> tuple[Face, ...]:
        """The largest first; none without a model for faces, so that callers ask for it before."""
        finder = finders.faces
        if finder is None:
            return ()

        def found() -> tuple[Face, ...]:
            things = self.things(upload, finders)
            return finder.find(self.frame(upload), things, lambda: self._is_animal(upload, finders))

        return self._faces.get((upload.digest, *finders.versions.values()), found)

    def lines(self, upload: Upload) -> tuple[Line, ...]:
        return self._lines.get(upload.digest, lambda: self._text_reader.read(self.frame(upload)))

    def glimpse(self, upload: Upload) -> Glimpse:
        """Whether there is text; far cheaper than the lines, and the same whether or not they were read."""
        return self._glimpses.get(upload.digest, lambda: self._text_reader.glance(self.frame(upload)))

    def codes(self, upload: Upload) -> tuple[Code, ...]:
        return self._codes.get(upload.digest, lambda: find_codes(self.frame(upload), self._threads))

    def things(self, upload: Upload, finders: Finders) -> tuple[Thing, ...]:
        """Nothing without a model for objects."""
        detector = finders.objects
        if detector is None:
            return ()
        # With its version: another model's findings are others.
        key = (upload.digest, detector.version)
        return self._things.get(key, lambda: detector.find(self.frame(upload)))

    def shares(self, upload: Upload, finders: Finders) -> Shares | None:
        """None without a model for classes."""
        classifier = finders.classes
        if classifier is None:
            return None
        key = (upload.digest, classifier.version)
        return self._shares.get(key, lambda: classifier.find(self.frame(upload)))

    def explicit(self, upload: Upload) -> float:
        """From 0 to 100; raises ImportError without the extra."""
        return self._explicit.get(upload.digest, lambda: self._moderator.explicit(self.frame(upload)))

    def _is_animal(self, upload: Upload, finders: Finders) -> bool:
        """Without a model for classes the detector alone tells, which then has to be surer of an animal."""
        shares = self.shares(upload, finders)
        return shares is None or animal_share(shares) >= ANIMAL_PERHAPS

    def quality(self, upload: Upload) -> Quality:
        return self._qualities.get(upload.digest, lambda: quality_of(self.frame(upload)))

    def colors(self, upload: Upload, part: Box | None = None) -> tuple[dict[str, Any], ...]:
        """The dominant colors of the picture, or of what is in a box."""

        def found() -> tuple[dict[str, Any], ...]:
            frame = self.frame(upload)
            return dominant_colors(cropped(frame, part) if part else frame)

        return self._colors.get((upload.digest, part), found)

    def sightings(self, upload: Upload, finders: Finders, *, with_colors: bool) -> tuple[Sighting, ...]:
        """Everything that becomes a label."""

        def located(name: str, confidence: float, box: Box) -> Sighting:
            return Sighting(name, confidence, box, self.colors(upload, box) if with_colors else None)

        faces, shares = self.faces(upload, finders), self.shares(upload, finders)
        things = borne_out(self.things(upload, finders), shares, has_face=bool(faces))
        text = self.glimpse(upload)
        seen = [located("Face", face.confidence, face.box) for face in faces]
        seen += [located(thing.name, thing.confidence, thing.box) for thing in things]
        if shares is not None:
            seen += [Sighting(name, confidence) for name, confidence in concepts(shares, text.share)]
        if text.confidence is not None:
            seen.append(Sighting("Text", text.confidence))
        seen += [Sighting("QR Code", CODE_CONFIDENCE, code.box) for code in self.codes(upload)]
        return tuple(seen)
