import json
import xml.etree.ElementTree as ElementTree

import cnndsl
from cnndsl.memory import plan
from cnndsl.passes.pipeline import optimise


def test_totals_and_largest_tensors(call):
    result = call("inspect", "small.cnn", "--memory", "--training", "-O", "0")
    assert result.code == 0
    lines = [line.rsplit("  ", 1) for line in result.out.splitlines()]
    found = plan(optimise(cnndsl.parse("small.cnn").graph, 0)[0])
    assert ["planned arena", f"{found.arena_bytes:,} B"] in [
        [cell.strip() for cell in line] for line in lines
    ]
    assert "training keeps" in result.out
    assert "in place" in next(line for line in result.out.splitlines() if line.startswith("relu1"))


def test_json_and_picture(call, tmp_path):
    result = call("inspect", "small.cnn", "--memory", "--json", "--svg", "arena.svg", "--batch", 3)
    data = json.loads(result.out)
    assert data["name"] == "small"
    memory = data["memory"]
    assert memory["batch"] == 3
    assert memory["lower_bound_bytes"] <= memory["arena_bytes"] <= memory["sum_bytes"]
    assert memory["concat_copy_bytes"] == 0
    assert memory["in_place_bytes"] >= 0
    assert ElementTree.parse(tmp_path / "arena.svg").getroot().tag.endswith("svg")


def test_the_planned_stage_lists_all_steps(call):
    result = call("inspect", "small.cnn", "--stage", "planned", "--json", "-O", "0")
    steps = json.loads(result.out)["memory"]["schedule"]
    graph = cnndsl.parse("small.cnn").graph
    assert [step["name"] for step in steps] == [node.name for node in graph.nodes()]
    text = call("inspect", "small.cnn", "--stage", "planned", "-O", "0").out
    assert len(text.splitlines()) == 1 + len(steps)


def test_an_open_size_has_no_plan(call, tmp_path):
    (tmp_path / "open.cnn").write_text("network open { input x [3, H, W]\n conv(2, 3) }\n")
    result = call("inspect", "open.cnn", "--memory")
    assert result.code == 2
    assert "E0611" in result.err
    assert call("inspect", "open.cnn", "--memory", "--input-shape", "x=3x8x8").code == 0


def test_a_picture_needs_a_folder(call):
    result = call("inspect", "small.cnn", "--svg", "missing/arena.svg")
    assert (result.code, "E0602" in result.err) == (2, True)
