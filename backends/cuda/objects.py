"""Device code of kernels: from the cache, or from the compiler, several at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from cnndsl import __version__
from cnndsl.backends.cuda.source import Source, shared_text
from cnndsl.backends.cuda.toolchain import (
    FLAGS,
    Resources,
    assemble,
    require_compiler,
    to_ptx,
    versions,
)
from cnndsl.runtime.cache import Store
from cnndsl.runtime.options import Progress, silent

CHUNK = 16
"""Kernels at most that nvcc translates in one go: it reads what they share once."""


@dataclass(frozen=True)
class Code:
    """A kernel's cubin, and what it needs of a multiprocessor."""

    cubin: bytes
    resources: Resources


def make_code(
    sources: Mapping[str, Source], progress: Progress = silent
) -> tuple[dict[str, Code], int]:
    """The code of kernels by name from their sources, and how many came from the cache.

    The others are compiled on all cores. Code in the cache is used if this machine's compiler
    made it, or if there is no compiler here. Raises CnnError (E0741) if a compiler is needed, and
    missing or fails.
    """
    store, compiler = Store("kernels"), versions()
    found = {
        name: code
        for name, source in sources.items()
        if (code := _read(store.get(_key(source)), compiler)) is not None
    }
    hits = len(found)
    progress("compiling", hits, len(sources))
    missing = {name: source for name, source in sources.items() if name not in found}
    if missing:
        require_compiler()
    for made in _compiled(missing):
        for name, code in made.items():
            store.put(_key(sources[name]), _written(code, compiler))
        found |= made
        progress("compiling", len(found), len(sources))
    if missing:
        store.trim()
    return found, hits


def _compiled(sources: Mapping[str, Source]) -> Iterator[dict[str, Code]]:
    """The code of kernels in chunks, as many at a time as there are cores."""
    cores = os.cpu_count() or 1
    size = min(CHUNK, -(-len(sources) // cores))
    chunks: list[tuple[list[str], str]] = []
    for arch in sorted({source.arch for source in sources.values()}):
        texts = [source.text for source in sources.values() if source.arch == arch]
        chunks += [(texts[i : i + size], arch) for i in range(0, len(texts), size)]
    with ThreadPoolExecutor(cores) as pool:
        yield from pool.map(lambda chunk: _compile(*chunk), chunks)


def _compile(texts: Sequence[str], arch: str) -> dict[str, Code]:
    ptx = to_ptx("\n".join([shared_text(), *texts]), arch)
    return {name: Code(*assemble(name, text, arch)) for name, text in ptx.items()}


def _key(source: Source) -> str:
    """All that the code of a kernel follows from, but for the compiler."""
    return repr((__version__, source.arch, FLAGS, shared_text(), source.text))


def _written(code: Code, compiler: str | None) -> bytes:
    head = {"compiler": compiler, "resources": asdict(code.resources)}
    return json.dumps(head).encode() + b"\n" + code.cubin


def _read(entry: bytes | None, compiler: str | None) -> Code | None:
    if entry is None:
        return None
    head, _, cubin = entry.partition(b"\n")
    facts = json.loads(head)
    if compiler not in (None, facts["compiler"]):
        return None
    return Code(cubin, Resources(**facts["resources"]))
