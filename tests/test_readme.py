"""What the documentation shows is true of the repository."""

import re
from fnmatch import fnmatch
from pathlib import Path

import cnndsl

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_network_at_the_top_is_resnet50():
    text = re.search(r"^```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)[1]
    shown, zoo = cnndsl.parse(text).graph, cnndsl.parse("resnet50").graph
    assert shown.parameters() == zoo.parameters()
    assert [(n.name, n.op) for n in shown.nodes()] == [(n.name, n.op) for n in zoo.nodes()]


def test_files_that_the_examples_write_are_ignored():
    ignored = (ROOT / ".gitignore").read_text().split()
    written = re.findall(r"(?:-o|--svg|writes) (\S+\.\w+)", README)
    assert written
    for name in [*written, *re.findall(r'save\("(.*?)"\)', README)]:
        assert any(fnmatch(f"/{name}", pattern) for pattern in ignored), name


def test_the_code_map_names_every_folder():
    packages = [*ROOT.glob("cnndsl/*/__init__.py"), *ROOT.glob("backends/*/__init__.py")]
    folders = {path.parent.relative_to(ROOT).as_posix() for path in packages}
    others = {"grammars", "networks", "demo", "tests", "benchmarks", "docs"}
    mapped = set(re.findall(r"^\| `([a-z/]+)/` \|", README, re.MULTILINE))
    assert mapped >= folders | others
    assert all((ROOT / folder).is_dir() for folder in mapped)


def test_links_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
