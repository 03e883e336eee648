"""The compiled module of the target `wasm`: a folder for pages and Node, where it runs here."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cnndsl.backends.cpu.emit import weights
from cnndsl.backends.cpu.emit.example import photo_words, takes_photo
from cnndsl.backends.cpu.emit.templates import filled
from cnndsl.backends.native.artefact import Artefact
from cnndsl.backends.native.module import NativeModule
from cnndsl.backends.native.packing import FLOAT
from cnndsl.diagnostics import CnnError
from cnndsl.runtime.classes import class_names
from cnndsl.runtime.files import atomic_folder
from cnndsl.runtime.module import Array, Port

CODE, TEAM_CODE = "module.wasm", "threads.wasm"
"""The files of an artefact that hold the code for one thread, and for several if it has such."""
STACK = 1 << 18
"""Bytes of the stack of a thread."""
MOST_THREADS = 64
"""Threads that compute together at most."""
TEMPLATES = Path(__file__).parent
RUN = """
import { load } from "./%s.js";
import { readFile, writeFile } from "node:fs/promises";
const network = await load();
const given = (await readFile("input")).buffer, found = [];
const sizes = network.inputs.map((x) => x.shape.reduce((a, b) => a * b, 1));
for (let place = 0; place < given.byteLength;) {
  const arrays = sizes.map((size) => {
    place += 4 * size;
    return new Float32Array(given.slice(place - 4 * size, place));
  });
  found.push(...(await network.run(...arrays)).map((x) => new Uint8Array(x.buffer)));
}
await writeFile("output", Buffer.concat(found));
"""
"""Runs batches; the files hold all inputs, or all outputs, of one after the other."""


def all_files(net: str) -> list[str]:
    """All files that the folder of a network may have, which is called `net` in C."""
    ends = ("js", "worker.js", "d.ts", "wasm", "threads.wasm", "weights")
    return [*(f"{net}.{end}" for end in ends), "index.html"]


class WasmModule(NativeModule):
    """Code in WebAssembly; `save` writes the folder, `run` needs Node."""

    KEPT = (*NativeModule.KEPT, "_net")

    def __init__(self, artefact: Artefact, net: str = ""):
        super().__init__(artefact)
        self._net = net

    def save(self, path: str | Path) -> None:
        """Write the folder, whole or not at all. Raises CnnError (E0602)."""
        net = self._net
        texts = {"network.js.in": f"{net}.js", "network.d.ts.in": f"{net}.d.ts"}
        code = {CODE: f"{net}.wasm"}
        if TEAM_CODE in self._artefact.code:
            texts["worker.js.in"] = f"{net}.worker.js"
            code[TEAM_CODE] = f"{net}.threads.wasm"
        if takes_photo(self._artefact):
            texts["index.html.in"] = "index.html"
        with atomic_folder(path, all_files(net)) as folder:
            for template, name in texts.items():
                text = filled(template, self._words(), TEMPLATES)
                (folder / name).write_text(text, encoding="utf-8")
            for part, name in code.items():
                (folder / name).write_bytes(self._artefact.code[part])
            head, words = weights.content(self._artefact.packing, self._artefact.weights)
            with (folder / f"{net}.weights").open("wb") as file:
                file.write(head)
                file.write(words.tobytes())

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Compute all outputs in Node. Raises CnnError (E0725) without it."""
        node = shutil.which("node")
        if node is None:
            raise CnnError.of(
                "E0725", "WebAssembly is run by Node, which is not here", hint="install nodejs"
            )
        results = self._empty_results(arrays)
        with tempfile.TemporaryDirectory(prefix="cnndsl-") as name:
            folder = Path(name) / "network"
            self.save(folder)
            (folder / "run.mjs").write_text(RUN % self._net)
            (folder / "package.json").write_text('{"type": "module"}')
            with (folder / "input").open("wb") as file:
                for (part,) in self._batches(arrays):
                    for port in self.inputs:
                        file.write(np.ascontiguousarray(part[port.name], np.float32).tobytes())
            done = subprocess.run(
                [node, "run.mjs"], cwd=folder, capture_output=True, text=True, check=False
            )
            if done.returncode:
                lines = done.stderr.strip().splitlines() or ["no reason given"]
                reason = next((line for line in lines if "Error" in line), lines[-1])
                raise CnnError.of("E0725", f"Node failed: {reason}")
            numbers = np.fromfile(folder / "output", np.float32)
        start = 0
        for (part,) in self._batches(results):
            for port in self.outputs:
                target = part[port.name]
                target[...] = numbers[start : start + target.size].reshape(target.shape)
                start += target.size
        return results

    def _words(self) -> dict[str, str]:
        """What stands in the templates for their marks."""
        packing, net = self._artefact.packing, self._net
        words = {
            "net": net,
            "inputs": json.dumps(self._tensors(self.inputs)),
            "outputs": json.dumps(self._tensors(self.outputs)),
            "input_text": self._text(self.inputs),
            "output_text": self._text(self.outputs),
            "header_bytes": str(len(weights.header(packing)) - 8),
            "weight_bytes": str(FLOAT * packing.size),
            "threads": str(self._artefact.program["threads"]),
            "most_threads": str(MOST_THREADS),
            "memory_bytes": str(self._artefact.program["memory"]),
            "stack_bytes": str(STACK),
            "prefix": json.dumps(weights.PREFIX),
            "layout": weights.layout_of(packing),
        }
        if not takes_photo(self._artefact):
            return words
        channels, height, width = map(int, self.inputs[0].type.sizes)
        photo = photo_words(channels, height, width, self._artefact)
        numbers = {name: photo[name].replace("f", "") for name in ("mean", "std")}
        names = class_names(int(photo["classes"])) or []
        return {**words, **photo, **numbers, "names": json.dumps(names, ensure_ascii=False)}

    def _tensors(self, ports: Sequence[Port]) -> list[dict[str, object]]:
        return [{"name": port.name, "shape": list(self.batch_shape(port))} for port in ports]

    def _text(self, ports: Sequence[Port]) -> str:
        shapes = [" x ".join(map(str, self.batch_shape(port))) for port in ports]
        return ", ".join(f"{p.name} {shape}" for p, shape in zip(ports, shapes, strict=True))
