"""The 80 classes of COCO, in the order of the model's output, under the names that Rekognition uses.

Rekognition's own name is known from recorded answers for those in RENAMED and those that taxonomy.py knows;
the others keep COCO's word with capital letters. AWS's full list was not at hand to compare.
"""

from __future__ import annotations

# The order is COCO's and part of the model.
_NAMES = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, "
    "stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, "
    "backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, "
    "baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, "
    "bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, "
    "potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, "
    "oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush"
)

RENAMED = {"cell phone": "Mobile Phone", "tv": "TV"}

LABELS = tuple(RENAMED.get(name, name.title()) for name in _NAMES.split(", "))

ANIMALS = frozenset(LABELS[14:24])
