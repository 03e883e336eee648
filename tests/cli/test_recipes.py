"""Recipes on the command line, as far as that needs no PyTorch."""

import json

import pytest

from cnndsl.recipes.registry import ITEMS


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--optimiser", "sdg(0.1)"), "unknown item 'sdg' of a recipe"),
        (("--optimiser", "cosine"), "cosine is no optimiser"),
        (("--optimiser", "sgd(rat=0.1)"), "did you mean 'rate'?"),
        (("--optimiser", "sgd(0.1"), "the '(' at line 1"),
        (("--momentum", 0.5), "adamw has no argument 'momentum'"),
        (("--rate", -1), "rate takes a number over 0, not -1"),
        (("--batch", ""), "--batch is empty"),
        (("--batch", 0), "samples takes a whole number from 1"),
        (("--without", "flp"), "the recipe has no 'flp'"),
        (("--with", 'gaussian(at="D7")'), "no layer with weights has the path 'D7'"),
        (("--with", 'output_weight("outputs", 1)'), "did you mean 'output'?"),
        (("--recipe", "dcgan_generator"), "dcgan_generator has no recipe"),
    ],
)
def test_wrong_options_are_told(call, options, said):
    result = call("train", "lenet5", "--data", "digits", *options)
    assert result.code == 2
    assert said in result.err


def test_inspect_shows_the_recipe(call):
    assert "uniform(2.4, per_fan=true)  lenet.cnn:28" in call("inspect", "lenet5").out
    found = json.loads(call("inspect", "lenet5", "--json").out)["recipe"]
    assert {"slot": "length", "item": "epochs", "count": 20}.items() <= found[2].items()


def test_items_are_listed_and_explained(call):
    rows = json.loads(call("list", "recipes", "--json").out)
    assert [row["name"] for row in rows] == list(ITEMS)
    assert "In recipes, optimiser: velocity(rate=0.01" in call("explain", "velocity").out
    both = call("explain", "constant").out
    assert both.startswith("constant(values)")
    assert "In recipes, schedule: constant" in both
