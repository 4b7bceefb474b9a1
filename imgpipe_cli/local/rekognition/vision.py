"""OpenCV itself: that it is the right one, and that it uses no more threads than it was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imgpipe_cli.errors import Problem


def opencv(threads: int) -> Any:
    """The cv2 module, bound to that many threads.

    Raises Problem where another package brought OpenCV 5 over ours: 5.0 dropped the detectors.
    """
    import cv2

    if not hasattr(cv2, "CascadeClassifier"):
        raise Problem(
            "opencv_unsuitable",
            f"OpenCV {cv2.__version__} is installed, which has no face detector.",
            hint="Run: pip install --force-reinstall 'opencv-python-headless>=4.10,<5'",
        )
    cv2.setNumThreads(threads)
    return cv2


def cascade(cv2: Any, name: str) -> Any:
    """One of the detectors that the OpenCV wheel carries."""
    path = Path(cv2.data.haarcascades) / f"haarcascade_{name}.xml"
    found = cv2.CascadeClassifier(str(path))
    if found.empty():
        raise Problem(
            "opencv_unsuitable",
            f"OpenCV {cv2.__version__} has no file {path.name}.",
            hint="Run: pip install --force-reinstall 'opencv-python-headless>=4.10,<5'",
        )
    return found
