"""ImageNet's 1,000 classes in groups that a person would name, for a first look at a photograph.

Dogs are 118 of ImageNet's classes and horses one, so classes are merged by their hypernyms in
WordNet. Every class is in one group; things that no group fits are grouped by use or place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from ..labels import Labels
from ..registry import unknown

CLASSES = 1000
"""Classes of ImageNet (ILSVRC 2012), by index in the usual order of their WordNet ids."""

_RANGES: Mapping[str, str] = {
    # animals
    "fish": "0-6 389-397",
    "bird": "7-24 80-100 127-146",
    "amphibian": "25-32",
    "turtle": "33-37",
    "lizard": "38-48 51",
    "crocodile": "49-50",
    "snake": "52-68",
    "spider": "70-78",
    "insect": "79 300-326",
    "kangaroo": "104",
    "koala": "105",
    "small mammal": "102-103 106 298-299 330-338 356-364",
    "sea creature": "69 107-117 126 327-329 973",
    "crab": "118-125",
    "whale": "147-149",
    "seal": "150",
    "dog": "151-268 273-275",
    "wolf": "269-272 276",
    "fox": "277-280",
    "cat": "281-285",
    "big cat": "286-293",
    "bear": "294-297 387-388",
    "horse": "339",
    "zebra": "340",
    "pig": "341-343",
    "hippopotamus": "344",
    "cow": "345-347",
    "sheep": "348-349",
    "antelope": "350-353",
    "camel": "354-355",
    "monkey": "365-384",
    "elephant": "101 385-386",
    # vehicles
    "aeroplane": "404 812 895 908",
    "airship": "405 417",
    "bicycle": "444 671",
    "boat": "403 472 484 510 554 576 625 628 694 724 780 814 833 871 913-914",
    "bus": "654 779 874",
    "car": "436 468 475 479 511 535 581 609 627 656 661 751 817",
    "motorbike": "665 670",
    "train": "466 547 565 705 820 829",
    "truck": "407 555 569 660 675 717 734 757 864 867",
    "tractor": "517 561 595 621 730 856 866",
    "tank": "408 586 847",
    "cart": "428 450 537 573 575 603 612 690 791 802-803 870 880",
    # people, and what they wear
    "person": "981-983",
    "clothing": (
        "399-400 411 434 443 445 452 457 459 474 496 501 529 533 552 568 578 591 601 608 610 "
        "614-615 617 638-639 643 652 655 658 667 678 689 697 735 775 785 793 796 806 824 834 "
        "841-842 869 885 887 903 906 911"
    ),
    "hat": "433 439 515 518 560 715 808",
    "armour": "461 465 490 524 787",
    "shoes": "502 514 630 770 774",
    "glasses": "836-837",
    "bag": "414 636 728 748 797 893",
    "jewellery": "451 464 584 679",
    # furniture and rooms
    "chair": "423 559 765 857",
    "sofa": "831",
    "table": "526 532 736",
    "bed": "431 516 520 564 721 750",
    "bench": "703",
    "cabinet": "453 492-493 495 548 648 894",
    "lamp": "470 607 619 626 818 846 862",
    "curtain": "669 789 794 854 904-905",
    "bathtub": "435 876",
    "toilet": "861 999",
    "sink": "896",
    "carpet": "539 741",
    "fireplace": "556",
    "door": "799",
    # devices
    "tv/monitor": "598 664 761 782 851",
    "computer": "508 527 590 592 613 620 662 673 681 713 742 810 878 916",
    "telephone": "487 528 605 707",
    "camera": "622 732 759 872",
    "clock": "409 530-531 604 826 835 892",
    "kitchen appliance": "521 534 550 651 760 766 827 859 891",
    "household appliance": "545 589 606 753 786 811 882 897",
    "audio device": "481-482 485 632 650 754 848",
    "instrument panel": "426 635 685 688 778 844",
    "machine": "480 571 583 686 704 710 739 800 886",
    "gun": "413 471 597 657 744 763-764",
    "medical device": "419 523 570 691 712 720 823 830 840 845",
    "optical device": "447 633 745 755 807",
    "keyboard instrument": "401 579 687 881",
    "string instrument": "402 420 486 546 594 889",
    "wind instrument": "432 458 513 558 566 593 683-684 699 776 875 902",
    "drum": "494 541-542 577 641-642 822",
    # containers and things to hold
    "bottle": "440 455 737 804 898 907",
    "cosmetics": "551 585 629 631 711 838",
    "cup": "441 504 572 647 966-969",
    "jug": "503 505 653 725 849 899 901",
    "bowl": "469 544 567 659 666 729 738 809 828 868 909 923",
    "vase": "438 883",
    "box": "478 519 549 588 692 700 709 719 771 773 790",
    "barrel": "427 756",
    "bucket": "412 463",
    "tool": (
        "398 418 462 473 477 488 491 499 506-507 512 553 563 587 596 600 616 618 623 644 674 "
        "676-677 695-696 714 726 731 740 749 758 767 769 772 777 783-784 792 798 813 816 855 "
        "910"
    ),
    "ball": "429-430 522 574 722 746 768 805 852 890",
    "sports equipment": "416 422 456 543 602 693 701-702 747 752 795 801",
    "toy": "476 611 645 680 723 843 850",
    "umbrella": "879",
    "book": "446 917-918 921-922",
    # buildings and outdoors
    "building": (
        "406 410 425 442 448-449 483 497-498 500 536 538 540 580 624 634 646 649 663 668 672 "
        "682 698 706 708 727 743 819 832 853 858 873 884 900 915"
    ),
    "shop": "415 424 454 467 509 582 762 788 860 865",
    "bridge": "460 525 718 821 839 888",
    "fence": "421 489 716 825 912",
    "sign": "437 557 562 637 640 733 781 863 877 919-920",
    "nest": "599 815",
    "mountain": "970 972 976 979-980",
    "water": "971 974-975 977-978",
    "plant": "958 984-990 998",
    "mushroom": "947 991-997",
    "fruit": "948-957",
    "vegetable": "936-946",
    "food": "924-935 959-965",
}
"""Indices of the classes of each group, as first-last."""

_ALIASES: Mapping[str, str] = {
    "airplane": "aeroplane",
    "plane": "aeroplane",
    "bike": "bicycle",
    "motorcycle": "motorbike",
    "couch": "sofa",
    "diningtable": "table",
    "dining table": "table",
    "tv": "tv/monitor",
    "tvmonitor": "tv/monitor",
    "monitor": "tv/monitor",
    "phone": "telephone",
    "people": "person",
    "pottedplant": "pot",
    "potted plant": "pot",
}
"""Other words for groups and classes, those of PASCAL VOC among them."""


@dataclass(frozen=True)
class Groups:
    """Names, and the classes of ImageNet that each stands for.

    Attributes:
        names: G names, none of them twice.
        indices: For each name the indices of its classes, 0 to 999; no class is in two groups.
    """

    names: tuple[str, ...]
    indices: tuple[tuple[int, ...], ...]

    @property
    def labels(self) -> Labels:
        """The labels of masks: background, then the names."""
        return Labels(("background", *self.names))

    @property
    def others(self) -> tuple[int, ...]:
        """The indices of the classes that are in no group."""
        held = {index for group in self.indices for index in group}
        return tuple(index for index in range(CLASSES) if index not in held)


@cache
def hypernym_groups() -> Groups:
    """Return groups that hold every class of ImageNet once.

    >>> groups = hypernym_groups()
    >>> len(groups.names), groups.others, len(groups.indices[groups.names.index("dog")])
    (111, (), 121)
    """
    return Groups(tuple(_RANGES), tuple(map(_indices, _RANGES.values())))


def groups_of(names: Iterable[str]) -> Groups:
    """Return the groups that names stand for; no other class is in one.

    Args:
        names: Of groups (``dog``), of VOC's classes (``tvmonitor``), or of ImageNet's own classes
            (``golden retriever``), in any case.

    Raises:
        LookupError: If a name stands for nothing; the message suggests the nearest.
        ValueError: If two names stand for the same class, or there are none.

    >>> groups_of(["cat", "golden retriever"]).indices
    ((281, 282, 283, 284, 285), (207,))
    """
    chosen: dict[str, tuple[int, ...]] = {}
    owner: dict[int, str] = {}
    for name in names:
        word = " ".join(name.split())
        chosen[word] = _classes_of(word)
        for index in chosen[word]:
            if owner.setdefault(index, word) != word:
                raise ValueError(
                    f"{owner[index]} and {word} both stand for ImageNet's class "
                    f"{class_names()[index]!r}; leave one of them out."
                )
    if not chosen:
        raise ValueError("No names were given; write them as --names dog,cat.")
    return Groups(tuple(chosen), tuple(chosen.values()))


@cache
def class_names() -> tuple[str, ...]:
    """Return the names of ImageNet's classes by index, from torchvision."""
    from torchvision.models import ResNet18_Weights

    return tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


def _classes_of(name: str) -> tuple[int, ...]:
    key = name.lower()
    key = _ALIASES.get(key, key)
    if key in _RANGES:
        return _indices(_RANGES[key])
    own = tuple(i for i, one in enumerate(class_names()) if one.lower() == key)
    if own:
        return own
    known = sorted({*_RANGES, *_ALIASES, *(one.lower() for one in class_names())})
    raise LookupError(
        unknown(name, known, "class or group of ImageNet").split(" Known: ")[0]
        + f" Groups are {', '.join(_RANGES)}."
    )


def _indices(ranges: str) -> tuple[int, ...]:
    ends = [[int(end) for end in part.split("-")] for part in ranges.split()]
    return tuple(
        sorted(i for first, *last in ends for i in range(first, (last or [first])[0] + 1))
    )
