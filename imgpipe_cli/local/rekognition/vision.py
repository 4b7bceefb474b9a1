"""OpenCV and onnxruntime: that they are the right ones, and use no more threads than they were given."""

from __future__ import annotations

from typing import Any

from imgpipe_cli.errors import Problem


def opencv(threads: int) -> Any:
    """The cv2 module, bound to that many threads.

    Raises Problem where another package brought an OpenCV over ours that cannot read the face model.
    """
    import cv2

    if not hasattr(cv2, "dnn") or not hasattr(cv2.dnn, "readNetFromTFLite"):
        raise Problem(
            "opencv_unsuitable",
            f"OpenCV {cv2.__version__} is installed, which cannot read the face model.",
            hint="Run: pip install --force-reinstall 'opencv-python-headless>=4.10'",
        )
    cv2.setNumThreads(threads)
    return cv2


def onnx_session(data: bytes) -> Any:
    """A network of an ONNX file, ready to run; raises whatever onnxruntime throws."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # One thread, and no memory kept between pictures: the pipeline's parallelism is over pictures.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
