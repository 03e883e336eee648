"""Graphs without a text get one."""

import cnndsl
from cnndsl.page.data import page_data
from cnndsl.page.text import with_text
from cnndsl.passes.pipeline import FUSIONS, optimise


def test_the_blocks_of_a_graph_without_a_text_are_found_again():
    graph = with_text(cnndsl.Network(cnndsl.parse("resnet18").graph).graph)
    data = page_data(graph)
    text = data["texts"][0]["text"]
    assert "network resnet18" in text
    assert len(text.splitlines()) < 30
    titles = [row["title"] for row in data["graphs"]["written"]["rows"]]
    assert any("×" in title for title in titles)


def test_a_graph_that_the_language_cannot_say_is_shown_as_it_is():
    graph, _ = optimise(cnndsl.parse("resnet18").graph, fusions=FUSIONS)
    assert with_text(graph) is graph
