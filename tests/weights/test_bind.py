"""Arrays to parameters: what fits is converted, what does not is reported at once."""

import numpy as np
import pytest

from cnndsl.diagnostics import CnnError, Severity
from cnndsl.ir.expressions import Parameter
from cnndsl.weights.bind import bind
from cnndsl.weights.initialise import initialise


def parameters(**shapes: tuple[int, ...]) -> dict[str, Parameter]:
    names = {name.replace("_", "."): shape for name, shape in shapes.items()}
    return {name: Parameter(name, shape, "he") for name, shape in names.items()}


TWO = parameters(conv_weight=(4, 3, 2, 2), conv_bias=(4,))


def arrays(parameters: dict[str, Parameter]) -> dict[str, np.ndarray]:
    return {name: np.ones(p.shape, np.float32) for name, p in parameters.items()}


def errors(*args, **kwargs) -> list[str]:
    with pytest.raises(CnnError) as caught:
        bind(*args, **kwargs)
    assert caught.value.usage
    return [
        "\n".join([f"{d.code} {d.message}", *(note.text for note in d.notes), d.hint or ""])
        for d in caught.value.diagnostics
    ]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_become_float32(dtype):
    given = {name: array.astype(dtype) / 3 for name, array in arrays(TWO).items()}
    bound = bind(TWO, given, seed=None)
    assert bound.warnings == ()
    assert list(bound.values) == list(TWO)
    for name, array in bound.values.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, given[name].astype(np.float32))


def test_neither_weights_nor_seed():
    (report,) = errors(TWO, None, seed=None)
    assert report.startswith("E0402")
    assert "--weights FILE" in report
    assert "--seed N" in report
    assert bind({}, None, seed=None).values == {}


def test_a_seed_alone_initialises_all():
    bound = bind(TWO, None, seed=5)
    assert bound.warnings == ()
    expected = initialise(TWO, 5)
    assert all(np.array_equal(bound.values[name], expected[name]) for name in TWO)


def test_one_report_of_all_names():
    given = {
        "conv.weights": np.ones((4, 3, 2, 2)),
        "conv.bias": np.ones(5),
        "fc.weight": np.ones((2, 2)),
    }
    (report,) = errors(TWO, given, seed=None)
    assert report.splitlines() == [
        "E0404 the weights do not fit the network's 2 parameters: "
        "1 missing, 1 of another shape, 2 unexpected",
        "missing: conv.weight [4, 3, 2, 2] (the weights have conv.weights [4, 3, 2, 2])",
        "wrong shape: conv.bias is [5], the network needs [4]",
        "unexpected: conv.weights [4, 3, 2, 2]",
        "unexpected: fc.weight [2, 2]",
        "`cnndsl weights convert` brings weights of other frameworks, --weights-map FILE renames; "
        "--seed N initialises what is missing",
    ]


def test_long_reports_are_cut():
    many = parameters(**{f"layer{i}": (i + 1,) for i in range(25)})
    (report,) = errors(many, {}, seed=None)
    assert "25 missing" in report
    assert "missing: layer9 " in report
    assert "layer10" not in report
    assert "missing: and 15 more" in report


def test_suggestions_prefer_the_right_shape():
    given = {"conv.biaz": np.ones(7), "bn.bias": np.ones(4), "conv.weight": np.ones((4, 3, 2, 2))}
    (report,) = errors(TWO, given, seed=None)
    assert "(the weights have bn.bias [4])" in report


def test_unexpected_names_are_a_warning():
    bound = bind(TWO, arrays(TWO) | {"fc.weight": np.ones((2, 3))}, seed=None)
    (warning,) = bound.warnings
    assert (warning.code, warning.severity) == ("W0204", Severity.WARNING)
    assert [note.text for note in warning.notes] == ["unexpected: fc.weight [2, 3]"]
    assert list(bound.values) == list(TWO)


def test_what_is_missing_starts_from_the_seed():
    given = {"conv.bias": np.full(4, 9.0)}
    bound = bind(TWO, given, seed=1)
    assert [warning.code for warning in bound.warnings] == ["W0205"]
    assert np.array_equal(bound.values["conv.weight"], initialise(TWO, 1)["conv.weight"])
    assert bound.values["conv.bias"].tolist() == [9] * 4
    (report,) = errors(TWO, {"conv.bias": np.ones(5)}, seed=1)
    assert "missing" not in report.splitlines()[0]


def test_counters_are_left_out():
    counter = {"bn.num_batches_tracked": np.array(3, np.int64)}
    assert bind(TWO, arrays(TWO) | counter, seed=None).warnings == ()
    odd = {"bn.num_batches_tracked": np.array([3], np.int64)}
    assert bind(TWO, arrays(TWO) | odd, seed=None).warnings


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_numbers_that_are_no_floats(dtype):
    given = {name: array.astype(dtype) for name, array in arrays(TWO).items()}
    reports = errors(TWO, given, seed=0)
    assert [report[:5] for report in reports] == ["E0405", "E0405"]
    assert np.dtype(dtype).name in reports[0]


@pytest.mark.parametrize("given", [[[1.0], [2.0, 3.0]], np.ma.array([1.0, 2.0], mask=[0, 1])])
def test_what_is_no_array_of_numbers(given):
    name = next(iter(TWO))
    assert errors(TWO, arrays(TWO) | {name: given}, seed=0)[0][:5] == "E0405"


@pytest.mark.parametrize(
    ("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (1e39, "1e+39")]
)
def test_numbers_that_are_not_finite(value, shown):
    given = arrays(TWO)
    given["conv.weight"] = given["conv.weight"].astype(np.float64)
    given["conv.weight"][1, 2, 0, 1] = given["conv.weight"][3, 0, 0, 0] = value
    (report,) = errors(TWO, given, seed=None)
    assert report.startswith(f"E0406 'conv.weight' holds {shown} at index [1, 2, 0, 1]")
    assert "2 of its 48 numbers" in report


def test_a_scalar_that_is_not_finite():
    (report,) = errors(parameters(scale=()), {"scale": np.array(np.nan)}, seed=None)
    assert report.startswith("E0406 'scale' holds nan\n")


def test_one_slope_of_a_prelu_is_that_of_all_channels():
    slopes = Parameter("act.weight", (3,), "prelu")
    others = Parameter("fc.bias", (3,), "zeros")
    bound = bind({"act.weight": slopes}, {"act.weight": np.array([0.125])}, seed=None)
    assert bound.values["act.weight"].tolist() == [0.125] * 3
    (error,) = errors({"fc.bias": others}, {"fc.bias": np.array([0.125])}, seed=None)
    assert "fc.bias is [1], the network needs [3]" in error
