"""Networks that see whole photos: layers slide, and the mean of their scores is taken in the graph.

Source: Simonyan, Zisserman (2014), Very deep convolutional networks, section 3.2: fully connected
layers become convolutions, and the map of class scores is averaged before the softmax.
"""

from __future__ import annotations

from cnndsl.diagnostics import CnnError, Source
from cnndsl.importers.onnx.load import Imported
from cnndsl.importers.text import written
from cnndsl.ir.graph import Graph, Node
from cnndsl.ir.operators import GlobalAvgPool, Identity, LogSoftmax, Sigmoid, Softmax
from cnndsl.language.elaborate import elaborate
from cnndsl.language.loader import choose_network, load_unit
from cnndsl.network import Network

LAST = (Identity, LogSoftmax, Sigmoid, Softmax)
LARGER = 2
"""How much larger than the declared input one is on which every layer slides."""


def dense(network: Network) -> Network:
    """The network for inputs of any height and width, each output one vector for all of it.

    What slides is found by elaborating the text again; an ONNX model gets one. Raises CnnError:
    E0770 for a network whose graph was edited, E0617 if it needs a known size.
    """
    if network.source is None and network.weights is not None:
        network = _with_text(network)
    source = network.source
    if source is None or network.edited:
        message = "dense evaluation needs a network with a text, which tells what slides"
        raise CnnError.of("E0770", message)
    if any(kind.is_open for kind in network.inputs.values()):
        message = "dense evaluation needs an input of declared size, which is that of a crop"
        raise CnnError.of("E0770", message, hint="--input-shape image=3x224x224")
    shapes = {
        name: (kind.channels, *(LARGER * size for size in kind.sizes[1:]))
        for name, kind in network.inputs.items()
    }
    larger = elaborate(source.unit, source.item, source.settings, shapes).sound()
    graph = Network(larger.graph, larger).open_graph(["height", "width"])
    for node in dict.fromkeys(graph.outputs.values()):
        _averaged(graph, graph[node])
    graph.photos = dict(network.photos)
    return Network(graph, weights=network.weights, path=network.file)


def _with_text(network: Network) -> Network:
    """An imported network with a text, its weights under the names of that."""
    found = written(Imported(network.graph, network.weights or {}, {}))
    unit = load_unit(Source(f"{network.name}.cnn", found.text))
    made = elaborate(unit, choose_network(unit, None)).sound()
    return Network(made.graph, made, found.weights, network.path)


def _averaged(graph: Graph, end: Node) -> None:
    """Take the mean over all positions of the scores that an output is made from."""
    if not end.type.rank:
        return
    scores = end
    while isinstance(scores.op, LAST):
        (scores,) = graph.producers(scores)
    mean = graph.insert_after(scores, f"{scores.name}/mean", GlobalAvgPool())
    pending = [mean]
    while pending:
        node = pending.pop()
        graph.bind_readers(node)
        pending += [graph[reader.name] for reader, _ in graph.consumers(node)]
