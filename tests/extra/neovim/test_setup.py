"""Neovim with nothing but the lines of docs/editors.md, as a person has it who copies them.

NVIM names another program than the `nvim` on the path; it has to be 0.11 or newer.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
TEXT = """network n {
    input x [3, 8, 8]
    conv(4, 3) -> rellu
}
"""
ASK = """
local function wait(found) assert(vim.wait(60000, found, 50), "no answer in a minute") end
wait(function() return #vim.diagnostic.get(0) > 0 end)
local text = vim.lsp.util.make_text_document_params()
local place = { textDocument = text, position = { line = 2, character = 5 } }
local hover = vim.lsp.buf_request_sync(0, "textDocument/hover", place, 60000)
local _, answer = next(hover)
local clients = vim.lsp.get_clients({ bufnr = 0 })
local told = {
  filetype = vim.bo.filetype,
  clients = vim.tbl_map(function(client) return client.name end, clients),
  findings = vim.diagnostic.get(0),
  hover = answer.result.contents,
}
vim.fn.writefile({ vim.json.encode(told) }, "told.json")
vim.cmd("qa!")
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("neovim")
    page = (ROOT / "docs" / "editors.md").read_text("utf-8")
    lines = re.search(r"## Neovim.*?```lua\n(.*?)```", page, re.DOTALL)
    assert lines
    assert lines[1].count("\n") == 3
    (folder / "init.lua").write_text(lines[1])
    (folder / "ask.lua").write_text(ASK)
    (folder / "net.cnn").write_text(TEXT)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        [os.environ.get("NVIM", "nvim"), "--headless", "-u", "init.lua", "-i", "NONE", "net.cnn",
         "-c", "luafile ask.lua"],
        cwd=folder, env={**os.environ, "PATH": path}, check=True, timeout=180,
    )  # fmt: skip
    return json.loads((folder / "told.json").read_text())


def test_the_server_is_started_for_a_network(told: Any) -> None:
    assert told["filetype"] == "cnn"
    assert told["clients"] == ["cnndsl"]


def test_a_finding_stands_at_its_place(told: Any) -> None:
    (finding,) = told["findings"]
    assert (finding["code"], finding["lnum"], finding["col"]) == ("E0201", 2, 18)
    assert "rellu" in finding["message"]


def test_hover_tells_of_the_operator(told: Any) -> None:
    assert "conv" in told["hover"]["value"]
