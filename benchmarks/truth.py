"""What is in the photographs of `make accuracy`, written down after looking at each of them.

They come out of scikit-image, scikit-learn and examples/. A picture that a package and examples/ have is
taken once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@dataclass(frozen=True)
class Truth:
    """things: the labels that should be given. fits: further words that are true of the picture, such as
    their ancestors; they count neither as named nor as wrong. faces: how many a person sees. lines: the
    text that can be read, line by line."""

    things: tuple[str, ...] = ()
    fits: tuple[str, ...] = ()
    faces: int = 0
    lines: tuple[str, ...] = ()


_MOTORCYCLE = Truth(
    ("Motorcycle", "Bench", "Bicycle", "Text"),
    ("Vehicle", "Transportation", "Bottle", "Furniture", "Wheel", "Garage"),
    lines=("YAMAHA", "YAMAHA"),
)

_IN_EXAMPLES = {
    "astronaut.jpg": Truth(
        ("Person", "Face", "Flag", "Helmet", "Space Shuttle"),
        ("Head", "Astronaut", "Rocket", "Text", "Vehicle"),
        faces=1,
    ),
    "cat.jpg": Truth(("Cat",), ("Animal", "Mammal", "Pet")),
    "coffee.jpg": Truth(
        ("Cup", "Coffee", "Spoon", "Dining Table"), ("Beverage", "Coffee Cup", "Saucer", "Furniture")
    ),
    "sign.png": Truth(
        ("Text",),
        ("Page",),
        lines=(
            "Harbour Street Books",
            "Receipt No. 20417",
            "3 paperbacks 24.60 EUR",
            "1 city map 6.95 EUR",
            "Total paid 31.55 EUR",
        ),
    ),
}

_IN_SKIMAGE = {
    "brick.png": Truth(fits=("Brick",)),
    "camera.png": Truth(
        ("Person", "Face", "Camera", "Tripod"), ("Head", "Building", "Grass", "Electronics"), faces=1
    ),
    "cell.png": Truth(),
    "clock_motion.png": Truth(fits=("Clock",)),
    "coins.png": Truth(("Coin",), ("Money",)),
    "color.png": Truth(),
    "grass.png": Truth(fits=("Grass", "Plant")),
    "gravel.png": Truth(fits=("Gravel", "Rock")),
    "horse.png": Truth(("Horse",), ("Animal", "Mammal", "Silhouette")),
    "hubble_deep_field.jpg": Truth(fits=("Space", "Star", "Galaxy")),
    "ihc.png": Truth(),
    "logo.png": Truth(("Snake",), ("Animal", "Reptile", "Logo")),
    "microaneurysms.png": Truth(),
    "moon.png": Truth(fits=("Moon", "Crater")),
    "motorcycle_left.png": _MOTORCYCLE,
    "motorcycle_right.png": _MOTORCYCLE,
    "page.png": Truth(
        ("Text",),
        ("Page",),
        lines=(
            "Region-based segmentation",
            "Let us first determine markers of the coins and the",
            "background. These markers are pixels that we can label",
            "unambiguously as either object or background. Here,",
            "the markers are found at the two extreme parts of the",
            "histogram of grey values:",
            ">>> markers = np.zeros_like(coins)",
        ),
    ),
    "retina.jpg": Truth(),
    "rocket.jpg": Truth(("Rocket", "Tower"), ("Vehicle", "Missile")),
    # Formulas by hand, lying on their side.
    "text.png": Truth(("Text",), ("Handwriting",)),
}

_IN_SKLEARN = {
    "china.jpg": Truth(("Building", "Tree"), ("Architecture", "Tower", "Temple", "Lake")),
    "flower.jpg": Truth(("Flower",), ("Plant",)),
}


def pictures() -> Iterator[tuple[Path, Truth]]:
    """Every picture with its truth. Raises FileNotFoundError where a package is not installed."""
    for folder, truths in (
        (_EXAMPLES, _IN_EXAMPLES),
        (_package("skimage") / "data", _IN_SKIMAGE),
        (_package("sklearn") / "datasets" / "images", _IN_SKLEARN),
    ):
        for name, truth in truths.items():
            yield folder / name, truth


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"{name} is not installed: make setup")
    return Path(spec.origin).parent
