import json

import pytest

from cnndsl.runtime.cache import Store


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNDSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_status(call, folder):
    assert call("cache", "status").out == f"{folder}\n"
    Store("objects").put("a", bytes(968))
    Store("objects").put("b", bytes(968))
    listed = call("cache", "status").out.splitlines()
    assert listed == [str(folder), "kind     entries     size", "objects        2  2.00 kB"]
    data = json.loads(call("cache", "status", "--json").out)
    assert data["folder"] == str(folder)
    assert data["kinds"] == [{"kind": "objects", "entries": 2, "bytes": 2000}]


def test_status_tells_of_a_folder_that_is_not_used(call, folder):
    folder.mkdir()
    folder.chmod(0o777)
    shown = call("cache", "status")
    assert shown.out == f"{folder}\n"
    assert "others own it or may write to it" in shown.err
    assert json.loads(call("cache", "status", "--json").out)["used"] is False


def test_clear(call):
    Store("objects").put("a", bytes(968))
    assert call("cache", "clear").out == "1 entries removed, 1.00 kB freed\n"
    assert call("cache", "clear").out == "0 entries removed, 0 B freed\n"
    assert Store("objects").get("a") is None


def test_turned_off(call, monkeypatch):
    monkeypatch.setenv("CNNDSL_CACHE", "off")
    assert call("cache", "status").out == "the cache is turned off\n"
    assert json.loads(call("cache", "status", "--json").out)["folder"] is None
    assert call("cache", "clear").code == 0


def test_compile_tells_what_it_built(call):
    first = call("compile", "small.cnn", "--target", "cpu", "--seed", 0)
    second = call("compile", "small.cnn", "--target", "cpu", "--seed", 0)
    assert "functions built, 0 from the cache, 0 fallbacks" in first.err
    assert "0 functions built, " in second.err
    assert "0 from the cache" not in second.err
