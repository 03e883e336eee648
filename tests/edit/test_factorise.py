"""Architecture edits: what they cost, that sizes stay, low rank, weights, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cnndsl
from cnndsl.analysis.cost import graph_cost
from cnndsl.diagnostics import CnnError
from cnndsl.edit.factorise import factorisation
from cnndsl.edit.network import Edited, factorise
from cnndsl.edit.weights import factorise_kernel
from cnndsl.weights.initialise import initialise

SETTING = """network small {{
    input image [{channels}, {sizes}]
    {chain}
}}"""


def edited(
    chain: str,
    edit: str,
    pattern: str = "*",
    between: str | None = None,
    channels: int = 16,
    sizes: str = "19, 23",
) -> Edited:
    source = SETTING.format(channels=channels, sizes=sizes, chain=chain)
    edits = [(pattern, factorisation(edit))]
    return factorise(source, edits, between=between, output=Path("new.cnn"))


def ratio(result: Edited) -> float:
    before, after = graph_cost(result.before).macs, graph_cost(result.after).macs
    assert before is not None
    assert after is not None
    return after / before


@pytest.mark.parametrize(
    ("chain", "edit", "expected"),
    [
        ("conv(16, 5)", "stack3x3", 0.72),
        ("conv(16, 7)", "stack3x3", 27 / 49),
        ("conv(16, 11)", "stack3x3", 45 / 121),
        ("conv(16, 3)", "asymmetric", 2 / 3),
        ("conv(16, 7)", "asymmetric", 2 / 7),
        ("conv(24, 3)", "separable", 1 / 24 + 1 / 9),
        ("conv(24, [3, 5])", "separable", 1 / 24 + 1 / 15),
        ("conv(24, 3)", "grouped:4", 1 / 4),
        ("conv(24, 3)", "lowrank:5", 5 * (16 * 3 + 24 * 3) / (16 * 24 * 9)),
        ("conv(24, 1)", "lowrank:5", 5 * (16 + 24) / (16 * 24)),
    ],
)
def test_cost_ratios(chain: str, edit: str, expected: float) -> None:
    assert ratio(edited(chain, edit)) == pytest.approx(expected, rel=1e-12)


CONVS = [
    "conv(6, 5)",
    "conv(6, kernel=5, stride=2, pad=same)",
    "conv(filters=6, kernel=7, stride=[2, 1], pad=valid)",
    "conv(6, 7, pad=2, stride=3)",
    "conv(6, 5, pad=[[1, 2], 0])",
    "conv(6, 5, pad=full, bias=false)",
    "conv(6, [5, 5], pad=same_upper, stride=2)",
]
EDITS = ["stack3x3", "asymmetric", "separable", "grouped:2", "lowrank:3"]


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("conv", CONVS)
def test_sizes_are_kept(conv: str, edit: str, tmp_path: Path) -> None:
    result = edited(f"{conv} -> relu", edit)
    (tmp_path / "new.cnn").write_text(result.text)
    graph = cnndsl.parse(tmp_path / "new.cnn").graph
    assert graph["relu1"].type == result.before["relu1"].type
    biases = [name for name in graph.parameters() if name.endswith("bias")]
    assert (biases == []) == ("bias=false" in conv)


@pytest.mark.parametrize("edit", ["asymmetric", "separable", "lowrank:3"])
@pytest.mark.parametrize("conv", ["conv(6, 3, dilation=2)", "conv(6, 4, dilation=[1, 3], pad=1)"])
def test_dilation_is_kept(conv: str, edit: str) -> None:
    result = edited(conv, edit)
    assert result.after[result.after.outputs["output"]].type == result.before["conv1"].type


def outputs(source: str | Path, weights: dict[str, np.ndarray], image: np.ndarray) -> np.ndarray:
    module = cnndsl.compile(source, "reference", weights=weights, dtype="float64", level=0)
    return module.run({"image": image})["output"]


@pytest.mark.parametrize(
    ("chain", "shape", "rank"),
    [
        ("conv(5, 3, stride=2)", (5, 16, 3, 3), 1),
        ("conv(5, [3, 2], pad=valid)", (5, 16, 3, 2), 2),
        ("conv(5, [2, 4], dilation=2, pad=[1, 3])", (5, 16, 2, 4), 20),
        ("conv(5, 1, stride=2)", (5, 16, 1, 1), 3),
    ],
)
def test_low_rank_is_exact_where_the_rank_is_low(
    chain: str, shape: tuple[int, ...], rank: int, tmp_path: Path
) -> None:
    """Sums of `rank` kernels that are outer products; 20 is the full rank of the third."""
    rng = np.random.default_rng(0)
    filters, channels, height, width = shape
    rows = rng.normal(size=(rank, channels, height))
    columns = rng.normal(size=(rank, filters, width))
    kernel = np.einsum("riy,rox->oiyx", rows, columns)
    weights = {"conv1.weight": kernel, "conv1.bias": rng.normal(size=filters)}
    result = edited(chain, f"lowrank:{rank}")
    arrays, errors = result.weights(weights)
    assert errors["conv1"] < 1e-6
    (tmp_path / "new.cnn").write_text(result.text)
    image = rng.normal(size=(2, 16, 19, 23))
    expected = outputs(SETTING.format(channels=16, sizes="19, 23", chain=chain), weights, image)
    found = outputs(tmp_path / "new.cnn", arrays, image)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("shape", [(6, 4, 3, 5), (6, 4, 3), (6, 4, 1, 1)])
def test_the_stated_error_is_that_of_the_best_factors(shape: tuple[int, ...]) -> None:
    """Against the product itself, and against other factors of the same rank."""
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=shape)
    rank = 3
    factors = factorise_kernel(kernel, rank)
    full = (*shape, 1)[:4]
    cube = kernel.reshape(full)

    def error_of(first: np.ndarray, second: np.ndarray) -> float:
        first = first.reshape(rank, full[1], full[2])
        product = np.einsum("riy,orx->oiyx", first, second.reshape(full[0], rank, full[3]))
        return float(np.linalg.norm(product - cube) / np.linalg.norm(cube))

    assert error_of(factors.first, factors.second) == pytest.approx(factors.error, rel=1e-9)
    for _ in range(5):
        noise = 0.05 * rng.normal(size=factors.first.shape)
        assert error_of(factors.first + noise, factors.second) > factors.error


def test_a_file_stays_readable() -> None:
    result = edited(
        "stem: conv(8, 5)\n bn -> relu\n repeat 2 { conv(8, 3) } \n conv(8, 7, stride=2)",
        "stack3x3",
        pattern="stem",
        between="bn -> relu",
    )
    assert "stem: { conv(8, 3) -> bn -> relu -> conv(8, 3) }\n" in result.text
    assert result.replaced == {"stem": ["stem.conv1", "stem.bn1", "stem.relu1", "stem.conv2"]}
    assert "conv(8, 7, stride=2)" in result.text


@pytest.mark.parametrize("chain", ["stem: conv(8, 5) -> bn", "stem: bn -> conv(8, 5) -> relu"])
def test_a_label_goes_on_naming_what_it_names_with_others(chain: str) -> None:
    result = edited(f"{chain}\n conv(4, 3)", "stack3x3", pattern="stem.conv1")
    assert result.replaced == {"stem.conv1": ["stem.conv1.conv1", "stem.conv1.conv2"]}
    names = {heir.old.name: heir.new[-1].name for heir in result.heirs}
    del names["stem.conv1"]
    assert all(old == new for old, new in names.items())


def test_other_weights_keep_their_names_and_values(tmp_path: Path) -> None:
    """Here two instances of one block, and unlabelled convolutions before and behind."""
    source = tmp_path / "net.cnn"
    source.write_text(
        "block unit(width, stride=1) {\n"
        "    conv(width, 1) -> conv(width, 3, stride=stride) -> bn -> conv(width, 1)\n"
        "}\n"
        "network net {\n    input image [3, 16, 16]\n"
        "    unit(8)\n    unit(12, 2)\n    repeat 2 { conv(4, 3) }\n    fc(3)\n}\n"
    )
    edits = [("unit?.conv2", factorisation("lowrank:6")), ("conv?", factorisation("separable"))]
    result = factorise(str(source), edits, output=tmp_path / "new.cnn")
    old = initialise(result.before.parameters(), 0)
    arrays, errors = result.weights(old)
    assert set(errors) == {"unit1.conv2", "unit2.conv2"}
    kept = [name for name in old if not name.startswith("conv") and ".conv2." not in name]
    assert len(kept) == 2 * (4 + 4) + 2
    for name in kept:
        np.testing.assert_array_equal(arrays[name], old[name])
    assert arrays["unit2.conv2.conv1.weight"].shape == (6, 12, 3, 1)
    np.testing.assert_array_equal(arrays["unit2.conv2.conv2.bias"], old["unit2.conv2.bias"])
    trained_anew = result.after.parameters().keys() - arrays.keys()
    assert {name.split(".")[0] for name in trained_anew} == {
        *("conv1", "conv2", "depthwise1", "depthwise2")
    }
    assert "conv(width, [1, 3], stride=[1, stride])" in result.text


@pytest.mark.parametrize(
    ("chain", "edit", "pattern", "code", "message"),
    [
        ("conv(4, 5)", "stack5x5", "*", "E0620", "no factorisation 'stack5x5'"),
        ("conv(4, 5)", "lowrank:0", "*", "E0620", "no factorisation 'lowrank:0'"),
        ("conv(4, 5)", "separable", "stem", "E0622", "no convolution matches 'stem'"),
        ("relu", "separable", "*", "E0622", "no convolution matches"),
        ("conv(4, 3)", "stack3x3", "*", "E0621", "3x3 is no stack of 3x3"),
        ("conv(4, 6)", "stack3x3", "*", "E0621", "6x6 is no stack of 3x3"),
        ("conv(4, 5, dilation=2)", "stack3x3", "*", "E0621", "is dilated"),
        ("conv(4, [1, 5])", "asymmetric", "*", "E0621", "no two axes"),
        ("conv(4, 1)", "separable", "*", "E0621", "is 1x1"),
        ("conv(4, 3, groups=2)", "separable", "*", "E0621", "has groups"),
        ("conv(4, 3, flip=true)", "lowrank:2", "*", "E0621", "flipped kernel"),
        ("conv(6, 3)", "grouped:5", "*", "E0302", "do not divide into 5 groups"),
        ("depthwise(3)", "asymmetric", "*", "E0621", "is not made by a call of conv"),
        ("layer twice = conv(16, 3)\ntwice -> twice", "separable", "*", "E0621", "in a chain"),
        ("for k in [3, 5] { conv(4, k) }", "separable", "*", "E0621", "differ, which are both"),
        ("repeat 2 { conv(4, 3) }", "separable", "conv1", "E0621", "makes conv2 too"),
        ("defaults conv(pad=2)\nconv(4, 5)", "stack3x3", "*", "E0621", "would become"),
    ],
)
def test_what_is_refused(chain: str, edit: str, pattern: str, code: str, message: str) -> None:
    with pytest.raises(CnnError) as caught:
        edited(chain, edit, pattern)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code
    assert message in diagnostic.message


def test_a_rank_over_the_full_rank_is_refused() -> None:
    result = edited("conv(4, 3)", "lowrank:13")
    with pytest.raises(CnnError, match="over the full rank of 12") as caught:
        result.weights(initialise(result.before.parameters(), 0))
    assert caught.value.diagnostics[0].code == "E0621"


@pytest.mark.parametrize("between", ["relu }", "relu -> ", "if height > 15 { relu }"])
def test_what_stands_between_has_to_be_a_chain(between: str) -> None:
    with pytest.raises(CnnError):
        edited("conv(4, 5, stride=2) -> conv(4, 5)", "stack3x3", between=between, sizes="24, 24")
