"""What a notebook shows of a network."""

from html import unescape
from xml.etree import ElementTree

import cnndsl

NETWORK = cnndsl.parse("lenet5")


def test_a_network_shows_its_table_and_its_graph():
    html = NETWORK._repr_html_()
    assert NETWORK.summary() in unescape(html.partition("</pre>")[0])
    picture = html[html.index("<svg") : html.index("</svg>") + len("</svg>")]
    assert ElementTree.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"


def test_the_view_is_the_page_in_a_frame_without_rights():
    html = NETWORK.view(height=500)._repr_html_()
    assert 'sandbox="allow-scripts"' in html
    assert "height: 500px" in html
    document = html.partition('srcdoc="')[2].rpartition('"></iframe>')[0]
    assert unescape(document).encode() == NETWORK.page()
    assert '"' not in document


def test_an_edited_network_has_a_text_all_the_same():
    bare = cnndsl.Network(NETWORK.graph)
    assert bare.page().startswith(b"<!doctype html>")
