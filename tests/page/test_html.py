"""The file: whole, small, without a reference to anything outside."""

import gzip
import json
import re
from base64 import b64decode

import pytest

import cnndsl
from cnndsl.page.data import page_data
from cnndsl.page.html import page

OPEN = "network open { input x [3, H, W]\n conv(4, 3) -> relu }\n"


@pytest.fixture(scope="module")
def resnet50():
    return page(page_data(cnndsl.parse("resnet50").graph))


def unpacked(html, name):
    content = re.search(rf'id="{name}">(.*?)</script>'.encode(), html)[1]
    return gzip.decompress(b64decode(content, validate=True))


def test_resnet50_is_small(resnet50):
    assert len(resnet50) < 1_500_000


def test_nothing_outside_is_named(resnet50):
    text = re.sub(rb"<script type=\"application/octet-stream\".*?</script>", b"", resnet50)
    addresses = set(re.findall(rb"\w+://[^\"'\s)]*", text))
    assert addresses == {b"http://www.w3.org/2000/svg"}  # a name that is never fetched
    assert not re.search(rb"<(script|img|iframe)[^>]*\bsrc=|@import|url\((?!#)", text)
    assert b"default-src 'none'" in text
    assert b"connect-src 'none'" in text


def test_the_data_comes_back(resnet50):
    data = json.loads(unpacked(resnet50, "data"))
    network = cnndsl.parse("resnet50")
    assert data["totals"]["params"] == network.params
    assert data["texts"][0]["name"] == "resnet50.cnn"
    assert "block bottleneck" in data["texts"][0]["text"]
    assert data["memory"].count("<rect") > 50


def test_the_passes_tell_what_they_did_and_why_not(resnet50):
    passes = {run["name"]: run for run in json.loads(unpacked(resnet50, "data"))["passes"]}
    folded = [row for row in passes["fuse-bn"]["fates"] if row[0] == "done"]
    assert len(folded) == 53  # a bn behind each convolution of ResNet-50
    assert folded[0][2] == "resnet50.cnn:14"


def test_the_graph_as_optimised_has_the_nodes_that_the_passes_left(resnet50):
    data = json.loads(unpacked(resnet50, "data"))
    assert data["graphs"]["optimised"]["rows"][0]["nodes"] == data["passes"][-1]["after"]
    assert data["graphs"]["optimised"]["rows"][0]["nodes"] < data["totals"]["nodes"]


def coloured(source):
    """The words of a text in UTF-16 with their kinds."""
    data = page_data(cnndsl.parse(source).graph)
    text, numbers = data["texts"][0]["text"].encode("utf-16-le"), iter(data["texts"][0]["words"])
    start, found = 0, []
    for gap, length, kind in zip(numbers, numbers, numbers, strict=True):
        start, end = start + gap, start + gap + length
        found.append((text[2 * start : 2 * end].decode("utf-16-le"), data["kinds"][kind]))
        start = end
    return found


def test_words_come_with_their_kinds():
    text = "# 🦔 one\nblock twice(n) { conv{n}_x: relu }\nnetwork net { input a [3]\n twice(2) }\n"
    assert coloured(text) == [
        ("# 🦔 one", "comment"), ("block", "keyword"), ("twice", "class"), ("n", "parameter"),
        ("conv", "label"), ("n", "parameter"), ("_x", "label"), ("relu", "function"),
        ("network", "keyword"), ("net", "namespace"), ("input", "keyword"), ("a", "variable"),
        ("3", "number"), ("twice", "class"), ("2", "number"),
    ]  # fmt: skip


def test_items_of_recipes_are_coloured():
    text = "network net { input a [3]\n relu }\nrecipe net {\n sgd(0.1)\n flip\n}\n"
    assert coloured(text)[-5:] == [
        ("recipe", "keyword"), ("net", "namespace"), ("sgd", "function"), ("0.1", "number"),
        ("flip", "function"),
    ]  # fmt: skip


def test_open_sizes_have_no_memory():
    data = page_data(cnndsl.parse(OPEN).graph)
    assert data["memory"] is None
    assert data["totals"]["macs"] is None
    assert data["graphs"]["written"]["rows"][2]["shape"] == "4×H×W"


def test_the_same_network_gives_the_same_bytes():
    first, second = (page(page_data(cnndsl.parse("lenet5").graph)) for _ in range(2))
    assert first == second


def test_markup_in_a_text_stays_text():
    text = "# </script><script>alert(1)</script> {{style}}\nnetwork n { input x [4]\n relu }\n"
    html = page(page_data(cnndsl.parse(text).graph))
    assert b"alert(1)" not in html
    assert "alert(1)" in json.loads(unpacked(html, "data"))["texts"][0]["text"]
