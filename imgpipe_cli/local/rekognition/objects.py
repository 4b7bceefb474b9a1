"""Objects: the installed model, loaded at first use and again when another file lies in its place.

Confidence is the model's own score in percent, as it is: it was not compared with Rekognition's, whose scores
for the same thing are mostly higher. LEAST_SCORE is the threshold from which the model's authors draw boxes;
what DetectLabels reports by default starts at 55 and what imgpipe shows by default at 70.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Any

from imgpipe_cli.local.models.catalogue import OBJECTS, Model
from imgpipe_cli.local.models.store import ModelFolder, Stamp
from imgpipe_cli.local.rekognition import yolox
from imgpipe_cli.local.rekognition.coco import LABELS
from imgpipe_cli.local.rekognition.geometry import Box
from imgpipe_cli.local.rekognition.picture import Frame

LEAST_SCORE = 0.3

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Thing:
    """Confidence from 0 to 100; the box lies within the picture."""

    name: str
    confidence: float
    box: Box


class Detector:
    """One loaded model; used by one thread at a time, because each use takes 60 MB for a moment."""

    def __init__(self, version: str, data: bytes) -> None:
        self.version = version
        self._session = _session(data)
        self._lock = threading.Lock()

    def find(self, frame: Frame) -> tuple[Thing, ...]:
        """The surest first."""
        with self._lock:
            picture, ratio = yolox.prepared(frame.pixels)
            (output,) = self._session.run(None, {"images": picture})
        return tuple(_thing(seen, frame.size) for seen in yolox.found(output, ratio, LEAST_SCORE))


class ObjectModel:
    """The detector of the moment. The file is looked at for every picture, so that a model fetched while the
    cloud runs is used for the next one."""

    def __init__(self, folder: ModelFolder | None, model: Model = OBJECTS) -> None:
        self._folder = folder
        self._model = model
        self._lock = threading.Lock()
        self._seen: Stamp | None = None
        self._detector: Detector | None = None

    def detector(self) -> Detector | None:
        """None where no model is installed, or one that cannot be used (the log says why)."""
        if self._folder is None:
            return None
        stamp = self._folder.stamp(self._model)
        with self._lock:
            if stamp != self._seen:
                self._detector = self._loaded(self._folder) if stamp else None
                self._seen = stamp
            return self._detector

    def _loaded(self, folder: ModelFolder) -> Detector | None:
        data = folder.read(self._model)
        if data is None:
            _log.error("%s is not the pinned file and is not used", folder.path(self._model))
            return None
        try:
            return Detector(self._model.version, data)
        except Exception:  # whatever onnxruntime throws: the other finders go on without it
            _log.exception("%s cannot be loaded", folder.path(self._model))
            return None


def _session(data: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One thread, and no memory kept between pictures: the pipeline's parallelism is over pictures.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _thing(seen: yolox.Found, size: tuple[int, int]) -> Thing:
    width, height = size
    left, right = (min(max(edge / width, 0.0), 1.0) for edge in (seen.left, seen.right))
    top, bottom = (min(max(edge / height, 0.0), 1.0) for edge in (seen.top, seen.bottom))
    return Thing(LABELS[seen.number], 100 * seen.score, Box(left, top, right - left, bottom - top))
