"""Which classes of EfficientNet-Lite0 bear out a thing that YOLOX saw.

YOLOX names what looks like a thing: a coin is a clock to it, a blurred dial a vase. A little of the other
network's attention for the same kind of thing tells most of these apart. It is a little only, since that
network looks at the whole picture. A thing that has no kin among its classes has no entry here.
"""

from __future__ import annotations

from collections.abc import Mapping

from imgpipe_cli.local.rekognition.concepts import classes

_FOOD = "415 509 582 923-957 959-965"
_AT_TABLE = f"{_FOOD} 411 440-441 469 499 503-505 532 544 550 567 572 618 647 659 725 762 766-767 773 809 813"
_AT_TABLE += " 828 849 868 891 899 907 909-910 922 966-969"
_SEATS_AND_BEDS = "423 453 516 520 526 532 548 559 564 598 619 703 706 721 750 765 831 846 857 894 905"
_COMPUTERS = "481-482 487 508 526-528 548 590 592 598 605 613 620 662 664 673 681 688 707 710 713 742 754 761"
_COMPUTERS += " 782 810 851 878"
_KITCHEN = "505 521 534 544 550 567 651 659 729 760 766 811 827 859 891 896-897 909"
_BATHROOM = "435 631 648 700 711 794 804 838 861 876 896 999"
_STREET = "468 475 479 571 637 640 654 704 707 717 733 829 874 919-920"
_SPORTS = (
    "416 422 429-430 433 450 518 522 543 560 574 602 610 693 701-702 722 746-747 752 768 770 781 795-796"
)
_SPORTS += " 801 805 842 852 880 890 981"
_WATER = "445 472 576 625 638-639 693 801 814 842 977-978"
_BAGS = "414 492 519 588 636 728 748 790-791 797"
_BOOKS = "446 453-454 549 592 624 681 692 917-918 921-922"

BACKING: Mapping[str, list[int]] = {
    name: classes(spans)
    for name, spans in {
        "Traffic Light": _STREET,
        "Stop Sign": _STREET,
        "Parking Meter": _STREET,
        "Bench": f"{_SEATS_AND_BEDS} 975-978",
        "Backpack": _BAGS,
        "Umbrella": "879 701 706",
        "Handbag": _BAGS,
        "Tie": "451 457 617 834 906",
        "Suitcase": _BAGS,
        "Frisbee": _SPORTS,
        "Skis": f"{_SPORTS} 802-803 970",
        "Snowboard": f"{_SPORTS} 802-803 970",
        "Sports Ball": _SPORTS,
        "Kite": f"{_SPORTS} 417 977-978",
        "Baseball Bat": _SPORTS,
        "Baseball Glove": _SPORTS,
        "Skateboard": _SPORTS,
        "Surfboard": f"{_SPORTS} {_WATER}",
        "Tennis Racket": _SPORTS,
        "Bottle": f"{_AT_TABLE} 631 711 720 737 838 898 901",
        "Wine Glass": _AT_TABLE,
        "Cup": f"{_AT_TABLE} 463 647 969",
        "Fork": _AT_TABLE,
        "Knife": _AT_TABLE,
        "Spoon": _AT_TABLE,
        "Bowl": f"{_AT_TABLE} 896",
        "Banana": _FOOD,
        "Apple": _FOOD,
        "Sandwich": _FOOD,
        "Orange": _FOOD,
        "Broccoli": _FOOD,
        "Carrot": _FOOD,
        "Hot Dog": _FOOD,
        "Pizza": _FOOD,
        "Donut": _FOOD,
        "Cake": f"{_FOOD} 470",
        "Chair": _SEATS_AND_BEDS,
        "Couch": _SEATS_AND_BEDS,
        "Potted Plant": "580 706 716 738 883 936-946 984-990",
        "Bed": f"{_SEATS_AND_BEDS} 669",
        "Dining Table": f"{_AT_TABLE} {_SEATS_AND_BEDS}",
        "Toilet": _BATHROOM,
        "TV": _COMPUTERS,
        "Laptop": _COMPUTERS,
        "Mouse": _COMPUTERS,
        "Remote": _COMPUTERS,
        "Keyboard": _COMPUTERS,
        "Mobile Phone": _COMPUTERS,
        "Microwave": _KITCHEN,
        "Oven": _KITCHEN,
        "Toaster": _KITCHEN,
        "Sink": f"{_BATHROOM} {_KITCHEN}",
        "Refrigerator": _KITCHEN,
        "Book": _BOOKS,
        "Clock": "409 426 442 530-531 604 635 685 704 778 826 835 892",
        "Vase": "572 725 738 883 899 849 985-986",
        "Scissors": "424 473 499 584 587 623 696 784",
        "Teddy Bear": "850 865",
        "Hair Drier": "424 584-585 589 740",
        "Toothbrush": f"{_BATHROOM} 696 840",
    }.items()
}
