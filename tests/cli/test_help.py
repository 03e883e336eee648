"""The help of every command, and options that are given twice."""

import re
import shlex

import click
import pytest

from cnndsl.cli.main import commands
from cnndsl.cli.verb import Verb


def every_command() -> dict[str, click.Command]:
    found = {}
    context = click.Context(commands)
    for name in commands.list_commands(context):
        verb = commands.get_command(context, name)
        if isinstance(verb, click.Group):
            found |= {f"{name} {part}": command for part, command in verb.commands.items()}
        else:
            found[name] = verb
    return found


COMMANDS = every_command()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_it_takes(call, name):
    command = COMMANDS[name]
    assert isinstance(command, Verb)
    shown = call(*name.split(), "--help").out
    for example in command.examples:
        assert f"\n  cnndsl {example}\n" in shown
        words = shlex.split(example.partition("<")[0].partition(">")[0])
        assert words[: len(name.split())] == name.split()
        command.make_context(name, words[len(name.split()) :])


def test_the_list_of_commands_cuts_nothing_off(call):
    assert "..." not in call("--help").out.partition("Commands:")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_narrow_help_breaks_no_number(call, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "200")
    numbers = re.findall(r"\d{3,}", call(*name.split(), "--help").out)
    for width in ("30", "40", "60"):
        monkeypatch.setenv("COLUMNS", width)
        assert re.findall(r"\d{3,}", call(*name.split(), "--help").out) == numbers


def test_help_shows_no_empty_default(call):
    assert all("[default: ]" not in call(*name.split(), "--help").out for name in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "small.cnn", "--seed", 0, "--seed", 1), "--seed is given twice"),
        (("run", "small.cnn", "--mean", "0", "--mean", "1"), "--mean is given twice"),
        (("compile", "small.cnn", "-o", "a.onnx", "--output=b.onnx"), "-o is given twice"),
        (("inspect", "small.cnn", "--set", "classes=1", "--set", "classes=2"), "--set classes is"),
        (("draw", "small.cnn", "--input-shape", "image=3x8x8", "--input-shape", "image=3x9x9"),
         "--input-shape image is given twice"),
        (("weights", "check", "small.cnn", "f", "--weights-map", "a", "--weights-map", "b"),
         "--weights-map is given twice"),
    ],
)  # fmt: skip
def test_no_value_replaces_another_silently(call, arguments, said):
    result = call(*arguments)
    assert (result.code, result.out) == (2, "")
    assert said in result.err


def test_what_may_be_given_again(call):
    result = call(
        "inspect", "small.cnn", "--json", "--json", "--set", "classes=3", "--passes", "--disable",
        "dead-code", "--disable", "dead-code", "--input-shape", "image=3x9x9",
    )  # fmt: skip
    assert result.code == 0, result.err
