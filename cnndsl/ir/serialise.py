"""Graphs as JSON: operators with their fields, edges, weight expressions, outputs.

Source spans are left out: the texts they point into are not part of an artefact. Expressions are
listed once each, arguments first, and referred to by their index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cnndsl.ir.attributes import VALUES, attribute_kinds, build, required_attributes
from cnndsl.ir.dims import Atom, Dim, OpenDim, Quotient, Symbol
from cnndsl.ir.expressions import Apply, Constant, Expression, Parameter
from cnndsl.ir.formula import Formula
from cnndsl.ir.graph import Auxiliary, Graph, Node
from cnndsl.ir.operator import Operator, attribute_values
from cnndsl.ir.operators import BACKWARD, BY_NAME, FORMATS, Input, SqueezeExcite
from cnndsl.ir.photo import photo_from_json
from cnndsl.ir.quantisation import Quantisation
from cnndsl.ir.types import DType

PASSES_MAKE: tuple[type[Operator], ...] = (SqueezeExcite, *FORMATS, *BACKWARD)
PLAIN: dict[str, type[Operator]] = {**BY_NAME, **{op.name: op for op in PASSES_MAKE}}
"""Operators whose attributes are plain values."""


def to_json(graph: Graph) -> dict[str, Any]:
    """The graph as dicts, lists, texts and numbers, the same for equal graphs."""
    table = _ExpressionTable()
    nodes = [
        {
            "name": node.name,
            "operands": [producer.name for producer in graph.producers(node)],
            "parts": [
                {
                    "op": part.op.name,
                    "attributes": _attributes(part.op),
                    "params": {role: table.index(e) for role, e in part.params.items()},
                }
                for part in node.parts
            ],
            "core": len(node.prologue),
        }
        for node in graph.nodes()
    ]
    return {
        "name": graph.name,
        "expressions": table.rows,
        "nodes": nodes,
        "inputs": graph.inputs,
        "photos": {name: photo.to_json() for name, photo in graph.photos.items()},
        "outputs": list(graph.outputs.items()),
        "auxiliaries": [[name, a.node, a.weight] for name, a in graph.auxiliaries.items()],
        "stages": graph.stages,
        "scopes": list(graph.scopes.items()),
    }


def from_json(data: Mapping[str, Any]) -> Graph:
    """The graph of `to_json`. Raises ValueError if the data is not one."""
    try:
        return _graph(data)
    except (KeyError, TypeError, IndexError, AttributeError, AssertionError) as error:
        raise ValueError(f"not a graph ({type(error).__name__}: {error})") from None


def expressions_to_json(expressions: Mapping[str, Expression]) -> dict[str, Any]:
    """Named expressions as dicts, lists, texts and numbers."""
    table = _ExpressionTable()
    names = {name: table.index(expression) for name, expression in expressions.items()}
    return {"expressions": table.rows, "names": names}


def expressions_from_json(data: Mapping[str, Any]) -> dict[str, Expression]:
    """The expressions of `expressions_to_json`. Raises ValueError if the data are none."""
    try:
        rows: list[Expression] = []
        for row in data["expressions"]:
            rows.append(_READERS[row[0]](rows, *row[1:]))
        return {_text(name): rows[_index(index)] for name, index in data["names"].items()}
    except (KeyError, TypeError, IndexError, AttributeError, AssertionError) as error:
        raise ValueError(f"not expressions ({type(error).__name__}: {error})") from None


def _attributes(op: Operator) -> dict[str, Any]:
    values = attribute_values(op)
    if isinstance(op, Input):
        values["shape"] = [dim_to_json(dim) for dim in op.shape]
    for name, value in values.items():
        if isinstance(value, Operator):
            values[name] = [value.name, _attributes(value)]
    return {n: _attribute_to_json(value) for n, value in values.items()}


def _attribute_to_json(value: Any) -> Any:
    """The value itself, but the names of dtypes, `{"open": …}` for sizes, pairs for codes.

    Formulas become lists.
    """
    if isinstance(value, Formula):
        return value.to_lists()
    if isinstance(value, Quantisation):
        return [value.scale, value.zero]
    if isinstance(value, DType):
        return value.name
    if isinstance(value, OpenDim):
        return {"open": dim_to_json(value)}
    if isinstance(value, tuple | list):
        return [_attribute_to_json(item) for item in value]
    return value


def _attribute_from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return _open_dim(value["open"])
    return list(map(_attribute_from_json, value)) if isinstance(value, list) else value


class _ExpressionTable:
    """Rows for expressions, arguments before what uses them, equal ones once."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self._by_key: dict[Any, int] = {}
        self._by_identity: dict[int, int] = {}

    def index(self, root: Expression) -> int:
        """The row of an expression. Iterative: expressions can be deep."""
        pending = [root]
        while pending:
            item = pending.pop()
            if id(item) in self._by_identity:
                continue
            waiting = [a for a in item.arguments if id(a) not in self._by_identity]
            if waiting:
                pending += [item, *waiting]
            else:
                self._by_identity[id(item)] = self._row(item)
        return self._by_identity[id(root)]

    def _row(self, item: Expression) -> int:
        if isinstance(item, Parameter):
            row: tuple[Any, ...] = ("parameter", item.name, item.shape, item.init, item.learned)
        elif isinstance(item, Constant):
            row = ("constant", item.values)
        else:
            arguments = tuple(self._by_identity[id(a)] for a in item.arguments)
            row = ("apply", item.function, arguments, item.shape, item.settings)
        if row not in self._by_key:
            self._by_key[row] = len(self.rows)
            self.rows.append(list(row))
        return self._by_key[row]


def _graph(data: Mapping[str, Any]) -> Graph:
    graph = Graph(_text(data["name"]))
    expressions: list[Expression] = []
    for row in data["expressions"]:
        expressions.append(_READERS[row[0]](expressions, *row[1:]))
    for item in data["nodes"]:
        _add_node(graph, item, expressions)
    graph.inputs = [_node(graph, name) for name in data["inputs"]]
    found = {node.name for node in graph.nodes() if isinstance(node.op, Input)}
    if set(graph.inputs) != found or len(graph.inputs) != len(found):
        raise ValueError("the inputs are not the nodes that take input")
    graph.photos = {
        _node(graph, name): photo_from_json(photo) for name, photo in data["photos"].items()
    }
    graph.outputs = {_text(name): _node(graph, node) for name, node in data["outputs"]}
    if not graph.outputs:
        raise ValueError("there is no output")
    graph.auxiliaries = {
        _text(name): Auxiliary(_node(graph, node), float(weight))
        for name, node, weight in data["auxiliaries"]
    }
    graph.stages = [(_text(name), _node(graph, node)) for name, node in data["stages"]]
    graph.scopes = {_text(path): _text(kind) for path, kind in data["scopes"]}
    return graph


def _add_node(graph: Graph, item: Mapping[str, Any], expressions: list[Expression]) -> None:
    name = _text(item["name"])
    if name in graph:
        raise ValueError(f"there are two nodes {name!r}")
    operands = [graph[_node(graph, name)] for name in item["operands"]]
    steps = [
        (
            _operator(part["op"], part["attributes"]),
            {role: expressions[_index(i)] for role, i in part["params"].items()},
        )
        for part in item["parts"]
    ]
    node = Node.of(name, steps, [x.type for x in operands], _index(item["core"]))
    for part in node.parts:
        if {role: expression.shape for role, expression in part.params.items()} != part.shapes():
            raise ValueError(f"the parameters of {name!r} do not fit its operators")
    graph.put(node, operands)


def _operator(name: str, attributes: Mapping[str, Any]) -> Operator:
    """An operator from JSON, every attribute checked by its kind."""
    kind = PLAIN[name]
    nested = {"op": _operator(*attributes["op"])} if "op" in attributes else {}
    values = {key: _attribute_from_json(v) for key, v in attributes.items() if key not in nested}
    values |= nested
    if kind is Input:
        values["shape"] = tuple(dim_from_json(dim) for dim in attributes["shape"])
        if not 1 <= len(values["shape"]) <= 4 or not isinstance(values["shape"][0], int):
            raise ValueError("an input has channels and at most three more axes")
    if set(required_attributes(kind)) - set(values) or set(values) - set(attribute_kinds(kind)):
        raise ValueError(f"these are not the attributes of {name}")
    operator: Operator = build(kind, values)
    return operator


def _read_parameter(
    _: list[Expression], name: Any, shape: Any, init: Any, learned: Any
) -> Expression:
    return Parameter(_text(name), _shape(shape), _text(init), bool(learned))


def _read_constant(_: list[Expression], values: Any) -> Expression:
    VALUES.convert(values)
    return Constant(_tuples(values))


def _read_apply(
    known: list[Expression], function: Any, arguments: Any, shape: Any, settings: Any
) -> Expression:
    operands = tuple(known[_index(i)] for i in arguments)
    pairs = tuple((_text(name), _tuples(value)) for name, value in settings)
    return Apply(_text(function), operands, _shape(shape), pairs)


_READERS: dict[str, Callable[..., Expression]] = {
    "parameter": _read_parameter,
    "constant": _read_constant,
    "apply": _read_apply,
}


def dim_to_json(dim: Dim) -> Any:
    """A number, or [constant, [factor, symbol] or [factor, dividend, divisor], ...]."""
    if isinstance(dim, int):
        return dim
    return [dim.constant, *([factor, *_atom_to_json(atom)] for atom, factor in dim.terms)]


def _atom_to_json(atom: Atom) -> list[Any]:
    if isinstance(atom, Symbol):
        return [atom.name]
    return [dim_to_json(atom.dividend), atom.divisor]


def dim_from_json(data: Any) -> Dim:
    """The size of `dim_to_json`. Raises ValueError or TypeError if the data are none."""
    if isinstance(data, int):
        if data < 1:
            raise ValueError("a size is at least 1")
        return data
    return _open_dim(data)


def _open_dim(data: Any) -> OpenDim:
    constant, *terms = data
    if not terms:
        raise ValueError("an open size has a symbol")
    return OpenDim(tuple((_atom(atom), int(factor)) for factor, *atom in terms), int(constant))


def _atom(data: list[Any]) -> Atom:
    if len(data) == 1:
        return Symbol(_text(data[0]))
    dividend, divisor = data
    if not isinstance(divisor, int) or divisor < 2:
        raise ValueError("a divisor is at least 2")
    return Quotient(_open_dim(dividend), divisor)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{str(value)[:40]!r} is not a text")
    return value


def _node(graph: Graph, name: Any) -> str:
    if _text(name) not in graph:
        raise ValueError(f"there is no node {name!r}")
    return str(name)


def _index(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{str(value)[:40]!r} is not an index")
    return value


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(_index(size) for size in value)


def _tuples(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_tuples(v) for v in value)
    if not isinstance(value, str | int | float | None):
        raise ValueError(f"{str(value)[:40]!r} is not a number or a text")
    return value
