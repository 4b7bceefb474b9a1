"""The labels that EfficientNet-Lite0 can give: each is a set of ImageNet's 1,000 classes.

The share of a label is the sum over its classes: the network splits a cat among five breeds of cats, and is
sure of "cat" all the same. A class stands only under labels whose word it fits, in Rekognition's spelling.
Scenes, clothes and what people wear are left out: the network is trained on things, and a person is none of
its classes, so that it would name the shirt. Numbers are the classes' places in the network's output.
"""

from __future__ import annotations

from collections.abc import Mapping

from imgpipe_cli.local.rekognition.classifier import Shares

_ANIMALS = {
    "Animal": "0-68 70-397",
    "Mammal": "101-106 147-299 330-388",
    "Bird": "7-24 80-100 127-146",
    "Fish": "0-6 389-397",
    "Reptile": "33-50 52-68",
    "Insect": "300-326",
    "Canine": "151-275 277-280",
    "Dog": "151-268",
    "Wolf": "269-271",
    "Fox": "277-280",
    "Cat": "281-285",
    "Lion": "291",
    "Tiger": "292",
    "Cheetah": "293",
    "Leopard": "288-289",
    "Jaguar": "290",
    "Bear": "294-297",
    "Giant Panda": "388",
    "Elephant": "101 385-386",
    "Zebra": "340",
    "Horse": "339",
    "Pig": "341",
    "Sheep": "348",
    "Buffalo": "346-347",
    "Camel": "354",
    "Llama": "355",
    "Antelope": "351-353",
    "Rabbit": "330-332",
    "Hamster": "333",
    "Squirrel": "335",
    "Otter": "360",
    "Monkey": "370-382",
    "Ape": "365-369",
    "Kangaroo": "104",
    "Koala": "105",
    "Sea Lion": "150",
    "Whale": "147-148",
    "Shark": "2-4",
    "Penguin": "145",
    "Flamingo": "130",
    "Peacock": "84",
    "Owl": "24",
    "Eagle": "22",
    "Duck": "97",
    "Goose": "99",
    "Swan": "100",
    "Chicken": "7-8",
    "Parrot": "87-90",
    "Ostrich": "9",
    "Hummingbird": "94",
    "Turtle": "33-37",
    "Lizard": "38-48",
    "Crocodile": "49-50",
    "Snake": "52-68",
    "Frog": "30-32",
    "Butterfly": "321-326",
    "Bee": "309",
    "Dragonfly": "319-320",
    "Spider": "72-77",
    "Crab": "118-121 125",
    "Lobster": "122-124",
    "Snail": "113",
    "Jellyfish": "107",
    "Starfish": "327",
}

_FOOD_AND_PLANTS = {
    "Food": "924-957 959-965",
    "Beverage": "441 966-967 969",
    "Coffee": "967",
    "Coffee Cup": "504 967-968",
    "Cup": "504 967-968",
    "Wine": "966",
    "Bottle": "440 720 737 898 907",
    "Pizza": "963",
    "Burger": "933",
    "Hot Dog": "934",
    "Bread": "930-931",
    "Ice Cream": "928",
    "Fruit": "948-957",
    "Apple": "948",
    "Banana": "954",
    "Orange": "950",
    "Strawberry": "949",
    "Pineapple": "953",
    "Vegetable": "936-946",
    "Broccoli": "937",
    "Mushroom": "947 992 996-997",
    "Flower": "985-986",
}

_VEHICLES = {
    "Vehicle": "403-404 407-408 436 444 466 468 472 484 510-511 547 554-555 561 565 569 573 575-576 586 595"
    " 609 625 627-628 654 656 661 665 670-671 675 690 705 717 734 751 757 779-780 802-803 814 817 820 829 833"
    " 847 856 864 866-867 870-871 874 895 914",
    "Car": "436 468 511 609 627 656 661 751 817",
    "Truck": "555 569 675 717 864 867",
    "Bus": "654 779 874",
    "Train": "466 547 705 820",
    "Motorcycle": "665 670",
    "Bicycle": "444 671",
    "Airplane": "404 895",
    "Boat": "472 484 554 576 625 780 814 871 914",
    "Tractor": "866",
    "Hot Air Balloon": "417",
}

_BUILDINGS_AND_THINGS = {
    "Building": "425 442 449 483 497 580 663 668 698 727 832 853 858 915",
    "Castle": "483",
    "Church": "497",
    "Mosque": "668",
    "Bridge": "821 839 888",
    "Lighthouse": "437",
    "Fountain": "562",
    "Furniture": "423 453 493 495 526 532 553 559 564 765 831 857 894",
    "Clock": "409 530 892",
    "Laptop": "620",
    "Camera": "732 759",
    "Musical Instrument": "401-402 420 432 486 513 541 546 558 566 579 593-594 641-642 683 687 699 776 822"
    " 875 881 889",
    "Guitar": "402 546",
    "Piano": "579 881",
    "Violin": "889",
    "Teddy Bear": "850",
    "Umbrella": "879",
    "Tent": "672",
    "Traffic Light": "920",
}


def classes(spans: str) -> list[int]:
    """The numbers in a text such as "281-285 287"."""
    numbers: list[int] = []
    for span in spans.split():
        first, _, last = span.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


CONCEPTS: Mapping[str, list[int]] = {
    name: classes(spans)
    for group in (_ANIMALS, _FOOD_AND_PLANTS, _VEHICLES, _BUILDINGS_AND_THINGS)
    for name, spans in group.items()
}

# Flowers and leaves are their background in most pictures that the network has learned from, so that it sees
# insects and spiders on flowers where none are.
_ON_FLOWERS = classes("72-77 300-326")
_DOUBT = 0.75


def weighed(shares: Shares) -> Shares:
    """The shares with a doubt about insects and spiders."""
    doubted = shares.copy()
    doubted[_ON_FLOWERS] *= _DOUBT
    return doubted


def share_of(shares: Shares, numbers: list[int]) -> float:
    """From 0 to 100."""
    return min(100.0, float(shares[numbers].sum()))
