"""Options that some targets have, and what becomes of them for others."""

import numpy as np
import pytest

import cnndsl
from cnndsl.runtime.backend import all_options, backend, option_names
from cnndsl.runtime.options import CompileOptions


@pytest.mark.parametrize(
    ("line", "target", "option", "owner"),
    [
        ("compile --target onnx --mcpu foo", "onnx", "mcpu", "cpu"),
        ("compile --winograd off", "onnx", "winograd", "cpu, wasm"),
        ("compile --target cuda --tune 4", "cuda", "tune", "cpu"),
        ("bench --target reference --graph off", "reference", "graph", "cuda"),
        ("tune --target cpu --arch sm_80", "cpu", "arch", "cuda"),
        ("compare --targets reference,onnx --winograd auto", "onnx", "winograd", "cpu, wasm"),
    ],
)
def test_an_option_of_another_target_is_an_error(call, tmp_path, line, target, option, owner):
    result = call(*line.split(), "small.cnn")
    assert (result.code, result.out) == (2, "")
    assert f"error[E0614]: the target {target}" in result.err.replace("reference or ", "")
    assert f"{option!r}" in result.err
    assert f"has it: {owner}\n" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["small.cnn"]


def test_the_same_in_python(call):
    for options in ({"mcpu": "native"}, {"dtype": "float64"}, {"arch": "sm_90"}):
        with pytest.raises(cnndsl.CnnError, match="E0614"):
            cnndsl.compile("small.cnn", target="onnx", seed=0, **options)
    nothing = dict.fromkeys(("mcpu", "winograd", "tune", "batch", "threads"))
    assert cnndsl.compile("small.cnn", target="onnx", seed=0, **nothing).inputs[0].batch is None


def test_backends_declare_their_options():
    own = {name: targets for name, (_, targets) in all_options().items() if len(targets) < 5}
    assert own == {
        **{name: ["cpu"] for name in ("mcpu", "triple", "tune", "emit", "embed_weights")},
        "winograd": ["cpu", "wasm"],
        **{name: ["cuda"] for name in ("arch", "graph")},
        **{name: ["cpu", "onnx", "reference"] for name in ("dynamic", "static")},
        "opset": ["onnx"],
        "precision": ["cpu", "cuda", "onnx", "reference"],
        "dtype": ["reference", "torch"],
    }


def test_options_of_one_backend_from_those_of_any():
    asked = backend("cpu").options.of(CompileOptions(batch=3, metadata={"a": "b"}))
    assert (asked.batch, asked.metadata, asked.mcpu) == (3, {"a": "b"}, "native")
    assert backend("cpu").options.of(asked) is asked
    assert option_names(backend("cuda")) == [
        *("batch", "threads", "logits", "progress"),
        *("arch", "precision", "graph"),
    ]


def test_compare_gives_an_option_to_the_targets_that_have_it(call):
    assert call("compare", "small.cnn", "--winograd", "off", "--mcpu", "native").code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("inspect", "small.cnn", "--disable", "none"), "E0610"),
        (("inspect", "small.cnn", "--target", "none"), "E0605"),
        (("diff", "small.cnn", "small.cnn", "--disable", "none"), "E0610"),
        (("diff", "small.cnn", "small.cnn", "--target", "none"), "E0605"),
    ],
)
def test_passes_and_targets_are_checked_where_no_pass_runs(call, arguments, code):
    result = call(*arguments, "--output-format", "github")
    assert (result.code, result.out) == (2, "")
    assert f"{code}" in result.err
    assert result.err.startswith("::error")


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        ("onnx", {"threads": -1}, "threads is a whole number from 1 on, not -1"),
        ("onnx", {"threads": True}, "threads is a whole number from 1 on, not True"),
        ("reference", {"batch": 0}, "batch is a whole number from 1 on, not 0"),
        ("onnx", {"batch": 2.0}, "batch is a whole number from 1 on, not 2.0"),
        ("onnx", {"seed": -3}, "seed is a whole number from 0 on, not -3"),
        ("onnx", {"seed": "a"}, "seed is a whole number from 0 on, not 'a'"),
        ("cpu", {"winograd": "yes"}, "winograd is True or False, not 'yes'"),
        ("cuda", {"graph": 1}, "graph is True or False, not 1"),
        ("cpu", {"mcpu": 5}, "mcpu is a text, not 5"),
        ("onnx", {"dynamic": "height"},
         "dynamic is a list of batch, depth, height, width, length, not 'height'"),
        ("onnx", {"dynamic": ["up"]},
         "dynamic is a list of batch, depth, height, width, length, not 'up'"),
        ("onnx", {"dynamic": ["batch"], "batch": 2}, "the batch is 2, and it is dynamic"),
        ("onnx", {"dynamic": ["width"], "static": True}, "width cannot be dynamic and static"),
        ("cpu", {"tune": 1}, "tune is 0 or a whole number from 2 on, not 1"),
        ("cpu", {"emit": "rubbish"}, "emit is module or library, not 'rubbish'"),
        ("cpu", {"embed_weights": True}, "weights are embedded in libraries: emit is library then"),
        ("cpu", {"tune": -1}, "tune is a whole number from 0 on, not -1"),
    ],
)  # fmt: skip
def test_wrong_values_in_python(call, target, options, words):
    with pytest.raises(cnndsl.CnnError) as caught:
        cnndsl.compile("small.cnn", target, **{"seed": 0, **options})
    assert str(caught.value) == f"error[E0615]: {words}"


def test_whole_numbers_of_numpy(call):
    two = np.int64(2)
    module = cnndsl.compile("small.cnn", "cpu", seed=two, batch=two, threads=two)
    module.save("small.cnnmod")
    assert cnndsl.load("small.cnnmod", threads=two).inputs[0].batch == 2
    with pytest.raises(cnndsl.CnnError, match="E0615"):
        cnndsl.load("small.cnnmod", threads=-1)


@pytest.mark.parametrize("name", ["bacth", "metadata", "source"])
def test_an_unknown_keyword(call, name):
    with pytest.raises(TypeError, match=rf"compile\(\) has no option '{name}'; there are: weights"):
        cnndsl.compile("small.cnn", seed=0, **{name: None})


def test_one_variant_is_no_choice(call):
    result = call("compile", "small.cnn", "--seed", 0, "--target", "cpu", "--tune", 1)
    assert (result.code, "E0615" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("run small.cnnref --seed 0", "--seed"),
        ("run small.cnnref -O 2", "-O"),
        ("run small.cnnref --set classes=4 --output out.npy", "--set"),
        ("bench small.cnnref --target cpu", "--target"),
        ("bench small.cnnref --input-shape image=3x8x8", "--input-shape"),
        ("inspect small.cnnref --passes", "--passes"),
        ("inspect small.cnnref --depth 2", "--depth"),
        ("inspect small.cnnref --layers", "--layers"),
    ],
)
def test_an_artefact_has_no_options_of_the_compiler(call, tmp_path, line, option):
    assert call("compile", "small.cnn", "--seed", 0, "--target", "reference").code == 0
    result = call(*line.split())
    assert (result.code, result.out) == (2, "")
    assert f"small.cnnref is compiled; {option} is for networks" in result.err
    assert not (tmp_path / "out.npy").exists()


def test_threads_and_batch_of_an_artefact(call):
    assert call("compile", "small.cnn", "--seed", 0, "-o", "small.onnx").code == 0
    result = call("bench", "small.onnx", "--threads", 1, "--batch", 2, "--seconds", 0.1)
    assert result.code == 0
    assert "batch 2, threads 1" in result.out


@pytest.mark.parametrize("line", ["compile --target cpu --seed 0", "tune", "bench --target cuda"])
def test_batches_that_no_memory_holds_are_refused_at_once(call, line):
    result = call(*line.split(), "small.cnn", "--batch", 2**40)
    assert (result.code, result.out) == (2, "")
    assert "error[E0711]: not enough memory: the result of image has 844,424,930,131,968 bytes" in (
        result.err
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("bench --seconds nan", "'nan' is not a finite number"),
        ("bench --seconds inf", "'inf' is not a finite number"),
        ("compare --tolerance nan", "'nan' is not a finite number"),
        ("compile --min-snr=-inf", "'-inf' is not a finite number"),
        ("compare --targets onnx,onnx", "a target is given twice"),
    ],
)
def test_values_that_have_no_meaning(call, line, said):
    result = call(*line.split(), "small.cnn")
    assert (result.code, result.out) == (2, "")
    assert said in result.err
