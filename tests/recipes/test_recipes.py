"""Recipes: what texts say of them, what networks they suit, rates, first weights."""

import math

import numpy as np
import pytest

import cnndsl
from cnndsl.ir.attributes import attribute_kinds
from cnndsl.language.recipes import read_item
from cnndsl.recipes.course import Batch, Epochs, Steps
from cnndsl.recipes.fitting import targets
from cnndsl.recipes.initialisers import Bias, Fill, Gaussian, He, Pretrained, Uniform, Xavier
from cnndsl.recipes.losses import CrossEntropy
from cnndsl.recipes.optimisers import Nesterov, Sgd
from cnndsl.recipes.recipe import DEFAULTS, Recipe
from cnndsl.recipes.registry import ITEMS, SLOTS
from cnndsl.recipes.schedules import (
    Constant,
    Cosine,
    Exponential,
    Plateau,
    Polynomial,
    Step,
    Warmup,
)
from cnndsl.train.initial import initial_weights
from cnndsl.weights.files import save_safetensors

NETWORK = """
network small(classes=10) {
    input image [3, 32, 32]
    stem: conv(8, 3) -> bn -> relu
    body: repeat 2 { conv(16, 3, groups=4) }
    global_avgpool -> head: fc(classes)
    auxiliary side(weight=0.3) = fc(classes)
}
"""
NAMED = "network named = small(4)\n"


def recipe_of(items):
    return cnndsl.parse(f"{NETWORK}recipe small {{\n{items}\n}}\n").recipe


def test_items_are_what_the_text_says():
    found = recipe_of("nesterov(0.1, decay=1e-4)\nstep(at=[2, 3])\nhe(of=[conv, fc])\nbatch(2 * 8)")
    items = [entry.item for entry in found.entries]
    assert items == [
        Nesterov(0.1, decay=1e-4), Step(at=(2.0, 3.0)), He(of=("conv", "fc")), Batch(16),
    ]  # fmt: skip
    assert [entry.origin for entry in found.entries] == [f"<text>:{n}" for n in range(10, 14)]


@pytest.mark.parametrize("name", ITEMS)
def test_every_item_is_read_as_it_is_written(name):
    kind = ITEMS[name]
    examples = {"a path": "a*", "an operator": ["conv"], "a text": "name", "one of": None}
    values = {}
    for argument, takes in attribute_kinds(kind).items():
        text = next((v for k, v in examples.items() if takes.says.startswith(k)), 1)
        values[argument] = takes.words[-1] if takes.words else text
        if takes.says == "true or false":
            values[argument] = True
        if takes.says.startswith("a number from 0, below"):
            values[argument] = 0.25
    item = kind(**{n: attribute_kinds(kind)[n].convert(v) for n, v in values.items()})
    assert read_item(item.text(), "--with") == item
    assert item.slot in SLOTS
    assert (kind.__doc__ or "").strip()


def test_a_recipe_is_that_of_the_name_or_of_the_network_that_is_called(tmp_path):
    text = f"{NETWORK}{NAMED}recipe small {{ batch(4) }}\n"
    (tmp_path / "a.cnn").write_text(text)
    assert cnndsl.parse(f"{tmp_path}/a.cnn:named").recipe.batch == 4
    (tmp_path / "a.cnn").write_text(f"{text}recipe named {{ batch(5) }}\n")
    assert cnndsl.parse(f"{tmp_path}/a.cnn:named").recipe.batch == 5
    imported = 'import small, named from "a.cnn"\n'
    own = "network c = small(3)\nrecipe small { batch(6) }\n"
    (tmp_path / "b.cnn").write_text(imported + own)
    batches = [cnndsl.parse(f"{tmp_path}/b.cnn:{name}").recipe.batch for name in ("c", "named")]
    assert batches == [6, 5]
    assert cnndsl.parse(NETWORK).recipe is None


def test_what_is_not_said_holds_by_default():
    found = recipe_of("sgd(0.1)")
    assert {entry.item.slot for entry in found.whole()} == {item.slot for item in DEFAULTS}
    assert (found.optimiser, found.schedule, found.batch) == (Sgd(0.1), Cosine(), 32)
    assert (found.loss, found.clip, found.average, found.precision) == (None, None, None, "f32")


def test_other_items_take_the_place_of_those_of_their_slot():
    first = Recipe.of(Sgd(), He(), CrossEntropy(0.1))
    changed = first.changed([Nesterov(0.5)], "--optimiser").added(Gaussian(), "--with")
    assert [entry.item for entry in changed.entries] == [
        He(), CrossEntropy(0.1), Nesterov(0.5), Gaussian(),
    ]  # fmt: skip
    assert changed.added(Batch(8), "--with").added(Batch(9), "--with").batch == 9


@pytest.mark.parametrize(
    ("schedule", "factor"),
    [
        (Constant(), lambda e: 1),
        (Step(0.5, every=2), lambda e: 0.5 ** (e // 2)),
        (Step(), lambda e: 1),
        (Step(0.1, at=(1.5, 3)), lambda e: 0.1 ** ((e >= 1.5) + (e >= 3))),
        (Step(0.1, at_steps=(3, 10)), lambda e: 0.1 ** ((4 * e >= 3) + (4 * e >= 10))),
        (Exponential(0.9, every=2), lambda e: 0.9 ** (e / 2)),
        (Cosine(0.1), lambda e: 0.1 + 0.9 * (1 + math.cos(math.pi * e / 5)) / 2),
        (Polynomial(2), lambda e: (1 - e / 5) ** 2),
    ],
)
def test_rates(schedule, factor):
    recipe = Recipe.of(schedule, Sgd(0.2), Epochs(5))
    for step in range(20):
        assert recipe.rate_at(step, 4) == pytest.approx(0.2 * factor(step / 4), rel=1e-12)


def test_a_rate_that_grows_beyond_all_numbers_is_infinite():
    recipe = Recipe.of(Step(1e30, every=0.01), Sgd(0.2), Epochs(5))
    assert recipe.rate_at(19, 4) == math.inf


def test_warmup_grows_to_the_rate_and_moves_the_end_of_the_wave():
    recipe = Recipe.of(Warmup(2, start=0.2), Cosine(), Sgd(1.0), Epochs(6))
    rates = [recipe.rate_at(step, 5) for step in range(30)]
    assert rates[:9] == pytest.approx([0.2 + 0.08 * (n + 1) for n in range(9)])
    wave = [(1 + math.cos(math.pi * (n / 5 - 2) / 4)) / 2 for n in range(9, 30)]
    assert rates[10:] == pytest.approx(wave[1:])


def test_a_plateau_is_waited_for():
    recipe = Recipe.of(Plateau(0.1, patience=2), Sgd(1.0))
    errors = [0.5, 0.4, 0.4, 0.41, 0.3, 0.3, 0.3, 0.3, 0.3]
    rates = [recipe.rate_at(0, 1, errors[:done]) for done in range(10)]
    falls = [round(-math.log10(rate)) for rate in rates]
    assert falls == [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]


def test_steps_are_whole_epochs():
    assert Recipe.of(Steps(64000)).epochs(391) == 164
    assert Recipe.of(Epochs(3)).epochs(391) == 3


def test_first_weights():
    graph = cnndsl.parse(NETWORK).graph
    fan_in, groups = 3 * 9, 16 * 9
    cases = {
        "stem.conv1.weight": [
            (He(), math.sqrt(2 / fan_in)),
            (He(fan="fan_out"), math.sqrt(2 / (8 * 9))),
            (He(shape="uniform"), math.sqrt(2 / fan_in)),
            (Gaussian(0.5, mean=2), 0.5),
            (Uniform(3.0, per_fan=True), 3 / fan_in / math.sqrt(3)),
            (Uniform(0.2), 0.2 / math.sqrt(3)),
        ],
        "body.1.weight": [
            (He(), math.sqrt(2 / (4 * 9))),
            (Xavier(), math.sqrt(2 / (4 * 9 + groups))),
            (Xavier(shape="normal"), math.sqrt(2 / (4 * 9 + groups))),
            (Gaussian(1.0, truncated=True), 0.8796256610342398),
        ],
    }
    for name, wanted in cases.items():
        for item, deviation in wanted:
            arrays = [initial_weights(graph, Recipe.of(item), seed)[name] for seed in range(10)]
            assert np.std(arrays) == pytest.approx(deviation, rel=0.05)
            assert np.mean(arrays) == pytest.approx(getattr(item, "mean", 0), abs=deviation / 10)
            assert len({array.tobytes() for array in arrays}) == 10


def test_initialisers_name_what_they_are_for(tmp_path):
    graph = cnndsl.parse(NETWORK).graph
    convolutions = {"stem.conv1.weight", "body.0.weight", "body.1.weight"}
    layers = {"head.weight", "side.fc1.weight"}
    assert set(targets(He(), graph)) == convolutions | layers
    assert set(targets(He(of=("conv",)), graph)) == convolutions
    assert set(targets(Gaussian(at=("*1", "head")), graph)) == {
        "stem.conv1.weight", "stem.bn1.weight", "body.1.weight", "head.weight", "side.fc1.weight",
    }  # fmt: skip
    assert set(targets(Fill(of=("bn",)), graph)) == {"stem.bn1.weight"}
    assert set(targets(Bias(), graph)) == {
        n.replace("weight", "bias") for n in convolutions | layers
    }
    shallow = {"head.weight": np.ones((10, 16)), "body.1.weight": np.ones((16, 4, 1, 1))}
    save_safetensors(tmp_path / "a.safetensors", {n: a.astype("f4") for n, a in shallow.items()})
    items = Gaussian(), Pretrained(str(tmp_path / "a.safetensors")), Bias(0.5, at=("head",))
    arrays = initial_weights(graph, Recipe.of(*items), 0)
    assert (arrays["head.weight"] == 1).all()
    assert arrays["body.1.weight"].std() == pytest.approx(0.01, rel=0.2)
    assert (arrays["head.bias"] == 0.5).all()
    elsewhere = Recipe.of(Pretrained(items[1].file, at=("stem*",)))
    with pytest.raises(cnndsl.CnnError, match="no weight of the network"):
        initial_weights(graph, elsewhere, 0)


def test_a_table_has_no_fan_out():
    graph = cnndsl.parse("lenet5_paper").graph
    initial_weights(graph, Recipe.of(He()), 0)
    with pytest.raises(cnndsl.CnnError, match="no fan out"):
        initial_weights(graph, Recipe.of(Xavier()), 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sdg", "unknown item 'sdg'"),
        ("sgd(0.1", "unexpected|ends here"),
        ("sgd(rat=1)", "no parameter 'rat'"),
        ("sgd(-1)", "rate takes a number over 0"),
        ("conv(3)(4)", "no item of a recipe"),
        ("batch(channels)", "no value yet"),
        ("[1]", "no item of a recipe"),
        ("cosine(2)", "last takes a number from 0 to 1"),
        ("warmup(2, start=2)", "start takes a number from 0 to 1"),
        ("random_resized_crop(area=2)", "area takes a number over 0, at most 1"),
        ("random_resized_crop([0.5, 1.5])", "area takes a number over 0, at most 1"),
    ],
)
def test_wrong_items_of_options(text, message):
    with pytest.raises(cnndsl.CnnError, match=message):
        read_item(text, "--with")
