"""The operator set that a model needs, and the forms that its operators have in it.

Lowerings write operators in the oldest form, axes as an attribute. A model is stamped with the
oldest operator set that has all its operators, since old readers take no newer one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnx import NodeProto, defs, helper

from cnndsl.diagnostics import CnnError

OLDEST = 11
"""Where padding, slices and clipping took the form that they have today."""

NEWEST: int = defs.onnx_opset_version()


def oldest_opset(nodes: Sequence[NodeProto], asked: int | None) -> int:
    """The oldest operator set that has all nodes, or the newer one that is asked for.

    Raises CnnError (E0704) if a node needs a newer one than that, or if there is none such.
    """
    needs = {node.name: _oldest(node) for node in nodes}
    least = max(needs.values(), default=OLDEST)
    if asked is None:
        return least
    if asked > NEWEST:
        raise CnnError.of(
            "E0704", f"there is no ONNX opset {asked} yet", hint=f"{NEWEST} is the newest known"
        )
    if asked < least:
        node = next((node for node in nodes if needs[node.name] == least), None)
        reason = f"{node.op_type} of {node.name.split('/')[0]!r}" if node else "the oldest written"
        raise CnnError.of(
            "E0704",
            f"the model needs ONNX opset {least}, not {asked}: {reason}",
            hint=f"--opset {least} or a newer one",
        )
    return asked


def in_opset(node: NodeProto, opset: int, integers: Callable[[str, list[int]], str]) -> NodeProto:
    """The node in the form of an operator set; `integers` stores axes that became an operand."""
    schema = defs.get_schema(node.op_type, opset, "")
    axes = next((a for a in node.attribute if a.name == "axes"), None)
    if axes is None or "axes" in schema.attributes:
        return node
    rest = {a.name: helper.get_attribute_value(a) for a in node.attribute if a is not axes}
    inputs = [*node.input, integers(f"{node.name}.axes", list(axes.ints))]
    return helper.make_node(node.op_type, inputs, list(node.output), name=node.name, **rest)


def _oldest(node: NodeProto) -> int:
    """The oldest operator set in which the node has its form and its meaning.

    Before 13, Softmax and LogSoftmax ran over their axis and all behind it.
    """
    is_softmax = node.op_type in ("Softmax", "LogSoftmax")
    along = [a.i for a in node.attribute if is_softmax and a.name == "axis"]
    since = OLDEST if along in ([], [-1]) else 13
    return next(opset for opset in range(since, NEWEST + 1) if _has(opset, node))


def _has(opset: int, node: NodeProto) -> bool:
    try:
        schema = defs.get_schema(node.op_type, opset, "")
    except defs.SchemaError:
        return False
    given = {a.name for a in node.attribute}
    known = {*schema.attributes, *(x.name for x in schema.inputs if x.name == "axes")}
    return given <= known and schema.min_input <= len(node.input) <= schema.max_input
