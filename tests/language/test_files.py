"""Files that are no texts: pipes, devices, folders, links in circles, huge files."""

import os
import tracemalloc

import pytest

import cnndsl
from cnndsl.cli.main import main

NOBODY = 65534
SMALL = "network small { input image [3, 4, 4]\n conv(2, 3) }\n"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.cnn").write_text(SMALL)
    os.mkfifo("pipe.cnn")
    os.symlink("itself.cnn", "itself.cnn")
    os.symlink("nowhere", "lost.cnn")
    os.symlink("/dev/zero", "device.cnn")
    os.mkdir("folder.cnn")
    with open("huge.cnn", "wb") as file:
        file.truncate(1_500_000_000)
    return tmp_path


ODD = {
    "pipe": "E0601",
    "itself": "E0601",
    "lost": "E0601",
    "device": "E0601",
    "folder": "E0601",
    "huge": "E0505",
    "no/such": "E0601",
    "n" * 5000: "E0601",
}


def codes(attempt):
    with pytest.raises(cnndsl.CnnError) as caught:
        attempt()
    return [found.code for found in caught.value.diagnostics]


@pytest.mark.parametrize("name", ODD)
def test_they_are_refused(name):
    assert codes(lambda: cnndsl.check(f"{name}.cnn")) == [ODD[name]]
    assert codes(lambda: cnndsl.parse(f"{name}.cnn:net")) == [ODD[name]]


@pytest.mark.parametrize("name", ODD)
def test_importing_them_is_a_finding(name, folder):
    (folder / "main.cnn").write_text(f'import unit from "{name}.cnn"\n{SMALL}')
    found = [finding.code for finding in cnndsl.check("main.cnn")]
    assert found in (["E0218"], ["E0505"])


def test_a_mistyped_name_looks_into_texts_only(folder):
    assert cnndsl.parse("small.cnn").file == "good.cnn"
    assert codes(lambda: cnndsl.parse("smal.cnn")) == ["E0601"]


def test_a_mistyped_name_does_not_read_a_huge_file():
    cnndsl.zoo()
    codes(lambda: cnndsl.parse("smal.cnn"))
    tracemalloc.start()
    codes(lambda: cnndsl.parse("smal.cnn"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000_000


def test_a_folder_with_them_is_checked(capsys):
    assert main(["check", "."]) == 2
    out = capsys.readouterr().out
    assert "folder.cnn" not in out
    for name in ("pipe", "itself", "lost", "device", "huge"):
        assert f"{name}.cnn" in out


def test_what_lies_in_a_folder_that_one_may_not_enter_hides_nothing_else(folder, capsys):
    os.mkdir("locked")
    (folder / "locked" / "inside.cnn").write_text(SMALL)
    (folder / "wrong.cnn").write_text(SMALL.replace("conv", "con"))
    for path in folder.glob("*.cnn"):
        if path.name not in ("good.cnn", "wrong.cnn"):
            path.rmdir() if path.is_dir() else path.unlink()
    user = os.geteuid()
    os.chmod("locked", 0o644)
    os.chmod(folder, 0o755)
    os.seteuid(user or NOBODY)
    try:
        code = main(["check", "."])
        with pytest.raises(cnndsl.CnnError, match=r"E0601.*Permission denied"):
            cnndsl.load("locked/inside.onnx")
    finally:
        os.seteuid(user)
    out = capsys.readouterr().out
    assert code == 2
    assert "cannot read locked/inside.cnn: Permission denied" in out
    assert "unknown name 'con'" in out
