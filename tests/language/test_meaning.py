"""What statements mean: values at hand, lets, defaults, blocks, inputs and outputs."""

from __future__ import annotations

import re

import pytest

import cnndsl
from tests.language.support import findings, graph, network, nodes, shapes, value


def test_sizes_are_those_of_the_value_that_the_chain_starts_from() -> None:
    assert shapes("conv(4, 3) -> conv(channels, 3)") == ["4x8x8", "3x8x8"]
    assert shapes("conv(4, 3)\n conv(channels, 3)") == ["4x8x8", "4x8x8"]
    assert shapes("maxpool(2)\n avgpool(height // 2)") == ["3x4x4", "3x2x2"]
    assert shapes("fc(width)", shape="[3, 5, 7]") == ["7"]
    assert shapes("fc(100 * depth + 10 * height + width)", shape="[1, 2, 3, 4]") == ["234"]
    assert shapes("fc(length)", shape="[3, 50]") == ["50"]


def test_a_branch_and_a_block_see_the_value_that_they_start_from() -> None:
    squeeze = (
        "block se(ratio) { mul { identity | global_avgpool -> fc(channels // ratio)\n fc(12) } }"
    )
    assert shapes("conv(12, 1)\n se(4)", squeeze) == ["12x8x8", "12", "3", "12", "12x8x8"]


def test_a_let_keeps_a_value_and_leaves_the_one_at_hand() -> None:
    found = graph("let side = conv(4, 3) -> relu\n conv(5, 3) -> concat { side | identity }")
    assert [n.name for n in found.producers(found["conv2"])] == ["x"]
    assert [n.name for n in found.producers(found["concat1"])] == ["relu1", "conv2"]
    assert str(found["concat1"].type) == "9x8x8"


def test_a_kept_value_starts_a_chain_anew() -> None:
    found = graph("let a = conv(4, 3)\n conv(5, 3)\n a -> relu\n add { identity | a }")
    assert [n.name for n in found.producers(found["relu1"])] == ["conv1"]


def test_lets_of_numbers_lists_and_texts() -> None:
    assert value("widths[1] * n", "let widths = [2, 3]\n let n = 4") == 12
    assert shapes('let mode = "valid"\n conv(4, 3, pad=mode)') == ["4x6x6"]


def test_an_assignment_changes_the_name_from_outside_and_leaves_the_value_at_hand() -> None:
    body = """let total = scale(0)
        let k = 1
        for _round in range(3) { total = add { total | conv(3, k) }
            k = k + 2
            if k == 5 { tanh } }
        concat { total | identity }"""
    found = graph(body)
    kernels = [n.op.kernel[0] for n in found.nodes() if n.name.startswith("conv")]  # type: ignore[attr-defined]
    assert kernels == [1, 3, 5]
    producers = {n.name: [p.name for p in found.producers(n)] for n in found.nodes()}
    assert producers["add1"] == ["scale1", "conv1"]
    assert producers["add3"] == ["add2", "conv3"]
    assert producers["conv3"] == ["tanh1"]
    assert producers["concat1"] == ["add3", "tanh1"]


def test_an_assignment_in_a_block_is_that_instance_s_own() -> None:
    before = "block wide(width) { width = 2 * width\n conv(width, 1) }"
    assert shapes("let width = 3\n wide(width) -> wide(width)\n conv(width, 1)", before) == [
        "6x8x8",
        "6x8x8",
        "3x8x8",
    ]


def test_several_names_take_the_items_of_a_list() -> None:
    body = "let a, b = [relu, 4]\n a -> conv(b, 3)\n a, b = [tanh, b + 1]\n a -> conv(b, 3)"
    assert shapes(body) == ["3x8x8", "4x8x8", "4x8x8", "5x8x8"]
    assert findings("let a, b = [1, 2, 3]\n conv(a, b)") == ["E0223"]


def test_names_end_with_their_braces() -> None:
    assert findings("if true { let n = 4\n conv(n, 3) }\n conv(n, 3)") == ["E0201"]
    assert findings("let n = 4\n if true { let n = 5\n conv(n, 3) }\n conv(n, 1)") == []


def test_defaults_hold_for_what_is_written_below_them_and_not_for_called_blocks() -> None:
    before = "block unit { conv(4, 3) }\ndefaults conv(bias=false)"
    body = "conv(4, 3) -> { defaults conv(stride=2)\n conv(4, 3) } -> conv(4, 3, bias=true) -> unit"
    found = graph(body, before)
    parameters = set(found.parameters())
    assert "conv1.bias" not in parameters
    assert "conv2.bias" not in parameters
    assert {"conv3.bias", "unit1.conv1.bias"} <= parameters
    assert [str(n.type) for n in found.nodes()][1:] == ["4x8x8", "4x4x4", "4x4x4", "4x4x4"]


def test_defaults_of_a_block_fill_its_parameters_by_name() -> None:
    before = "block unit(width=2, kernel=1) { conv(width, kernel, pad=valid) }"
    assert shapes("defaults unit(kernel=3)\n unit(5)\n unit(kernel=5)", before) == [
        "5x6x6",
        "2x2x2",
    ]


def test_a_recipe_passed_as_a_parameter_takes_more_arguments_when_it_is_called() -> None:
    before = """
        block both(unit) { unit(4) -> unit(5) }
        block wide(width, kernel=3) { conv(width, kernel) }
    """
    assert shapes("both(conv(kernel=[1, 3], pad=valid))", before) == ["4x8x6", "5x8x4"]
    found = graph("both(wide(kernel=1))", before)
    assert found.parameters()["both1.wide1.conv1.weight"].shape == (4, 3, 1, 1)


def test_operators_and_blocks_compare_by_what_they_are() -> None:
    before = "block u(after) { if after == identity { relu } else { tanh } }"
    assert nodes("u(identity) -> u(bn)", before) == ["u1.relu1", "u2.tanh1"]


def test_loops_go_over_lists_and_take_lists_apart() -> None:
    assert shapes("for n in [4, 5] { conv(n, 1) }") == ["4x8x8", "5x8x8"]
    body = "for i, [n, k] in enumerate([[4, 1]]) { relu }"
    assert "E0103" in {f.code for f in cnndsl.check(network(body))}
    assert shapes("for n, k in zip([4, 5], [1, 3]) { conv(n, k, pad=valid) }") == ["4x8x8", "5x6x6"]
    assert nodes("repeat 0 { relu }\n tanh") == ["tanh1"]


def test_an_empty_branch_is_the_identity() -> None:
    found = graph("add { conv(3, 3) | }")
    assert [n.name for n in found.producers(found["add1"])] == ["conv1", "x"]


BRANCHES = [
    "concat { relu | conv(3 + r, r) for r in [1, 3] }",
    "concat { relu | conv(3 + r, r) for r in [1, 2, 3] if r != 2 }",
    "let made = [conv(3 + r, r) -> identity for r in [1, 3]]\n concat { relu | made }",
    "let a = [relu -> identity, conv(4, 1) -> identity, conv(6, 3) -> identity]\n concat { a }",
    "concat { for r in [0, 1, 3] { if r == 0 { relu } else { conv(r + 3, r) } } }",
    "for r in [1] { concat { relu | side(r) } }",
]
SIDE = "block side(r) { return conv(3 + r, r), conv(5 + r, 3) }"


@pytest.mark.parametrize("body", BRANCHES)
def test_branches_made_by_loops_lists_and_blocks_with_several_results(body: str) -> None:
    found = graph(body, SIDE)
    producers = found.producers(found["concat1"])
    assert [p.type.channels for p in producers] == [3, 4, 6]
    assert all([q.name for q in found.producers(p)] == ["x"] for p in producers)


def test_a_loop_that_makes_one_branch_makes_no_join() -> None:
    assert nodes("add { relu for i in range(1) }\n tanh") == ["relu1", "tanh1"]
    assert nodes("add { identity | relu for i in [] }\n tanh") == ["tanh1"]


def test_rounds_of_a_labelled_loop_of_branches_are_its_parts() -> None:
    body = "concat { rate: for r in [1, 2] { conv(4, 3, dilation=r) -> relu } }"
    assert nodes(body)[::2] == ["rate.0.conv1", "rate.1.conv1", "concat1"]
    assert nodes("concat { rate{r}: relu for r in [1, 2] }") == ["rate1", "rate2", "concat1"]


def test_branches_of_a_loop_carry_values_too() -> None:
    body = "let n = 0\n concat { for r in [1, 2] { n = n + r\n conv(n, 1) } }"
    assert shapes(body) == ["1x8x8", "3x8x8", "4x8x8"]


def test_lists_of_numbers_are_made_in_rounds() -> None:
    assert (
        value("sum([a * b for a, b in [[1, 2], [3, 4]] if a > 1]) + len([0 for i in range(5)])")
        == 17
    )


def test_blocks_leave_several_values() -> None:
    before = """block two(x) { x -> conv(4, 3)
            return relu, tanh -> maxpool(2) }
        block again(xs) { return xs }"""
    body = "let a, b = two(x)\n let all = again([a, b])\n all[1] -> scale(len(all))\n"
    found = graph(f"{body} output up, down = two(all[0])\n output low = b", before)
    assert found.outputs == {"up": "two2.relu1", "down": "two2.maxpool1", "low": "two1.maxpool1"}
    assert [p.name for p in found.producers(found["scale1"])] == ["two1.maxpool1"]


def test_outputs_are_read_by_their_names_unless_these_mean_something_else() -> None:
    found = graph("output a = conv(4, 3)\n output relu = relu\n a -> relu\n output c = relu")
    assert found.outputs == {"a": "conv1", "relu": "relu1", "c": "relu3"}
    assert [p.name for p in found.producers(found["relu2"])] == ["conv1"]
    kept = graph("let a = tanh\n output a = a -> conv(4, 3)\n a -> relu\n output b = identity")
    assert [p.name for p in kept.producers(kept["relu1"])] == ["tanh1"]


def test_outputs_in_loops_have_values_in_their_names() -> None:
    body = 'for n in ["a", "b"] { for i in range(2) { output {n}{i+1}_x = conv(i + 1, 1) } }'
    assert list(graph(body).outputs) == ["a1_x", "a2_x", "b1_x", "b2_x"]


def test_the_last_value_is_the_output_unless_outputs_are_named() -> None:
    assert graph("conv(4, 3) -> relu").outputs == {"output": "relu1"}
    named = graph("output maps = conv(4, 3)\n relu -> fc(2)\n output classes = identity")
    assert named.outputs == {"maps": "conv1", "classes": "fc1"}


def test_an_auxiliary_output_has_a_loss_weight_and_leaves_the_value_at_hand() -> None:
    found = graph("conv(4, 3)\n auxiliary head(weight=0.3) = global_avgpool -> fc(2)\n fc(5)")
    ((name, auxiliary),) = found.auxiliaries.items()
    assert (name, auxiliary.node, auxiliary.weight) == ("head", "head.fc1", 0.3)
    assert [n.name for n in found.producers(found["fc1"])] == ["conv1"]


def test_several_inputs_and_outputs() -> None:
    found = cnndsl.parse(
        """network a {
            input l [3, 4]
            input r [3, 4]
            output both = add { l | r }
            output l2 = l -> relu
        }"""
    ).graph
    assert found.inputs == ["l", "r"]
    assert found.outputs == {"both": "add1", "l2": "relu1"}


def test_open_sizes_are_carried_along() -> None:
    found = shapes("conv(4, 3, stride=2) -> conv(5, 3, pad=valid)", shape="[3, H, W]")
    assert found[0] == "4 x ceil(H/2) x ceil(W/2)"
    sizes = {"H": 9, "W": 12}
    last = graph("conv(4, 3, stride=2) -> conv(5, 3, pad=valid)", shape="[3, H, W]")["conv2"].type
    assert [d.evaluate(sizes) for d in last.spatial] == [3, 4]  # type: ignore[union-attr]


@pytest.mark.parametrize(("h", "w"), [(8, 8), (9, 12)])
def test_the_open_graph_is_the_same_network_for_any_size(h: int, w: int) -> None:
    body = "conv(4, 3, stride=2) -> bn -> relu -> maxpool(2) -> global_avgpool -> fc(5)"
    net = cnndsl.parse(network(body), input_shapes={"x": (3, h, w)})
    opened = net.open_graph()
    assert [n.name for n in opened.nodes()] == [n.name for n in net.graph.nodes()]
    assert opened.parameters() == net.graph.parameters()
    for node in net.graph.nodes():
        sizes = {"H": h, "W": w}
        spatial = opened[node.name].type.spatial
        assert node.type.spatial == tuple(
            d if isinstance(d, int) else d.evaluate(sizes) for d in spatial
        )


def test_multiples_go_through_strides_and_joins() -> None:
    down = "conv(8, 3, stride=2, pad=same_upper) -> maxpool(2)"
    body = f"concat {{ identity | {down} -> upsample(4) }} -> resize(size=[height/2, width*2])"
    found = shapes(body, shape="[3, 2**2*H, 4*W + 4]")
    assert found == ["8 x 2*H x (2*W + 2)", "8xHx(W + 1)", "8 x 4*H x (4*W + 4)",
                     "11 x 4*H x (4*W + 4)", "11 x 2*H x (8*W + 8)"]  # fmt: skip


def test_a_value_stands_for_its_size() -> None:
    body = "let fine = conv(5, 3)\nmaxpool(4) -> resize(size=fine) -> crop(size=x)"
    assert shapes(body, shape="[3, 8*H, 4*W]") == ["5 x 8*H x 4*W", "3 x 2*H x W"] + 2 * [
        "3 x 8*H x 4*W"
    ]
    assert shapes("conv(2, 3, stride=4) -> resize(size=x)", shape="[3, 9]") == ["2x3", "2x9"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("resize(size=v)", "size takes a value of that size.* not a value of 3$"),
        ("resize(size=[x, 4])", "size takes a value of that size.*"),
        ("conv(x, 3)", "filters takes a whole number from 1, not a value of 3x8x8$"),
        ("maxpool(x)", "kernel takes a whole number.* not a value of 3x8x8$"),
    ],
)
def test_a_value_stands_for_no_other_number(body: str, message: str) -> None:
    with pytest.raises(cnndsl.CnnError) as caught:
        cnndsl.parse(
            network(f"let v = global_avgpool -> flatten\n{body} -> add {{ identity | v }}")
        )
    (found,) = caught.value.diagnostics
    assert found.code == "E0309"
    assert re.search(message, found.message)


def test_a_condition_can_ask_for_the_rest_of_a_multiple() -> None:
    found = shapes("if height % 4 == 0 { maxpool(2) }", shape="[3, 8*H, W]")
    assert found == ["3 x 4*H x floor(W/2)"]


@pytest.mark.parametrize(
    ("size", "code"),
    [("-H", "E0220"), ("32*H - 32", "E0220"), ("0*H", "E0220"), ("H//2", "E0220"),
     ("H + W", "E0220"), ("H/2", "E0214"), ("H*W", "E0214"), ("2**H", "E0214"), ("2.5*H", "E0214"),
     ("max(H, 2)", "E0201"), ("not H", "E0201")],
)  # fmt: skip
def test_other_sizes_of_inputs_are_refused(size: str, code: str) -> None:
    with pytest.raises(cnndsl.CnnError, match=code):
        cnndsl.parse(network("conv(4, 3)", shape=f"[3, {size}, 8]"))


def test_a_shape_that_is_given_has_to_be_such_a_multiple() -> None:
    text = network("conv(4, 3)", shape="[3, 8*H, W]")
    assert str(cnndsl.parse(text, input_shapes={"x": (3, 16, 5)}).graph["x"].type) == "3x16x5"
    with pytest.raises(cnndsl.CnnError, match=r"E0220.*20 is given .* that is 8\*H"):
        cnndsl.parse(text, input_shapes={"x": (3, 20, 5)})


@pytest.mark.parametrize(
    ("size", "pad", "opened"), [(64, "same", "4*H"), (44, "valid", "4*H"), (46, "valid", "4*H + 2")]
)
def test_sizes_are_opened_as_the_multiples_that_serve(size: int, pad: str, opened: str) -> None:
    deep = f"maxpool(2) -> conv(3, 3, pad={pad}) -> maxpool(2) -> upsample(4)"
    body = (
        f"let fine = identity\n{deep}\nconcat {{ fine -> crop(size=[height, width]) | identity }}"
    )
    if pad == "same":
        body = f"concat {{ identity | {deep} }}"
    net = cnndsl.parse(network(body, shape=f"[3, {size}, {size}]"))
    assert str(net.open_graph(["height", "width"])["x"].type.spatial[0]) == opened


def test_a_network_of_one_size_has_no_open_graph() -> None:
    net = cnndsl.parse(network("conv(4, 3) -> fc(5)"))
    with pytest.raises(cnndsl.CnnError, match=r"E0617.*fc needs an input of known size"):
        net.open_graph()
    with pytest.raises(cnndsl.CnnError, match=r"E0617.*no input has a known length"):
        net.open_graph(["length"])


TOWERS = "concat { a -> global_avgpool | b -> global_avgpool }"


@pytest.mark.parametrize(
    ("inputs", "join", "shapes"),
    [
        ((4, 4), "add { a | b }", ("1xHxW", "1xHxW")),
        ((4, 4), TOWERS, ("1xH_axW_a", "1xH_bxW_b")),
        ((4, 6), TOWERS, ("1xH_axW_a", "1xH_bxW_b")),
    ],
)
def test_inputs_share_open_sizes_only_where_they_must(inputs, join, shapes) -> None:
    heads = "\n".join(f"input {n} [1, {s}, {s}]" for n, s in zip("ab", inputs, strict=True))
    graph = cnndsl.parse(f"network n {{\n{heads}\n{join}\n}}").open_graph()
    assert tuple(str(graph[name].type) for name in "ab") == shapes


def test_inputs_of_sizes_that_belong_together_stay_closed() -> None:
    text = "network n {\ninput a [1, 8, 8]\ninput b [1, 4, 4]\nadd { a | b -> upsample(2) }\n}"
    with pytest.raises(cnndsl.CnnError, match="E0617"):
        cnndsl.parse(text).open_graph()


def test_sizes_that_the_text_leaves_open_may_be_asked_for() -> None:
    net = cnndsl.parse(network("conv(4, 3) -> maxpool(8)", shape="[3, 8*H, W]"))
    assert str(net.open_graph(["height", "width"])["x"].type) == "3 x 8*H x W"


def test_some_axes_stay_open_and_names_of_the_text_do() -> None:
    text = "network n {\ninput a [1, H, 8, 8]\nconv(2, 3)\n}"
    assert str(cnndsl.parse(text).graph["a"].type) == "1xHx8x8"
    opened = cnndsl.parse(text, input_shapes={"a": (1, 5, 6, 7)}).open_graph(["width"])
    assert str(opened["a"].type) == "1x5x6xW"


def test_independent_errors_are_all_found_and_consequences_are_not() -> None:
    body = "let a = conv(4, 3, groups=5)\n a -> relu\n conv(0, 3) -> fc(3)\n dropout(2)"
    assert findings(body) == ["E0302", "E0309", "E0309"]


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("conv(relu, 3)", "another kind of value"),
        ("conv(4, [3, relu])", "[3, another kind of value]"),
        ("conv(4, x)", "a value of 3x8x8"),
        ("conv([true, 2], 3)", "[true, 2]"),
    ],
)
def test_wrong_attributes_are_shown_as_the_language_writes_them(body: str, value: str) -> None:
    with pytest.raises(cnndsl.CnnError) as caught:
        cnndsl.parse(f"network n {{ input x [3, 8, 8]\n {body} }}")
    [finding] = caught.value.diagnostics
    assert (finding.code, finding.message.rpartition("not ")[2]) == ("E0309", value)


def test_names_of_open_sizes_can_be_read_in_the_network() -> None:
    text = """network n {
        input a [3, 8*H, 4*W]
        input b [1, H, W + 1]
        b -> resize(size=[8*H, 4*W]) -> conv(3, 1)
        add { identity | a }
    }"""
    assert str(cnndsl.parse(text).graph["add1"].type) == "3 x 8*H x 4*W"
    net = cnndsl.parse(text, input_shapes={"a": (3, 16, 12)})
    assert [str(net.graph[name].type) for name in "ab"] == ["3x16x12", "1x2x4"]
    assert not net.warnings
    for wrong in ({"a": (3, 16, 12), "b": (1, 3, 4)}, {"a": (3, 15, 12)}):
        with pytest.raises(cnndsl.CnnError, match="E0220"):
            cnndsl.parse(text, input_shapes=wrong)
    square = "network n {\n input x [1, H, H]\n conv(1, 3)\n}"
    with pytest.raises(cnndsl.CnnError, match="E0220"):
        cnndsl.parse(square, input_shapes={"x": (1, 8, 9)})


def test_names_of_open_sizes_are_no_values_to_change_and_hide_nothing() -> None:
    with pytest.raises(cnndsl.CnnError, match="E0222"):
        cnndsl.parse(network("H = 3\nconv(1, 3)", shape="[3, H, W]"))
    hidden = "let H = 2*height\nresize(size=[H, W])"
    assert shapes(hidden, shape="[3, H, W]")[-1] == "3 x 2*H x W"
    assert cnndsl.parse("network n {\n input H [3, H, 4]\n H -> relu\n}").inputs["H"].rank == 2
    found = shapes("maxpool(2)\nresize(size=[height, 2*width])", shape="[3, height, 2*width]")
    assert found[-1] == "3 x floor(height/2) x 2*width"
