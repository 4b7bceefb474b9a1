"""A network that costs what YOLOX-Tiny costs and finds nothing: for measuring where the weights are missing.

3x3 convolutions with SiLU in five scales, 21 MB of random weights, 6.3 GFLOPs a picture (YOLOX-Tiny: 20.2 MB
and 6.45 GFLOPs). It is not that network: its time and memory stand in for the real ones, no more.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

_SIDE = 416
_ROW = 85
# (channels, further convolutions of that width) after each halving of the sides; the last three are grids.
_SCALES = ((24, 0), (48, 2), (96, 4), (192, 3), (384, 2))


class _Network:
    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.nodes: list[object] = []
        self.weights: list[object] = []

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, value: np.ndarray) -> str:
        name = f"weight{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def convolved(self, value: str, before: int, after: int, *, kernel: int = 3, stride: int = 1) -> str:
        scale = np.sqrt(2 / (before * kernel * kernel))
        shape = (after, before, kernel, kernel)
        weights = self.constant((self.random.standard_normal(shape) * scale).astype(np.float32))
        return self.add("Conv", value, weights, strides=[stride, stride], pads=[kernel // 2] * 4)

    def activated(self, value: str) -> str:
        return self.add("Mul", value, self.add("Sigmoid", value))


def costly_network() -> bytes:
    network = _Network()
    value, channels, grids = "images", 3, []
    for place, (width, further) in enumerate(_SCALES):
        value = network.activated(network.convolved(value, channels, width, stride=2))
        channels = width
        for _ in range(further):
            value = network.activated(network.convolved(value, width, width))
        if place >= 2:
            head = network.convolved(network.convolved(value, width, 48), 48, _ROW, kernel=1)
            shape = network.constant(np.array([1, _ROW, -1], np.int64))
            grids.append(network.add("Reshape", head, shape))
    rows = network.add("Transpose", network.add("Concat", *grids, axis=2), perm=[0, 2, 1])
    nothing = network.constant(np.zeros(1, np.float32))
    network.nodes.append(helper.make_node("Mul", [rows, nothing], ["output"]))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, _SIDE, _SIDE])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3549, _ROW])
    graph = helper.make_graph(network.nodes, "stand-in", [images], [output], network.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data
