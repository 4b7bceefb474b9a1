"""A network with the interface of YOLOX-Tiny that sees colors: what the tests have in place of the weights.

It takes `images` [1, 3, 416, 416] in BGR from 0 to 255 and gives [1, 3549, 85] raw, as the real one does.
For each color it reports the box around all pixels of that color, encoded in a cell of one of the three
grids, with the class that stands for the color; and once more, a little off and less sure, as another
class, which the decoder must drop.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from imgpipe_cli.local.models.catalogue import Model

SIDE = 416
CELLS = 3549
# First row of the output and number of columns of each grid.
_GRIDS = {8: (0, 52), 16: (2704, 26), 32: (3380, 13)}


@dataclass(frozen=True)
class Color:
    """The label that stands for a color, its number in COCO, and the cell that reports it."""

    label: str
    number: int
    stride: int
    cell: tuple[int, int]


COLOURS = {
    "red": Color("Cat", 15, 8, (3, 50)),
    "lime": Color("Cup", 41, 16, (20, 7)),
    "blue": Color("Mobile Phone", 67, 32, (12, 12)),
    "black": Color("Dining Table", 60, 8, (51, 51)),
}
_DOUBLE = 63  # a laptop


@cache
def stand_in() -> bytes:
    graph = _Graph()
    blue, green, red = (
        graph.add("Gather", ["images", graph.number(channel)], axis=1) for channel in range(3)
    )
    purities = {
        "red": graph.purity(red, green, blue),
        "lime": graph.purity(green, red, blue),
        "blue": graph.purity(blue, red, green),
        "black": graph.darkness(red, green, blue),
    }
    rows, places = [], []
    for name, color in COLOURS.items():
        row, column = color.cell
        first, count = _GRIDS[color.stride]
        for shift, number, cell in ((0.0, color.number, 0), (3.0, _DOUBLE, -1)):
            sure = 1.0 if shift == 0 else 0.9
            rows.append(graph.row(purities[name], color.stride, (row, column + cell), shift, number, sure))
            places.append([0, first + row * count + column + cell])
    every = graph.add("Concat", rows, axis=0)
    nothing = graph.constant(np.zeros((1, CELLS, 85), np.float32))
    graph.add("ScatterND", [nothing, graph.constant(np.array(places, np.int64)), every], output="output")
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, CELLS, 85])
    made = helper.make_graph(graph.nodes, "stand-in", [images], [output], graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def stand_in_model(data: bytes | None = None, **changes: Any) -> Model:
    """The stand-in, pinned as the real one is in the catalogue."""
    content = stand_in() if data is None else data
    values: dict[str, Any] = {
        "name": "stand-in",
        "file": "stand_in.onnx",
        "role": "object",
        "what": "sees colors",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "license": "ours",
        "source": "made by the tests",
        "release": "http://127.0.0.1:9/stand_in.onnx",
        "confirmed": "by the tests",
    }
    return Model(**{**values, **changes})


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(self, operator: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        name = output or f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, value: Any) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def number(self, value: int) -> str:
        return self.constant(np.int64(value))

    def purity(self, channel: str, other: str, another: str) -> str:
        """How much of the channel is left above the two others, from 0 to 1."""
        most = self.add("Max", [other, another])
        share = self.add("Div", [self.add("Sub", [channel, most]), self.constant(np.float32(255))])
        return self.add("Clip", [share, self.constant(np.float32(0)), self.constant(np.float32(1))])

    def darkness(self, *channels: str) -> str:
        share = self.add("Div", [self.add("Max", list(channels)), self.constant(np.float32(100))])
        left = self.add("Sub", [self.constant(np.float32(1)), share])
        return self.add("Clip", [left, self.constant(np.float32(0)), self.constant(np.float32(1))])

    def row(
        self, purity: str, stride: int, cell: tuple[int, int], shift: float, number: int, sure: float
    ) -> str:
        """One row of the output, [1, 85]: the box as the network's head encodes it, then the scores."""
        seen = self.add("Greater", [purity, self.constant(np.float32(0.5))])
        centre_x, width = self._extent(seen, np.arange(SIDE).reshape(1, 1, SIDE), shift)
        centre_y, height = self._extent(seen, np.arange(SIDE).reshape(1, SIDE, 1), shift)
        step = self.constant(np.float32(stride))
        box = [
            self.add("Sub", [self.add("Div", [centre, step]), self.constant(np.float32(place))])
            for centre, place in ((centre_x, cell[1]), (centre_y, cell[0]))
        ]
        box += [self.add("Log", [self.add("Div", [length, step])]) for length in (width, height)]
        anything = self.add("ReduceMax", [self.add("Cast", [seen], to=TensorProto.FLOAT)], keepdims=0)
        classes = np.zeros(80, np.float32)
        classes[number] = sure
        scores = self.add("Mul", [self.add("ReduceMax", [purity], keepdims=0), self.constant(classes)])
        one = self.constant(np.array([1], np.int64))
        flat = [self.add("Reshape", [value, one]) for value in (*box, anything)]
        whole = self.add("Concat", [*flat, scores], axis=0)
        return self.add("Reshape", [whole, self.constant(np.array([1, 85], np.int64))])

    def _extent(self, seen: str, places: Any, shift: float) -> tuple[str, str]:
        """Centre and length of what is seen along one side, in pixels of the input."""
        start = self.constant(places.astype(np.float32))
        end = self.constant((places + 1).astype(np.float32))
        far, near = self.constant(np.float32(SIDE)), self.constant(np.float32(0))
        low = self.add("ReduceMin", [self.add("Where", [seen, start, far])], keepdims=0)
        high = self.add("ReduceMax", [self.add("Where", [seen, end, near])], keepdims=0)
        middle = self.add("Div", [self.add("Add", [low, high]), self.constant(np.float32(2))])
        length = self.add("Max", [self.add("Sub", [high, low]), self.constant(np.float32(1))])
        return self.add("Add", [middle, self.constant(np.float32(shift))]), length
