"""What operators refuse: code, the blamed argument, and what the message names."""

from __future__ import annotations

from contextlib import suppress
from itertools import product

import pytest

from cnndsl.ir.attributes import AttributeValueError, attribute_kinds, build
from cnndsl.ir.dims import OpenDim
from cnndsl.ir.operator import OperatorError
from cnndsl.ir.operators import BY_NAME
from cnndsl.ir.types import Shape, TensorType
from cnndsl.recipes.registry import ITEMS

IMAGE = (6, 9, 8)
OPEN = (6, OpenDim.symbol("H"), OpenDim.symbol("W"))

REFUSED: list[tuple[str, str, dict[str, object], tuple[Shape, ...], str | None, str]] = [
    ("E0301", "add", {}, (IMAGE, (6, 9, 7)), None, "operand 1 is 6x9x8 and operand 2 is 6x9x7"),
    ("E0301", "mul", {}, (IMAGE, (5,)), None, "operand 1 is 6x9x8 and operand 2 is 5"),
    ("E0301", "max", {}, ((5,), IMAGE), None, "operand 1 is 5 and operand 2 is 6x9x8"),
    ("E0301", "average", {}, (IMAGE, OPEN), None, "operand 2 is 6xHxW"),
    ("E0301", "add", {}, (IMAGE, IMAGE, (6, 9)), None, "operand 3 is 6x9"),
    ("E0301", "softmax_sum", {}, (IMAGE, IMAGE, IMAGE), None, "a score for each, not 3 operands"),
    ("E0301", "softmax_sum", {}, (IMAGE, (5,)), None, "operand 2 is 5"),
    ("E0301", "matmul", {}, (IMAGE, IMAGE), None, "columns, 72, but that is 6x9x8"),
    ("E0301", "matmul_transposed", {}, (IMAGE, (5,)), None, "columns, 6, but that is 5"),
    ("E0301", "matmul", {}, (IMAGE, (72,), (72,)), None, "joins two values, not 3"),
    ("E0308", "matmul", {}, (OPEN, IMAGE), None, "known size, not 6xHxW"),
    ("E0302", "group_norm", {"groups": 4}, (IMAGE,), "groups", "6 channels do not divide into 4"),
    ("E0306", "instance_norm", {}, ((5,),), None, "instance_norm needs an input with 1 to 3"),
    ("E0301", "concat", {}, (IMAGE, IMAGE, (6, 9, 7)), None, "operand 3 is 6x9x7"),
    ("E0301", "concat", {}, (IMAGE, (6,)), None, "operand 2 is 6"),
    ("E0301", "concat_width", {}, (IMAGE, (6, 8, 8)), None, "operand 2 is 6x8x8"),
    ("E0302", "conv", {"filters": 4, "kernel": 1, "groups": 4}, (IMAGE,), "groups", "6 input"),
    ("E0302", "conv", {"filters": 4, "kernel": 1, "groups": 3}, (IMAGE,), "groups", "4 filters"),
    ("E0302", "conv_transpose", {"filters": 6, "kernel": 1, "groups": 4}, (IMAGE,), "groups", "6"),
    ("E0302", "shuffle", {"groups": 4}, (IMAGE,), "groups", "6 input channels"),
    ("E0302", "pixel_shuffle", {"factor": 2}, (IMAGE,), "factor", "6 input channels"),
    ("E0302", "maxout", {"pieces": 4}, (IMAGE,), "pieces", "6 channels"),
    ("E0303", "conv", {"filters": 1, "kernel": 9, "pad": "valid"}, (IMAGE,), "kernel", "only 8"),
    ("E0303", "conv", {"filters": 1, "kernel": 5, "dilation": 3, "pad": 2}, (IMAGE,), "kernel",
     "spans 13"),
    ("E0303", "maxpool", {"kernel": 10}, (IMAGE,), "kernel", "only 9"),
    ("E0303", "local_conv", {"filters": 1, "kernel": [1, 9]}, (IMAGE,), "kernel", "only 8"),
    ("E0303", "conv_transpose", {"filters": 1, "kernel": 1, "pad": 4}, (IMAGE,), "pad", "all 8"),
    ("E0303", "pad", {"pads": 8, "mode": "reflect"}, (IMAGE,), "pads", "8 positions"),
    ("E0303", "pad", {"pads": [0, 9], "mode": "wrap"}, (IMAGE,), "pads", "9 positions"),
    ("E0303", "crop", {"sides": [0, 4]}, (IMAGE,), "sides", "of 8 positions"),
    ("E0303", "crop", {"size": 9}, (IMAGE,), "size", "of 8 positions"),
    ("E0316", "conv", {"filters": 1, "kernel": 3, "dilation": 7000}, (IMAGE,), "dilation",
     "14009x14008"),
    ("E0316", "avgpool", {"kernel": 20001, "stride": 9, "pad": 10000}, (IMAGE,), "pad",
     "20009x20008"),
    ("E0304", "slice", {"start": 2, "stop": 7}, (IMAGE,), "stop", "2 up to 7"),
    ("E0304", "slice", {"start": 3, "stop": 3}, (IMAGE,), "start", "3 up to 3"),
    ("E0305", "pad_channels", {"channels": 5}, (IMAGE,), "channels", "6 channels already"),
    ("E0302", "local_conv", {"filters": 4, "kernel": 1, "groups": 4}, (IMAGE,), "groups",
     "6 input"),
    ("E0310", "local_conv", {"filters": 1, "kernel": 1, "table": [[6]]}, (IMAGE,), "table",
     "channel 6"),
    ("E0310", "local_conv", {"filters": 2, "kernel": 1, "groups": 2, "table": [[0], [1]]},
     (IMAGE,), "table", "excludes groups"),
    ("E0306", "conv", {"filters": 1, "kernel": 1}, ((6,),), None, "1 to 3 spatial axes"),
    ("E0306", "conv", {"filters": 1, "kernel": 1}, ((6, 2, 2, 2, 2),), None, "6x2x2x2x2"),
    ("E0306", "depthwise", {"kernel": 1}, ((6,),), None, "1 to 3 spatial axes"),
    ("E0306", "conv_transpose", {"filters": 1, "kernel": 1}, ((6,),), None, "conv_transpose"),
    ("E0306", "tiled_conv", {"filters": 1, "kernel": 1, "period": 2}, ((6,),), None, "tiled"),
    ("E0306", "avgpool", {"kernel": 2}, ((6,),), None, "avgpool needs"),
    ("E0306", "global_avgpool", {}, ((6,),), None, "global_avgpool needs"),
    ("E0306", "adaptive_maxpool", {"size": 2}, ((6,),), None, "adaptive_maxpool needs"),
    ("E0306", "subsample", {"stride": 2}, ((6,),), None, "subsample needs"),
    ("E0306", "upsample", {"factor": 2}, ((6,),), None, "upsample needs"),
    ("E0306", "concat_depth", {}, (IMAGE, IMAGE), None, "no axis of that name"),
    ("E0306", "resize", {"factor": 2}, ((6,),), None, "resize needs"),
    ("E0306", "resize", {"factor": 2, "mode": "cubic"}, ((6, 2, 2, 2),), "mode", "two spatial"),
    ("E0307", "conv", {"filters": 1, "kernel": [1, 1, 1]}, (IMAGE,), "kernel", "3 numbers"),
    ("E0307", "conv", {"filters": 1, "kernel": 1, "pad": [1, 1, 1]}, (IMAGE,), "pad", "3 entries"),
    ("E0307", "maxpool", {"kernel": 2, "dilation": [1, 1]}, ((6, 9),), "dilation", "1 spatial ax"),
    ("E0307", "adaptive_avgpool", {"size": [2, 2]}, ((6, 9),), "size", "2 numbers"),
    ("E0307", "upsample", {"factor": [2, 2, 2]}, (IMAGE,), "factor", "3 numbers"),
    ("E0307", "resize", {"factor": [2, 2, 2]}, (IMAGE,), "factor", "3 numbers"),
    ("E0307", "pad", {"pads": [1, 2, 3]}, (IMAGE,), "pads", "3 numbers"),
    ("E0308", "crop", {"size": 2}, (OPEN,), None, "leaves out H - 2"),
    ("E0308", "pixel_unshuffle", {"factor": 2}, (OPEN,), None, "6xHxW"),
    ("E0308", "permute", {"axes": [1, 2, 0]}, (OPEN,), None, "6xHxW"),
    ("E0308", "reshape", {"shape": [-1]}, (OPEN,), None, "6xHxW"),
    ("E0308", "fc", {"units": 3}, (OPEN,), None, "6xHxW"),
    ("E0308", "rbf", {"units": 3}, (OPEN,), None, "6xHxW"),
    ("E0308", "flatten", {}, (OPEN,), None, "6xHxW"),
    ("E0308", "local_conv", {"filters": 3, "kernel": 1}, (OPEN,), None, "6xHxW"),
    ("E0308", "conv", {"filters": 1, "kernel": 3, "stride": 2, "pad": "same_upper"}, (OPEN,), "pad",
     "same_upper"),
    ("E0309", "resize", {}, (IMAGE,), "size", "a factor or a size"),
    ("E0309", "resize", {"size": 1, "factor": 1}, (IMAGE,), "size", "a factor or a size"),
    ("E0309", "resize", {"factor": 0.1}, (IMAGE,), "factor", "no position"),
    ("E0309", "crop", {"sides": 1, "size": 2}, (IMAGE,), "size", "sides or a size"),
    ("E0309", "pixel_unshuffle", {"factor": 2}, (IMAGE,), "factor", "2x2 do not divide"),
    ("E0309", "permute", {"axes": [1, 0]}, (IMAGE,), "axes", "each of 0 to 2"),
    ("E0309", "reshape", {"shape": [5, -1]}, (IMAGE,), "shape", "432 elements"),
    ("E0309", "scale", {"factor": [1, 2]}, (IMAGE,), "factor", "2 numbers"),
    ("E0309", "normalize", {"mean": 0, "std": [1, 2]}, (IMAGE,), "std", "2 numbers"),
    ("E0310", "conv", {"filters": 2, "kernel": 1, "table": [[0]]}, (IMAGE,), "table", "1 rows"),
    ("E0310", "conv", {"filters": 1, "kernel": 1, "table": [[6]]}, (IMAGE,), "table", "channel 6"),
    ("E0310", "conv", {"filters": 2, "kernel": 1, "table": [[0], [1]], "groups": 2}, (IMAGE,),
     "table", "excludes groups"),
    ("E0311", "conv", {"filters": 1, "kernel": 1, "weight": [[1.0, 2.0]]}, (IMAGE,), "weight",
     "needs 1x6x1x1"),
    ("E0312", "conv_transpose", {"filters": 1, "kernel": 2, "stride": 2, "output_pad": 2},
     (IMAGE,), "output_pad", "2x2"),
    ("E0312", "conv_transpose", {"filters": 1, "kernel": 2, "stride": 2, "output_pad": 1,
                                 "pad": "same"}, (IMAGE,), "output_pad", "pad=same"),
    ("E0314", "maxpool", {"kernel": 2, "pad": 2}, (IMAGE,), "pad", "padding of 2"),
    ("E0314", "avgpool", {"kernel": [3, 2], "pad": [1, [0, 2]]}, (IMAGE,), "pad", "padding of 2"),
    ("E0314", "maxpool", {"kernel": 2, "stride": 1, "pad": 1, "dilation": 2}, ((1, 1),), "dilation",
     "all 1 positions of axis 1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "name", "attributes", "shapes", "blamed", "text"),
    REFUSED,
    ids=[f"{code}-{name}-{index}" for index, (code, name, *_) in enumerate(REFUSED)],
)
def test_refused(
    code: str,
    name: str,
    attributes: dict[str, object],
    shapes: tuple[Shape, ...],
    blamed: str | None,
    text: str,
) -> None:
    types = [TensorType(shape) for shape in shapes]
    operator = build(BY_NAME[name], attributes)
    with pytest.raises(OperatorError) as caught:
        operator.bind(types).infer(types)
    assert (caught.value.code, caught.value.attribute) == (code, blamed)
    assert text in caught.value.message


def test_a_dilated_pool_is_refused_exactly_if_a_window_sees_padding_alone() -> None:
    """All windows of small pools, position by position."""
    counts = {True: 0, False: 0}
    for k, r, s, n, ceil in product((2, 3), (1, 2, 3, 4), (1, 2, 3), (1, 2, 3, 4), (False, True)):
        span = r * (k - 1) + 1
        for before, after in product(range(span), repeat=2):
            if n + before + after < span:
                continue
            attributes = {"kernel": k, "dilation": r, "stride": s, "pad": [[before, after]]}
            pool = build(BY_NAME["maxpool"], {**attributes, "ceil": ceil})
            past = n + before if ceil else n + before + after - span + 1
            starts = range(-before, min(past, n + before + after - span + s) - before, s)
            sees = all(any(0 <= t + m * r < n for m in range(k)) for t in starts)
            counts[sees] += 1
            if sees:
                assert pool.bind([TensorType((1, n))]).infer([TensorType((1, n))]).spatial == (
                    len(starts),
                )
            else:
                with pytest.raises(OperatorError, match="padding alone"):
                    pool.bind([TensorType((1, n))]).infer([TensorType((1, n))])
    assert min(counts.values()) > 300


def test_joins_show_their_operands() -> None:
    types = [TensorType(IMAGE), TensorType((7, 9, 8))]
    with pytest.raises(OperatorError) as caught:
        BY_NAME["add"]().infer(types)
    assert caught.value.show_operands
    assert "pad_channels" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [
        ("conv", "filters", 0),
        ("conv", "filters", 1.5),
        ("conv", "filters", True),
        ("conv", "kernel", []),
        ("conv", "kernel", [1, 1, 1, 1]),
        ("conv", "pad", "sameish"),
        ("conv", "pad", [[1, 2, 3]]),
        ("conv", "pad", -1),
        ("conv", "bias", 1),
        ("conv", "table", [[0, 0]]),
        ("conv", "weight", [[1.0], [1.0, 2.0]]),
        ("lrn", "size", 4),
        ("lrn", "alpha", float("nan")),
        ("bn", "eps", 0),
        ("dropout", "rate", 1.1),
        ("scale", "factor", []),
        ("scale", "shift", ["a"]),
        ("normalize", "std", [1, 0]),
        ("slice", "start", -1),
        ("conv_transpose", "output_pad", -1),
        ("distance_avgpool", "sigma", 0),
    ],
)
def test_wrong_attribute_values(name: str, attribute: str, value: object) -> None:
    with pytest.raises(AttributeValueError, match=f"^{attribute} takes "):
        build(BY_NAME[name], {attribute: value})


ODD = [
    None, True, "", "same", "x*", {}, int, -1, -1.5, 10**40, float("nan"), float("inf"),
    [], [None], [True, [False]], [""], ["", ""], [1, [2]], [float("nan")], [int, [int]],
    [[]], [[None]], [[0, 0]], [["a", "b"]], [[1, 2], [3]], [[0, [1]]], [[1], [[2]]], [[[]]],
]  # fmt: skip


@pytest.mark.parametrize("called", [*BY_NAME.values(), *ITEMS.values()], ids=lambda c: c.name)
def test_odd_arguments_are_refused_or_understood(called):
    for name, kind in attribute_kinds(called).items():
        if (called.name, name) == ("input", "shape"):
            continue  # no argument: the language has brackets for it
        for value in ODD:
            with suppress(ValueError):
                hash(kind.convert(value))
