"""EfficientNet-Lite0 as an ONNX file, made from the checkpoint that its package ships.

The checkpoint is in PyTorch's format from before 1.6: five pickles, then the numbers. Nothing in it is run:
the unpickler knows tensors and refuses the rest. The ONNX file has the same bytes on every machine, because
each number in it comes from correctly rounded operations on single numbers.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

SIDE = 224
CLASSES = 1000

# The blocks that begin a stage, with their strides. Each of the others adds its input to its output.
_BLOCKS, _STAGES = range(16), {0: 1, 1: 2, 3: 2, 5: 2, 8: 1, 11: 2, 15: 1}
_EPSILON = np.float32(1e-3)
_TYPES: dict[str, np.dtype[Any]] = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}

_Numbers = npt.NDArray[Any]


def onnx_of(checkpoint: bytes) -> bytes:
    """The network from `images` [1, 3, 224, 224], RGB as (value - 127) / 128, to `output` [1, 1000], shares
    that sum up to 1. Raises ValueError for anything but the checkpoint of EfficientNet-Lite0."""
    try:
        return _network(_tensors(checkpoint))
    except Exception as error:  # bytes that are something else can fail anywhere
        raise ValueError(f"not a checkpoint of EfficientNet-Lite0: {error}") from error


class _Tensor(NamedTuple):
    """Which storage has a tensor's numbers, and its sizes and strides, in numbers."""

    storage: str
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


class _TensorsOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        admitted = {
            **{("torch", kind): kind for kind in _TYPES},
            ("torch._utils", "_rebuild_tensor_v2"): lambda storage, _, *shape: _Tensor(storage, *shape[:2]),
            ("collections", "OrderedDict"): OrderedDict,
        }
        if (module, name) not in admitted:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of one")
        return admitted[module, name]

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        return pid[2], pid[1]  # key and type; then follow device and size


def _tensors(checkpoint: bytes) -> dict[str, _Numbers]:
    file = BytesIO(checkpoint)
    _magic, _version, _system, tensors, keys = (_TensorsOnly(file).load() for _ in range(5))
    types = dict(tensor.storage for tensor in tensors.values())
    storages = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        kind = _TYPES[types[key]]
        storages[key] = np.frombuffer(file.read(count * kind.itemsize), dtype=kind)
    return {name: _laid_out(storages[tensor.storage[0]], tensor) for name, tensor in tensors.items()}


def _laid_out(numbers: _Numbers, tensor: _Tensor) -> _Numbers:
    """The numbers in the order of the tensor's dimensions; they may be stored in another one."""
    stored = sorted(range(len(tensor.sizes)), key=lambda dimension: -tensor.strides[dimension])
    return numbers.reshape([tensor.sizes[at] for at in stored]).transpose(np.argsort(stored).astype(int))


def _network(tensors: dict[str, _Numbers]) -> bytes:
    graph = _Graph(tensors)
    value = graph.convolution("images", "_conv_stem", "_bn0", stride=2)
    for number in _BLOCKS:
        name, start, stride = f"_blocks.{number}.", value, _STAGES.get(number, 1)
        if f"{name}_expand_conv.weight" in tensors:
            value = graph.convolution(value, f"{name}_expand_conv", f"{name}_bn0")
        value = graph.convolution(value, f"{name}_depthwise_conv", f"{name}_bn1", stride=stride)
        value = graph.convolution(value, f"{name}_project_conv", f"{name}_bn2", bounded=False)
        if number not in _STAGES:
            value = graph.node("Add", value, start)
    value = graph.convolution(value, "_conv_head", "_bn1")
    value = graph.node("Flatten", graph.node("GlobalAveragePool", value))
    weight, bias = (graph.constant(f"_fc.{part}", tensors[f"_fc.{part}"]) for part in ("weight", "bias"))
    graph.node("Softmax", graph.node("Gemm", value, weight, bias, transB=1), output="output")
    return graph.model()


class _Graph:
    """Nodes and constants of an ONNX graph, each a message of onnx.proto in protobuf's wire format."""

    def __init__(self, tensors: dict[str, _Numbers]) -> None:
        self._tensors = tensors
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []
        self._bounds = (self.constant("zero", np.float32(0)), self.constant("six", np.float32(6)))

    def convolution(self, value: str, name: str, norm: str, *, stride: int = 1, bounded: bool = True) -> str:
        """A convolution with its batch normalization in its weights; bounded: then clipped to 0..6."""
        kernel = self._tensors[f"{name}.weight"]
        weight, bias, mean, variance = (
            self._tensors[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = weight / np.sqrt(variance + _EPSILON)
        side = kernel.shape[2]
        # As TensorFlow pads: an odd pixel goes to the right and below.
        near, far = (side - stride) // 2, (side - stride + 1) // 2
        value = self.node(
            "Conv",
            value,
            self.constant(f"{name}.weight", kernel * scale[:, None, None, None]),
            self.constant(f"{name}.bias", bias - mean * scale),
            group=kernel.shape[0] if "depthwise" in name else 1,
            pads=(near, near, far, far),
            strides=(stride, stride),
        )
        return self.node("Clip", value, *self._bounds) if bounded else value

    def constant(self, name: str, numbers: _Numbers | np.float32) -> str:
        dimensions = b"".join(_number(1, size) for size in numbers.shape)
        raw = np.ascontiguousarray(numbers, "<f4").tobytes()
        self._constants.append(dimensions + _number(2, _FLOAT) + _text(8, name) + _part(9, raw))
        return name

    def node(self, operator: str, *inputs: str, output: str = "", **options: int | tuple[int, ...]) -> str:
        output = output or f"value{len(self._nodes)}"
        given = b"".join(_text(1, one) for one in inputs) + _text(2, output) + _text(4, operator)
        self._nodes.append(given + b"".join(_part(5, _option(*pair)) for pair in options.items()))
        return output

    def model(self) -> bytes:
        graph = b"".join(_part(1, node) for node in self._nodes) + _text(2, "efficientnet-lite0")
        graph += b"".join(_part(5, constant) for constant in self._constants)
        graph += _part(11, _signature("images", 1, 3, SIDE, SIDE)) + _part(
            12, _signature("output", 1, CLASSES)
        )
        return _number(1, _IR_VERSION) + _part(7, graph) + _part(8, _number(2, _OPERATORS))


# The numbers of onnx.proto: of a tensor's type, of an option's types, and the versions that the file needs.
_FLOAT, _INTEGER, _INTEGERS = 1, 2, 7
_IR_VERSION, _OPERATORS = 8, 13


def _option(name: str, value: int | tuple[int, ...]) -> bytes:
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, _INTEGER)
    return _text(1, name) + b"".join(_number(8, one) for one in value) + _number(20, _INTEGERS)


def _signature(name: str, *sizes: int) -> bytes:
    shape = b"".join(_part(1, _number(1, size)) for size in sizes)
    return _text(1, name) + _part(2, _part(1, _number(1, _FLOAT) + _part(2, shape)))


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last byte have their highest bit set."""
    high = bytearray()
    while value > 0x7F:
        high.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*high, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _part(field, content.encode())
