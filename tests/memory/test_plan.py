"""What shares memory and what must not, in small networks; plans that are wrong are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import pytest

import cnndsl
from cnndsl.drawing.arena import arena_svg
from cnndsl.ir.graph import Graph
from cnndsl.ir.operators import Identity
from cnndsl.memory import Options, Plan, PlanError, Use, plan, validate
from cnndsl.memory.model import Buffer, Place
from tests.memory.replay import used

DEFAULT = Options()
BLOCKED = Options(channel_block=4, sample_bytes=lambda n: -(-n.type.channels // 4) * 1024)
DENSE = "conv(4, 3) -> concat { identity | conv(2, 3) } -> concat { identity | conv(2, 3) }"


def network(body: str) -> Graph:
    return cnndsl.parse(f"network tested {{ input x [4, 8, 8]\n{body} }}").graph


def planned(body: str, options: Options = DEFAULT) -> Plan:
    graph = network(body)
    found = plan(graph, options)
    validate(graph, found, options)
    return found


def test_elementwise_operators_write_over_operands_that_die() -> None:
    found = planned("conv(4, 3) -> bn -> relu -> add { conv(4, 1) | identity } -> conv(2, 3)")
    assert used(found, Use.OVER).keys() == {"bn1", "relu1", "add1"}


def test_only_what_lies_alike_is_overwritten() -> None:
    """Of two operands of a join the one with its layout; a chain up to where the layout changes."""
    join = "let a = conv(4, 3)\n let b = conv(4, 1)\n add { a | b } -> conv(2, 3)"
    other = Options(layout=lambda n: n.name == "conv1")
    assert used(planned(join), Use.OVER) == {"add1": (0,)}
    assert used(planned(join, other), Use.OVER) == {"add1": (1,)}
    chain = "conv(4, 3) -> bn -> relu -> sigmoid -> conv(2, 3)"
    halos = Options(layout=lambda n: n.name in ("relu1", "sigmoid1"))
    assert used(planned(chain, halos), Use.OVER).keys() == {"bn1", "sigmoid1"}


def test_only_what_lies_alike_is_a_view() -> None:
    graph = network("conv(4, 3)")
    graph.outputs = {"out": graph.add("same", Identity(), [graph["conv1"]]).name}
    other = Options(layout=lambda n: n.name)
    assert used(plan(graph), Use.VIEW).keys() == {"same"}
    assert not used(plan(graph, other), Use.VIEW)
    validate(graph, plan(graph, other), other)
    unlike = planned(DENSE, Options(layout=lambda n: n.name == "conv2"))
    assert used(unlike, Use.APPEND).keys() == {"concat1"}


@pytest.mark.parametrize(
    "body",
    [
        "conv(4, 3) -> add { sigmoid | conv(4, 3) | identity }",
        "conv(4, 3)\n output early = identity\n sigmoid -> conv(2, 3)",
        "conv(4, 3) -> concat { identity | sigmoid }",
    ],
)
def test_what_is_still_needed_is_not_overwritten(body: str) -> None:
    assert "sigmoid1" not in used(planned(body), Use.OVER)


def test_a_vector_is_not_overwritten_by_a_map() -> None:
    found = planned("let s = global_avgpool -> sigmoid\n mul { conv(4, 3) | s }")
    assert used(found, Use.OVER) == {"sigmoid1": (0,), "mul1": (0,)}


def test_chained_concats_share_one_buffer() -> None:
    found = planned(DENSE)
    assert used(found, Use.VIEW).keys() == {"concat1", "concat2"}
    buffers = {found.places[name].buffer for name in ("conv1", "conv2", "conv3", "concat2")}
    assert [buffer.size for buffer in buffers] == [4 * 8 * 64]
    assert found.address("conv3") - found.address("concat2") == 4 * 6 * 64
    assert planned(DENSE, Options(in_place_concat=False)).concat_copy_bytes == 4 * (6 + 8) * 64


def test_a_value_twice_in_a_concat_is_copied_once() -> None:
    found = planned("conv(4, 3) -> concat { identity | identity } -> conv(2, 3)")
    assert used(found, Use.FILL) == {"concat1": (1,)}
    assert found.concat_copy_bytes == 4 * 4 * 64


def test_a_value_in_two_concats_is_copied_into_the_second() -> None:
    body = "let a = conv(4, 3)\n let b = concat { a | conv(2, 3) }\n concat { conv(1, 3) | a }"
    found = planned(f"{body} -> concat {{ identity | b }}")
    assert found.concat_copy_bytes > 0


def test_samples_of_a_slice_lie_as_far_apart_as_those_of_the_whole() -> None:
    found = planned(DENSE, Options(batch=3))
    assert found.concat_copy_bytes == 0
    assert found.sample_stride("conv2") == found.places["concat2"].size


def test_layouts_in_blocks_of_channels() -> None:
    """Slices that begin inside a block are copied, and only they."""
    assert planned(DENSE.replace("(2, 3)", "(4, 3)"), BLOCKED).concat_copy_bytes == 0
    found = planned(DENSE, BLOCKED)
    assert (used(found, Use.VIEW), used(found, Use.APPEND)) == ({"concat1": ()}, {"concat2": (1,)})
    assert found.concat_copy_bytes == 1024


def test_slices_that_end_inside_a_block_are_views() -> None:
    """Of 6 channels in blocks of 4 those from 0 or 4 on; what is written over nothing else has."""
    body = "let a = conv(6, 3)\nadd { a -> slice(0, 2) | a -> slice(4, 6) } -> relu -> conv(2, 3)"
    found = planned(body, BLOCKED)
    assert used(found, Use.VIEW).keys() == {"slice1", "slice2"}
    assert found.address("slice2") - found.address("conv1") == 1024
    assert used(found, Use.OVER) == {"add1": (0,), "relu1": (0,)}
    needed = planned(f"{body} -> add {{ identity | a -> slice(0, 2) }}", BLOCKED)
    assert "add1" not in used(needed, Use.OVER)
    assert "slice3" not in used(planned(body.replace("4, 6", "3, 5"), BLOCKED), Use.VIEW)


def test_a_concat_begins_with_an_operand_that_ends_inside_a_block() -> None:
    """Of 3, 6 and 9 channels: the last block of the first operand is written again."""
    body = "conv(3, 3) -> concat { identity | conv(3, 3) } -> concat { identity | conv(3, 3) }"
    found = planned(body, BLOCKED)
    assert used(found, Use.APPEND) == {"concat1": (1,), "concat2": (1,)}
    grown = [found.places[name] for name in ("conv1", "concat1", "concat2")]
    assert {(place.buffer.name, place.offset) for place in grown} == {("conv1", 0)}
    assert [place.size for place in grown] == [1024, 2048, 3072]
    assert found.concat_copy_bytes == 2 * 1024 + 2 * 1024


def test_a_concat_leaves_the_channels_of_its_first_operand_as_they_are() -> None:
    body = "let a = conv(3, 3)\nconcat { a | conv(3, 3) } -> conv(3, 3) -> add { identity | a }"
    found = planned(body, BLOCKED)
    assert used(found, Use.APPEND) == {"concat1": (1,)}
    assert found.address("concat1") == found.address("conv1")


TWICE = "let a = conv(3, 3)\nlet b = concat { a | conv(3, 3) }\nconcat { a | conv(4, 3) }"


def test_two_concats_do_not_fill_the_same_lanes() -> None:
    found = planned(f"{TWICE} -> concat {{ identity | b }}", BLOCKED)
    assert used(found, Use.APPEND).keys() == {"concat1", "concat3"}


@pytest.mark.parametrize(
    "body",
    [
        "let a = conv(3, 3)\nconcat { a | a }",
        "let a = conv(3, 3)\nlet b = a -> identity\nconcat { a | b }",
    ],
)
def test_a_block_that_is_still_needed_is_not_written_again(body: str) -> None:
    assert not used(planned(body, BLOCKED), Use.APPEND)


def test_other_channels_in_a_block_that_is_still_needed_are_found() -> None:
    graph = network(f"{TWICE} -> concat {{ identity | b }}")
    found = plan(graph, BLOCKED)
    buffer = Buffer("all", 0, 4096 * len(found.schedule), 0, len(found.schedule))
    places = {
        name: Place(buffer, 4096 * index, found.places[name].size)
        for index, name in enumerate(found.schedule)
    }
    for name in ("concat1", "concat2"):
        places[name] = replace(places["conv1"], size=2048, use=Use.APPEND, operands=(1,))
    places["concat3"] = replace(places["concat3"], operands=(0, 1), use=Use.FILL)
    wrong = replace(found, places=places, buffers=(), regions=())
    with pytest.raises(PlanError, match="concat1 is damaged when concat3 reads it"):
        validate(graph, wrong, BLOCKED)


def test_slices_and_flatten_are_views() -> None:
    found = planned("conv(6, 3) -> slice(2, 5) -> flatten -> fc(3)")
    assert used(found, Use.VIEW).keys() == {"slice1", "flatten1"}
    assert found.address("flatten1") - found.address("conv1") == 4 * 2 * 64


def overlapping(found: Plan) -> Plan:
    """All buffers at the start of the arena."""
    moved = {b: replace(b, offset=0) for b in found.buffers}
    places = {n: replace(p, buffer=moved[p.buffer]) for n, p in found.places.items()}
    regions = tuple(replace(r, buffer=moved[r.buffer]) for r in found.regions)
    return replace(found, buffers=tuple(moved.values()), places=places, regions=regions)


def without_regions(found: Plan) -> Plan:
    return replace(overlapping(found), regions=())


def backwards(found: Plan) -> Plan:
    return replace(found, schedule=found.schedule[::-1])


def displaced(found: Plan) -> Plan:
    """A slice of a concat a few bytes further on."""
    place = found.places["conv3"]
    return replace(
        found, places={**found.places, "conv3": replace(place, offset=place.offset - 256)}
    )


def too_small(found: Plan) -> Plan:
    return replace(found, arena_bytes=found.arena_bytes - 1)


@pytest.mark.parametrize("fault", [overlapping, without_regions, backwards, displaced, too_small])
def test_wrong_plans_are_found(fault: Callable[[Plan], Plan]) -> None:
    graph = network(f"{DENSE} -> conv(2, 3) -> relu -> conv(3, 3)")
    found = plan(graph)
    validate(graph, found)
    with pytest.raises(PlanError):
        validate(graph, fault(found))


def test_overwriting_a_value_that_is_needed_is_found() -> None:
    graph = network("conv(4, 3) -> add { sigmoid | identity }")
    found = plan(graph)
    places = {**found.places, "sigmoid1": found.places["conv1"]}
    with pytest.raises(PlanError, match="conv1 is damaged when add1 reads it"):
        validate(graph, replace(found, places=places, regions=()))


@pytest.mark.parametrize("body", ["conv(4, 3) -> relu -> conv(2, 3)", DENSE])
def test_another_layout_in_one_place_is_found(body: str) -> None:
    graph = network(body)
    with pytest.raises(PlanError, match=r"writes over its operand|has another layout"):
        validate(graph, plan(graph), Options(layout=lambda node: node.name))


def test_the_picture_shows_every_region() -> None:
    graph = network(DENSE)
    found = plan(graph)
    picture = ElementTree.fromstring(arena_svg(graph, found))
    titles = [element.text or "" for element in picture.iter("{http://www.w3.org/2000/svg}title")]
    for region in found.regions:
        assert any(title.startswith(f"{region.node}: ") for title in titles)
    assert arena_svg(graph, found) == arena_svg(network(DENSE), plan(network(DENSE)))
