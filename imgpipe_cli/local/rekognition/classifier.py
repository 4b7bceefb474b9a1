"""EfficientNet-Lite0: how much of a picture's meaning goes to each of ImageNet's 1,000 classes."""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt

from imgpipe_cli.local.models.lite0 import CLASSES, SIDE
from imgpipe_cli.local.rekognition.picture import Frame, resized
from imgpipe_cli.local.rekognition.vision import onnx_session

Shares = npt.NDArray[np.float32]
"""By class, in percent; together 100."""


class Classifier:
    """One loaded model; used by one thread at a time, because each use takes 20 MB for a moment."""

    def __init__(self, version: str, data: bytes) -> None:
        self.version = version
        self._session = onnx_session(data)
        self._lock = threading.Lock()

    def find(self, frame: Frame) -> Shares:
        """The whole picture is squeezed into the network's square, as the model's authors do."""
        square = resized(frame.reduced.pixels, (SIDE, SIDE))[..., ::-1].astype(np.float32)
        values = np.ascontiguousarray(((square - 127) / 128).transpose(2, 0, 1)[None])
        with self._lock:
            (output,) = self._session.run(None, {"images": values})
        shares: Shares = output.reshape(CLASSES) * np.float32(100)
        return shares
