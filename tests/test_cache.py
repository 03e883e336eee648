from __future__ import annotations

import os
from pathlib import Path

import pytest

from cnndsl.runtime.cache import Store, Usage, cache_folder, clear, usage


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNDSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_put_is_found_under_its_key_and_kind():
    Store("a").put("key", b"content")
    assert Store("a").get("key") == b"content"
    assert Store("a").get("other key") is None
    assert Store("b").get("key") is None


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"\0" * 100])
def test_a_damaged_entry_is_none_until_it_is_put_again(content: bytes):
    store = Store("a")
    store.put("key", b"content")
    store.path("key").write_bytes(content)
    assert store.get("key") is None
    store.put("key", b"new")
    assert store.get("key") == b"new"


def test_a_flipped_bit_is_noticed():
    store = Store("a")
    store.put("key", b"content")
    stored = bytearray(store.path("key").read_bytes())
    stored[-1] ^= 1
    store.path("key").write_bytes(stored)
    assert store.get("key") is None


def test_entries_with_exchanged_contents_are_damaged():
    entries = [("a", "one"), ("a", "two"), ("b", "one")]
    for kind, key in entries:
        Store(kind).put(key, f"{kind} {key}".encode())
    paths = [Store(kind).path(key) for kind, key in entries]
    stored = [path.read_bytes() for path in paths]
    for path, content in zip(paths, stored[1:] + stored[:1], strict=True):
        path.write_bytes(content)
    assert [Store(kind).get(key) for kind, key in entries] == [None] * 3


@pytest.mark.parametrize("level", range(3))
def test_a_folder_that_others_may_write_is_not_used(folder: Path, level: int):
    Store("a").put("key", b"content")
    [folder, Store("a").path("key").parents[1], Store("a").path("key").parent][level].chmod(0o770)
    assert Store("a").get("key") is None
    Store("a").put("key", b"content")
    assert Store("a").get("key") is None


def test_a_folder_of_somebody_else_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch):
    Store("a").put("key", b"content")
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert Store("a").get("key") is None


def test_nobody_else_may_read_or_write_a_new_folder(folder: Path):
    before = os.umask(0)
    try:
        Store("a").put("key", b"content")
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert Store("a").get("key") == b"content"


def test_the_longest_unused_entries_go_first():
    store = Store("a")
    for age, key in enumerate("abcd"):
        store.put(key, bytes(1000))
        os.utime(store.path(key), (1e9 - age, 1e9 - age))
    store.get("d")
    store.trim(limit=2 * 1032)
    assert [key for key in "abcd" if store.get(key) is not None] == ["a", "d"]


def test_clearing_leaves_strangers_alone(folder: Path):
    Store("a").put("key", b"content")
    stranger = folder / "a" / "ab" / "thesis.txt"
    stranger.parent.mkdir(exist_ok=True)
    stranger.write_text("years of work")
    assert usage() == [Usage("a", 1, 32 + len(b"content"))]
    clear()
    assert usage() == []
    assert stranger.exists()


@pytest.mark.parametrize("place", ["off", "file", "/proc/none"])
def test_without_a_usable_folder_nothing_is_kept(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setenv("CNNDSL_CACHE", place)
    Store("a").put("key", b"content")
    Store("a").trim()
    assert Store("a").get("key") is None
    assert usage() == []
    clear()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_the_folder_follows_the_users_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CNNDSL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/cnndsl")
    monkeypatch.setenv("HOME", "/home/somebody")
    for unset in ("", "relative/caches", "."):
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert cache_folder() == Path("/home/somebody/.cache/cnndsl")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("/home/somebody/.cache/cnndsl")
