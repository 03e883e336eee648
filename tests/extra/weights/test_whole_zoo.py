"""Foreign names for all networks of the zoo: the exact pairing or none. Takes minutes."""

import pytest

import cnndsl
from cnndsl.language.loader import concrete_networks
from tests.weights.foreign import SCHEMES
from tests.weights.test_pairing import graph_and_layers, paired

ALIKE = {"resnext_summed", "tiled"}
"""Branches of these may change places."""


@pytest.mark.parametrize("name", sorted(set(concrete_networks(cnndsl.zoo())) - ALIKE))
def test_foreign_names_are_paired_exactly_or_not_at_all(name):
    graph, layers = graph_and_layers(name)
    for scheme in SCHEMES:
        names = scheme(layers)
        assert paired(graph, layers, names) in (names, None), scheme.__name__
