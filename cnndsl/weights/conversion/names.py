"""What names of layers tell: scopes, numbers that count, and words."""

from __future__ import annotations

import re
from functools import cache
from typing import TypeAlias

Index: TypeAlias = tuple[int | str, ...]

SIZES = re.compile(r"[0-9]+x[0-9]+(?:x[0-9]+)?|(?<=[a-z])[0-9](?=d(?:[^a-z]|$))", re.IGNORECASE)
"""Numbers that count nothing: kernels such as 3x3, and dimensions such as in conv2d."""
COUNT = re.compile(r"([0-9]+)([a-z](?![a-zA-Z]))?")
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

SYNONYMS = {
    word: words[0]
    for words in (
        ("shortcut", "downsample", "identity", "proj", "projection", "skip", "skipbn", "skips"),
        ("fc", "linear", "dense", "classifier", "head", "logits", "classif"),
        ("squeeze", "reduce", "compress"),
        ("depthwise", "dw", "dwconv"),
        ("pointwise", "pw", "pwconv"),
        ("bn", "norm", "batchnorm", "normalization"),
        ("stem", "init", "entry"),
    )
    for word in words
}
GENERIC = re.compile(
    "(block|branch|cell|conv|feature|group|layer|module|repeat|seq|sequential|stage|unit)(e?s)?"
    "|body|model|net"
)
"""Words that do not tell one module from another."""
BACKWARDS = {"up", "upsample", "dec", "decoder", "deconv", "lateral", "fpn", "top", "inner"}
"""Words of layers that some count against the order of execution."""


@cache
def family(token: str) -> tuple[str, Index]:
    """What a name is without its numbers, and the numbers; no number at the end counts as 0.

    `conv2d`, `conv2d_1` and `conv2d_10` are 0, 1 and 10 of one family, as Keras means them;
    `2b` is followed by `2c`.
    """
    sizes: list[str] = []

    def keep(match: re.Match[str]) -> str:
        sizes.append(match[0])
        return "\0"

    text = SIZES.sub(keep, token)
    if not re.search("[0-9][a-z]?$", text):
        text += "_0"
    index: list[int | str] = []
    for number, letter in COUNT.findall(text):
        index += [int(number), letter]
    stem = COUNT.sub("#", text)
    for size in sizes:
        stem = stem.replace("\0", size, 1)
    return re.sub("[._]?#", "#", stem), tuple(index)


@cache
def words(name: str) -> frozenset[str]:
    """The words in a name that tell something, one for those that mean the same."""
    found = (word.lower() for word in WORD.findall(name) if len(word) > 1)
    return frozenset(SYNONYMS.get(word, word) for word in found if not GENERIC.fullmatch(word))


def counts_backwards(stem: str) -> bool:
    """Whether layers of this family may be numbered against the order of execution."""
    return not BACKWARDS.isdisjoint(word.lower() for word in WORD.findall(stem))


def tokens(name: str, *, underscores: bool) -> tuple[str, ...]:
    """The parts of a name: what stands between dots, and if wanted between underscores."""
    return tuple(part for part in re.split("[._]" if underscores else "[.]", name))
