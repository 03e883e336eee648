"""The language server, asked as editors ask it: by the protocol, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cnndsl
from cnndsl.format import format_source
from tests.editor.client import Client

UNIT = """\
# Two layers that keep
# the size of the map
block unit(width, stride=1) {
    conv(width, 3, stride=stride) -> relu
}
"""
NET = """\
import unit from "unit.cnn"
block pair(width) {
    unit(width) -> unit(width, stride=2)
}
network small(classes=10) {
    input image [3, 32, 32]
    stem: unit(16)
    for width in [32, 64] { pair(width) }
    let kept = identity
    add { kept | conv(64, 1) } -> global_avgpool
    head: fc(classes)
}
network tiny = small(classes=2)
"""
WHOLE = {"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}}


@pytest.fixture
def net(client: Client) -> Iterator[Client]:
    """A client with two open files, the second of which imports the first."""
    (client.folder / "unit.cnn").write_text(UNIT, "utf-8")
    (client.folder / "net.cnn").write_text(NET, "utf-8")
    assert client.open("unit.cnn", UNIT) == []
    assert client.open("net.cnn", NET) == []
    yield client
    client.close("net.cnn")
    client.close("unit.cnn")


def completed(client: Client, text: str) -> dict[str, dict[str, Any]]:
    """What is proposed at the bar of a text, by its label."""
    offset = text.index("¦")
    client.open("net.cnn", text.replace("¦", ""))
    return {item["label"]: item for item in client.at("completion", "net.cnn", offset)}


def hovered(client: Client, words: str, inside: int = 0, name: str = "net.cnn") -> str:
    offset = client.texts[name].index(words) + inside
    return str(client.at("hover", name, offset)["contents"]["value"])


# Findings


def test_findings_have_codes_places_and_hints(net: Client) -> None:
    found = net.open("net.cnn", NET.replace("fc(classes)", "linaer(classes) -> conv(8, 3)"))
    text = NET.replace("fc(classes)", "linaer(classes) -> conv(8, 3)")
    checked = cnndsl.check(text.replace("unit.cnn", str(net.folder / "unit.cnn")))
    assert [item["code"] for item in found] == [item.code for item in checked] == ["E0201"]
    assert net.span("net.cnn", found[0]["range"]) == "linaer"
    assert found[0]["source"] == "cnndsl"
    assert found[0]["severity"] == 1


def test_warnings_and_what_is_unused(net: Client) -> None:
    (found,) = net.open("net.cnn", NET.replace("add { kept |", "add { identity |"))
    assert (found["code"], found["severity"], found["tags"]) == ("W0201", 2, [1])
    assert net.span("net.cnn", found["range"]) == "kept"


def test_notes_and_trails_lead_to_other_files(net: Client) -> None:
    wrong = NET.replace("stem: unit(16)", "stem: unit(16) -> flatten -> unit(16)")
    (found,) = net.open("net.cnn", wrong)
    assert found["code"] == "E0306"
    assert found["message"].startswith(str(net.folder / "unit.cnn"))
    assert net.span("net.cnn", found["range"]) == '"unit.cnn"'
    places = {item["location"]["uri"] for item in found["relatedInformation"]}
    assert places >= {net.uri("net.cnn"), net.uri("unit.cnn")}


def test_a_change_reaches_the_files_that_import_it(net: Client) -> None:
    net.open("unit.cnn", UNIT.replace("block unit", "block renamed"))
    assert [found["code"] for found in net.findings("net.cnn")] == ["E0219"]
    net.open("unit.cnn", UNIT)
    assert net.findings("net.cnn") == []


def test_open_texts_that_are_not_saved_are_imported(net: Client) -> None:
    """In whatever order they are opened; what is on the disk is a file of another name."""
    text = NET.replace("unit.cnn", "unsaved.cnn")
    assert [found["code"] for found in net.open("net.cnn", text)] == ["E0218"]
    assert net.open("unsaved.cnn", UNIT) == []
    assert net.findings("net.cnn") == []
    assert set(completed(net, text.replace("import unit", "import ¦"))) == {"unit"}
    assert "unsaved.cnn" in completed(net, text.replace('"unsaved.cnn"', '"¦"'))
    net.open("net.cnn", text)
    for words in ("unit(16)", '"unsaved.cnn"'):
        found = net.at("definition", "net.cnn", text.index(words))
        assert found["uri"] == net.uri("unsaved.cnn")
    edits = net.at("rename", "net.cnn", text.index("unit(16)"), newName="unit2")["changes"]
    assert {uri: len(places) for uri, places in edits.items()} == {
        net.uri("unsaved.cnn"): 1,
        net.uri("net.cnn"): 4,
    }
    net.close("unsaved.cnn")
    assert [found["code"] for found in net.findings("net.cnn")] == ["E0218"]


def test_files_that_change_on_the_disk_are_read_again(net: Client) -> None:
    def tell(kind: int) -> None:
        net.notes.clear()
        changes = [{"uri": net.uri("unit.cnn"), "type": kind}]
        net.notify("workspace/didChangeWatchedFiles", changes=changes)

    net.close("unit.cnn")
    assert net.findings("net.cnn") == []
    path = net.folder / "unit.cnn"
    path.write_text(UNIT.replace("block unit", "block renamed"), "utf-8")
    tell(2)
    assert [found["code"] for found in net.findings("net.cnn")] == ["E0219"]
    path.unlink()
    tell(3)
    assert [found["code"] for found in net.findings("net.cnn")] == ["E0218"]
    path.write_text(UNIT, "utf-8")
    tell(1)
    assert net.findings("net.cnn") == []
    net.open("unit.cnn", UNIT)
    assert net.findings("net.cnn") == []


def test_an_editor_is_asked_to_watch_the_files(tmp_path: Path) -> None:
    client = Client(tmp_path)
    client.open("net.cnn", "network n {\n    input x [3, 8, 8]\n    relu\n}\n")
    (asked,) = [n for n in client.notes if n.get("method") == "client/registerCapability"]
    (wanted,) = asked["params"]["registrations"]
    assert client.stop() == 0
    assert wanted["method"] == "workspace/didChangeWatchedFiles"
    assert wanted["registerOptions"]["watchers"] == [{"globPattern": "**/*.cnn"}]


def test_an_open_text_hides_one_of_the_zoo_of_its_name(net: Client) -> None:
    text = NET.replace("unit.cnn", "resnet.cnn")
    assert [found["code"] for found in net.open("net.cnn", text)] == ["E0219"]
    net.open("resnet.cnn", UNIT)
    assert net.findings("net.cnn") == []
    net.close("resnet.cnn")
    assert [found["code"] for found in net.findings("net.cnn")] == ["E0219"]


def test_an_open_text_counts_under_the_path_of_a_link(net: Client) -> None:
    net.close("unit.cnn")
    net.findings("net.cnn")
    link = net.folder / "link"
    link.symlink_to(net.folder)
    try:
        net.open("link/unit.cnn", UNIT.replace("block unit", "block renamed"))
        assert [found["code"] for found in net.findings("net.cnn")] == ["E0219"]
        net.close("link/unit.cnn")
        assert net.findings("net.cnn") == []
    finally:
        link.unlink()
    net.open("unit.cnn", UNIT)
    assert net.findings("net.cnn") == []


def test_names_change_where_an_import_of_an_import_is_not_saved(net: Client) -> None:
    """It holds none of the names, so a rename does not look into it for them."""
    base = "block base(width) {\n    conv(width, 1)\n}\n"
    net.open("base.cnn", base)
    middle = UNIT.replace("conv(width, 3, stride=stride)", "base(width)").replace(", stride=1", "")
    net.open("unit.cnn", f'import base from "base.cnn"\n{middle}')
    assert net.findings("net.cnn") != []
    text = NET.replace(", stride=2", "")
    assert net.open("net.cnn", text) == []
    edits = net.at("rename", "net.cnn", text.index("unit(16)"), newName="unit2")["changes"]
    assert {uri.rpartition("/")[2] for uri in edits} == {"unit.cnn", "net.cnn"}
    net.close("base.cnn")
    assert net.findings("net.cnn") != []
    net.open("unit.cnn", UNIT)
    assert net.findings("net.cnn") == []


def test_closed_files_are_read_from_the_disk(net: Client) -> None:
    net.open("unit.cnn", UNIT.replace("block unit", "block renamed"))
    assert net.findings("net.cnn") != []
    net.close("unit.cnn")
    assert net.findings("unit.cnn") == []
    assert net.findings("net.cnn") == []
    net.open("unit.cnn", UNIT)
    assert net.findings("net.cnn") == []


def test_a_text_that_is_too_long_is_refused(net: Client) -> None:
    (found,) = net.open("net.cnn", "#" * 250_001)
    assert found["code"] == "E0505"


# Hover


def test_hover_on_an_operator_explains_it_and_this_call(net: Client) -> None:
    text = hovered(net, "fc(classes)")
    assert "fc(units, bias=true" in text
    assert "`64 -> 10`: 650 parameters, 640 MACs, receptive field all" in text


def test_hover_on_a_call_of_a_block(net: Client) -> None:
    text = hovered(net, "unit(16)")
    assert "block unit(width, stride=1)" in text
    assert "Two layers that keep\nthe size of the map" in text
    macs = 3 * 9 * 16 * 32 * 32
    assert f"`3x32x32 -> 16x32x32`: 448 parameters, {macs / 1000:.0f} k MACs" in text
    assert "receptive field 3" in text


def test_hover_on_a_block_lists_its_instances(net: Client) -> None:
    text = hovered(net, "pair(width) {")
    assert "4 instances:" in text  # two in each network
    assert "- small `pair1`: 13,888 parameters" in text
    assert "- tiny `pair2`: 55,424 parameters" in text


def test_hover_on_networks_attributes_and_values(net: Client) -> None:
    assert "image 3x32x32 -> output 10" in hovered(net, "small(")
    assert "stride" in hovered(net, "stride=2", 1)
    assert "(value) `kept`" in hovered(net, "kept =")
    assert net.at("hover", "net.cnn", NET.index("->")) is None


# Shapes


def test_shapes_stand_behind_each_step(net: Client) -> None:
    hints = net.about("inlayHint", "net.cnn", range=WHOLE)
    lines = NET.split("\n")
    shown = {
        (lines[h["position"]["line"]][: h["position"]["character"]].split("{ ")[-1], h["label"])
        for h in hints
    }
    assert ("    stem: unit(16)", "16x32x32") in shown
    assert ("pair(width)", "32x16x16 … 64x8x8") in shown
    assert ("    head: fc(classes)", "10 … 2") in shown
    assert ("kept | conv(64, 1)", "64x8x8") in shown


# Completion


def test_operators_blocks_and_values_are_proposed(net: Client) -> None:
    found = completed(net, NET.replace("    head", "    rel¦\n    head"))
    assert {"relu", "conv", "pair", "unit", "kept", "classes", "concat", "let", "if"} <= set(found)
    assert found["relu"]["textEdit"]["newText"] == "relu"
    assert net.span("net.cnn", found["relu"]["textEdit"]["range"]) == "rel"
    assert found["conv"]["textEdit"]["newText"] == "conv("
    assert found["pair"]["detail"] == "block pair(width)"


def test_arguments_are_proposed_once(net: Client) -> None:
    found = completed(net, NET.replace("conv(64, 1)", "conv(64, kernel=1, ¦)"))
    assert {"stride", "pad", "groups"} <= set(found)
    assert "kernel" not in found
    assert found["pad"]["textEdit"]["newText"] == "pad="
    assert {"width", "stride"} <= set(completed(net, NET.replace("unit(16)", "unit(¦)")))
    assert {"same", "valid"} <= set(completed(net, NET.replace("conv(64, 1)", "conv(1, 1, pad=¦)")))


def test_photos_are_proposed_and_explained(net: Client) -> None:
    shape = "input image [3, 32, 32]"
    assert "photo" in completed(net, NET.replace(shape, f"{shape} ¦"))
    found = completed(net, NET.replace(shape, f"{shape} photo(crop=1, ¦)"))
    assert {"mean", "std", "order"} <= set(found)
    assert found["crop"]["textEdit"]["newText"] != "crop="  # the operator is left
    assert {"rgb", "bgr"} <= set(completed(net, NET.replace(shape, f"{shape} photo(order=¦)")))
    net.open("net.cnn", NET.replace(shape, f"{shape} photo(crop=1, mean=0.5)"))
    assert "scaled, its proportions kept" in hovered(net, "photo(")
    assert "a number over 0, at most 1" in hovered(net, "crop=")


def test_recipes_are_proposed_and_explained(net: Client) -> None:
    text = NET + "recipe small {\n    adamw(1e-3, decay=0.1)\n    he(of=conv)\n}\n"
    assert "recipe" in completed(net, f"{NET}¦")
    assert "tiny" in completed(net, f"{NET}recipe ¦")
    items = completed(net, text.replace("    he(", "    ¦\n    he("))
    assert {"sgd", "cosine", "warmup", "flip"} <= set(items)
    assert "conv" not in items
    assert items["warmup"]["textEdit"]["newText"] == "warmup("
    assert {"beta1", "eps"} <= set(completed(net, text.replace("decay=0.1", "¦")))
    assert {"fan_in", "fan_out"} <= set(completed(net, text.replace("of=conv", "fan=¦")))
    named = completed(net, text.replace("of=conv", "of=¦"))
    assert named["conv"]["textEdit"]["newText"] == "conv"
    assert "add" not in named
    for listed in ("of=[¦", "of=[conv, ¦", "of=[¦]", "fan=fan_in, of=[¦]"):
        assert "bn" in completed(net, text.replace("of=conv", listed)), listed
    for other in ("¦", "fan=¦", "at=[¦", "of=conv, ¦", "of=[conv ¦"):
        assert "bn" not in completed(net, text.replace("of=conv", other)), other
    assert "bn" not in completed(net, text.replace("1e-3", "¦"))
    assert {"of", "at"} <= set(completed(net, text.replace("of=conv", "¦")))
    whether = text.replace("he(of=conv)", "gaussian(0.1, truncated=¦")
    assert {"true", "false"} <= set(completed(net, whether))
    assert "tiny" in completed(net, text.replace("recipe small", "recipe small, ¦"))
    net.open("net.cnn", text)
    assert "apart from its steps" in hovered(net, "adamw(")
    assert "a number from 0" in hovered(net, "decay=")
    assert "network small" in hovered(net, "small {")
    assert "kernel" in hovered(net, "conv)")


def test_a_recipe_belongs_to_its_network(net: Client) -> None:
    text = f"{NET}recipe small {{\n    sgd(0.1, momentum=0.9)\n    flip\n}}\n"
    assert net.open("net.cnn", text) == []
    start = text.index("recipe")
    name = text.index("small", start)
    assert net.span("net.cnn", net.at("definition", "net.cnn", name)["range"]) == "small"
    (edits,) = net.at("rename", "net.cnn", name, newName="little")["changes"].values()
    assert len(edits) == text.count("small")
    assert (text[:start].count("\n"), text.count("\n") - 1, "region") in {
        (item["startLine"], item["endLine"], item["kind"])
        for item in net.about("foldingRange", "net.cnn")
    }
    found = net.about("documentSymbol", "net.cnn")
    assert [item["name"] for item in found] == ["pair", "small", "tiny", "small"]


def test_imports_and_settings_are_proposed(net: Client) -> None:
    files = completed(net, NET.replace('"unit.cnn"', '"¦"'))
    assert {"unit.cnn", "resnet.cnn", "densenet.cnn"} <= set(files)
    assert "net.cnn" not in files
    assert set(completed(net, NET.replace("import unit", "import ¦"))) == {"unit"}
    zoo = completed(net, f"import fir¦\n{NET}")
    assert zoo["fire"]["textEdit"]["newText"] == 'fire from "squeezenet.cnn"'
    assert "small" in completed(net, NET.replace("= small(classes=2)", "= ¦"))
    assert "classes" in completed(net, NET.replace("small(classes=2)", "small(¦)"))
    assert completed(net, NET + "# rel¦") == {}


def test_a_text_that_is_broken_is_completed(net: Client) -> None:
    broken = NET[: NET.index("    head")] + "    let other = kept -> conv(8, ¦"
    found = completed(net, broken)
    assert {"stride", "kept", "classes", "pair", "unit"} <= set(found)


# Names


def test_definitions_are_found_in_other_files(net: Client) -> None:
    def place(words: str) -> tuple[str, str]:
        found = net.at("definition", "net.cnn", NET.index(words))
        name = found["uri"].rpartition("/")[2]
        return name, net.span(name, found["range"])

    assert place("unit(16)") == ("unit.cnn", "unit")
    assert place("stride=2") == ("unit.cnn", "stride")
    assert place("pair(width) }") == ("net.cnn", "pair")
    assert place("kept | conv") == ("net.cnn", "kept")
    assert place("small(classes=2)") == ("net.cnn", "small")
    assert place('unit.cnn"') == ("unit.cnn", "")
    assert net.at("definition", "net.cnn", NET.index("relu") if "relu" in NET else 0) is None


def test_references_are_found_in_other_files(net: Client) -> None:
    offset = UNIT.index("unit(")
    context = {"includeDeclaration": True}
    found = net.at("references", "unit.cnn", offset, context=context)
    assert sorted(item["uri"].rpartition("/")[2] for item in found) == [
        *["net.cnn"] * 4,
        "unit.cnn",
    ]
    context = {"includeDeclaration": False}
    assert len(net.at("references", "unit.cnn", offset, context=context)) == 4


def test_a_link_to_itself_is_passed_over(net: Client) -> None:
    link = net.folder / "loop.cnn"
    link.symlink_to(link.name)
    context = {"includeDeclaration": True}
    try:
        found = net.at("references", "unit.cnn", UNIT.index("unit("), context=context)
        edits = net.at("rename", "unit.cnn", UNIT.index("unit("), newName="unit2")["changes"]
    finally:
        link.unlink()
    assert len(found) == sum(map(len, edits.values())) == 5


def test_an_address_with_a_zero_byte_is_no_failure(net: Client) -> None:
    uri = f"{net.folder.as_uri()}/a%00b.cnn"
    document = {"uri": uri, "languageId": "cnn", "version": 1, "text": NET}
    net.notify("textDocument/didOpen", textDocument=document)
    symbols = net.request("textDocument/documentSymbol", textDocument={"uri": uri})
    assert [item["name"] for item in symbols] == ["pair", "small", "tiny"]
    net.notify("textDocument/didClose", textDocument={"uri": uri})


def test_a_name_is_changed_everywhere(net: Client) -> None:
    offset = NET.index("stride=2")
    edits = net.at("rename", "net.cnn", offset, newName="step")["changes"]
    changed = {}
    for uri, places in edits.items():
        name = uri.rpartition("/")[2]
        lines = net.texts[name].split("\n")
        for edit in sorted(places, key=lambda e: str(e["range"]["start"]), reverse=True):
            line, start = edit["range"]["start"]["line"], edit["range"]["start"]["character"]
            end = edit["range"]["end"]["character"]
            lines[line] = lines[line][:start] + edit["newText"] + lines[line][end:]
        changed[name] = "\n".join(lines)
    assert changed["unit.cnn"] == UNIT.replace("stride=1", "step=1").replace("=stride", "=step")
    assert changed["net.cnn"] == NET.replace("stride=2", "step=2")


@pytest.mark.parametrize(
    ("words", "name"),
    [("kept =", "width-2"), ("kept =", "for"), ("width in", "classes"), ("global_avgpool", "x")],
)
def test_a_name_is_kept_where_the_text_would_change_its_meaning(
    net: Client, words: str, name: str
) -> None:
    text = NET.replace("pair(width) }", "pair(width) -> conv(classes, 1) }")
    net.open("net.cnn", text)
    with pytest.raises(RuntimeError, match=r"name|language"):
        net.at("rename", "net.cnn", text.index(words), newName=name)


def test_names_of_the_zoo_stay(net: Client) -> None:
    text = 'import fire from "squeezenet.cnn"\n' + NET.replace("unit(16)", "fire(16, 16)")
    net.open("net.cnn", text)
    with pytest.raises(RuntimeError, match="zoo"):
        net.at("rename", "net.cnn", text.index("fire("), newName="spark")


# The text as a whole


def outline(client: Client) -> dict[str, list[str]]:
    found = client.about("documentSymbol", "net.cnn")
    return {item["name"]: [child["name"] for child in item["children"]] for item in found}


def test_the_outline_has_definitions_and_labelled_parts(net: Client) -> None:
    assert outline(net) == {"pair": [], "small": ["image", "stem", "head"], "tiny": []}


def test_a_broken_text_keeps_its_outline_and_tokens(net: Client) -> None:
    net.open("net.cnn", NET.replace("add { kept |", "add { kept"))
    assert outline(net).keys() == {"pair", "small", "tiny"}
    broken = net.about("semanticTokens/full", "net.cnn")["data"]
    net.open("net.cnn", NET)
    assert len(net.about("semanticTokens/full", "net.cnn")["data"]) == len(broken) > 0


def test_brackets_and_comments_fold(net: Client) -> None:
    found = {
        (item["startLine"], item["endLine"], item["kind"])
        for item in net.about("foldingRange", "unit.cnn")
    }
    assert found == {(0, 1, "comment"), (2, 4, "region")}


def test_words_have_kinds_by_their_meaning(net: Client) -> None:
    legend = net.capabilities["semanticTokensProvider"]["legend"]
    data = net.about("semanticTokens/full", "net.cnn")["data"]
    lines, line, character, kinds = NET.split("\n"), 0, 0, set()
    for down, right, length, kind, declares in zip(*[iter(data)] * 5, strict=True):
        line, character = line + down, right if down else character + right
        word = lines[line][character : character + length]
        kinds.add((word, legend["tokenTypes"][kind], bool(declares)))
    assert {
        ("block", "keyword", False),
        ("pair", "class", True),
        ("pair", "class", False),
        ("unit", "class", False),
        ("width", "parameter", True),
        ("width", "variable", True),
        ("stride", "parameter", False),
        ("small", "namespace", True),
        ("kept", "variable", True),
        ("stem", "label", False),
        ("fc", "function", False),
        ('"unit.cnn"', "string", False),
        ("32", "number", False),
        ("->", "operator", False),
    } <= kinds


def test_a_text_is_formatted(net: Client) -> None:
    untidy = NET.replace("conv(64, 1)", "conv( 64,1 )")
    net.open("net.cnn", untidy)
    options = {"tabSize": 4, "insertSpaces": True}
    (edit,) = net.about("formatting", "net.cnn", options=options)
    assert edit["newText"] == format_source(untidy) == NET
    net.open("net.cnn", NET)
    assert net.about("formatting", "net.cnn", options=options) == []
    net.open("net.cnn", NET + "block {")
    assert net.about("formatting", "net.cnn", options=options) == []


def fixes(client: Client, text: str) -> list[tuple[str, list[str]]]:
    """The quick fixes of a text, each with the findings that its text has then."""
    client.open("net.cnn", text)
    found = []
    for action in client.about("codeAction", "net.cnn", range=WHOLE, context={"diagnostics": []}):
        fixed = text.split("\n")
        for edit in action["edit"]["changes"][client.uri("net.cnn")]:
            line, start = edit["range"]["start"]["line"], edit["range"]["start"]["character"]
            end = edit["range"]["end"]["character"]
            fixed[line] = fixed[line][:start] + edit["newText"] + fixed[line][end:]
        codes = [item["code"] for item in client.open("net.cnn", "\n".join(fixed))]
        found.append((action["title"], codes))
    return found


def test_hints_are_quick_fixes(net: Client) -> None:
    assert fixes(net, NET.replace("global_avgpool", "GlobalAveragePooling2D")) == [
        ("Change to global_avgpool", [])
    ]
    assert fixes(net, NET.replace("unit.cnn", "unti.cnn")) == []
    assert fixes(net, NET.replace("conv(64, 1)", "conv(64, kernel_size=1)")) == [
        ("Change to kernel", [])
    ]
    assert fixes(net, NET.replace("add { kept |", "add { identity |")) == [("Rename to _kept", [])]


# Texts as they come


def test_places_are_counted_in_units_of_utf_16(net: Client) -> None:
    def start(text: str, code: str) -> tuple[int, int]:
        (found,) = [item for item in net.open("net.cnn", text) if item["code"] == code]
        return found["range"]["start"]["line"], found["range"]["start"]["character"]

    wrong = NET.replace("conv(64, 1)", 'conv(64, pad="𝄞", nix=1)')
    assert start(wrong, "E0205") == (9, len('    add { kept | conv(64, pad="..", '))
    wrong = NET.replace("fc(classes)", "fc(clases)")
    assert start(f"# 𝄞\n{wrong}", "E0201") == (11, 13)
    assert start(wrong.replace("\n", "\r\n"), "E0201") == (10, 13)


@pytest.mark.parametrize(("encoding", "size"), [("utf-16", 1), ("utf-8", 3)])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, encoding: str, size: int) -> None:
    """As in files; what stands behind it is found where editors have it."""
    client = Client(tmp_path, encoding)
    text = "\ufeffblock b { relu }\nnetwork net {\n    input x [3, 8, 8]\n    b\n}\n"
    (found,) = client.open("net.cnn", text.replace("relu", "rleu"))
    assert found["code"] == "E0201"
    assert found["range"]["start"] == {"line": 0, "character": size + len("block b { ")}
    assert client.open("net.cnn", text) == []
    options = {"tabSize": 4, "insertSpaces": True}
    (edit,) = client.about("formatting", "net.cnn", options=options)
    assert edit["newText"] == format_source(text[1:])
    assert edit["range"]["start"] == {"line": 0, "character": 0}
    assert client.stop() == 0


def test_a_text_without_a_file_is_served_like_others(net: Client) -> None:
    name = "untitled:Untitled-1"
    text = NET.replace("unit.cnn", "resnet.cnn").replace("unit", "bottleneck")
    text = text.replace("conv(64, 1)", "conv(channels, 1)")
    assert net.open(name, text.replace("16", "sixteen"))[0]["code"] == "E0201"
    assert net.open(name, text) == []
    offset = text.index("pair(")
    assert net.at("definition", name, offset)["uri"] == name
    assert list(net.at("rename", name, offset, newName="twice")["changes"]) == [name]
    net.close(name)


def test_an_editor_chooses_its_encoding_and_its_warnings(tmp_path: Path) -> None:
    """A process of its own: both are agreed on when it starts."""
    client = Client(tmp_path, "utf-8", {"select": ["W03"], "ignore": ["W0304"]})
    assert client.capabilities["positionEncoding"] == "utf-8"
    text = "network net {\n    input image [3, 8, 8]\n    conv(12, 3) -> bn -> conv(8, 1)\n}\n"
    (found,) = client.open("net.cnn", text)
    assert found["code"] == "W0305"
    wide = text.replace("conv(8, 1)", 'conv(8, pad="€", nix=1)')
    (found,) = client.open("net.cnn", wide)
    assert found["range"]["start"]["character"] == len(
        '    conv(12, 3) -> bn -> conv(8, pad="...", '
    )
    assert client.stop() == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"select": "W0305"}, ["select"]),
        ({"select": {"W0305": True}, "ignore": 7}, ["select", "ignore"]),
        ({"select": ["W03", None]}, ["select"]),
        ([["select", "W03"]], ["settings"]),
        ({"select": None, "ignore": []}, []),
    ],
)
def test_settings_of_a_wrong_type_count_as_not_given_and_are_told(
    tmp_path: Path, options: Any, said: list[str]
) -> None:
    client = Client(tmp_path, options=options)
    text = "network net {\n    input image [3, 8, 8]\n    conv(12, 3) -> bn -> conv(8, 1)\n}\n"
    assert client.open("net.cnn", text) == []
    notes = [n["params"] for n in client.notes if n.get("method") == "window/showMessage"]
    assert len(notes) == len(said)
    assert all(word in note["message"] for word, note in zip(said, notes, strict=True))
    assert client.stop() == 0


def test_what_cannot_be_read_or_says_nothing_is_no_failure(net: Client) -> None:
    (net.folder / "bad.cnn").write_bytes(b"\xff\xfe network")
    for name, code in (("none.cnn", "E0601"), ("bad.cnn", "E0603")):
        with pytest.raises(RuntimeError) as caught:
            net.about("documentSymbol", name)
        assert str(caught.value).startswith(f"error[{code}]")
    document = {"uri": net.uri("net.cnn"), "version": 9}
    net.notify("textDocument/didChange", textDocument=document, contentChanges=[])
    assert hovered(net, "fc(classes)").startswith("```cnn\nfc")
