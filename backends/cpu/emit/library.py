"""A compiled network as a C library: a folder of what programs in other languages need."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cnndsl.backends.cpu.codegen.compilers import Compiler, compiler_for
from cnndsl.backends.cpu.codegen.toolchain import C_FLAGS, RUNTIME
from cnndsl.backends.cpu.cpus import Triple, host_architecture
from cnndsl.backends.cpu.emit import example, recipe, weights
from cnndsl.backends.cpu.emit.templates import FOLDER, filled
from cnndsl.backends.cpu.machine import LEVELS, Machine
from cnndsl.backends.native.artefact import Artefact
from cnndsl.backends.native.packing import ALIGNMENT, FLOAT
from cnndsl.diagnostics import CnnError
from cnndsl.runtime.files import atomic_folder
from cnndsl.runtime.module import Array, Port

INTERNAL = (
    "program",
    "permit",
    "run",
    "stop",
    "hold",
    "release",
    "meet",
    "process",
    "recipe",
    "pack",
    "find_tensors",
)
"""Names of the runtime, behind `cnndsl_`."""
PUBLIC = [
    "status_text",
    "create",
    "create_from_memory",
    "create_embedded",
    "destroy",
    "set_weights",
    "set_weights_from_memory",
    "set_threads",
    "input",
    "output",
    "arena_bytes",
    "run",
]
"""Names of the interface, behind the network's."""
X86_CHECKS = [
    "popcnt",
    "sse4.1",
    "avx",
    "avx2",
    "fma",
    "bmi",
    "bmi2",
    "avx512f",
    "avx512vl",
    "avx512bw",
    "avx512dq",
    "avx512cd",
    "avx512ifma",
    "avx512vbmi",
]
"""Features that all compilers can ask for."""
X86_BITS = {
    "movbe": (1, 0, 2, 22),
    "f16c": (1, 0, 2, 29),
    "avx512vbmi2": (7, 0, 2, 6),
    "gfni": (7, 0, 2, 8),
    "vaes": (7, 0, 2, 9),
    "vpclmulqdq": (7, 0, 2, 10),
    "avx512vnni": (7, 0, 2, 11),
    "avx512bitalg": (7, 0, 2, 12),
    "avx512vpopcntdq": (7, 0, 2, 14),
    "avxvnni": (7, 1, 0, 4),
    "avx512bf16": (7, 1, 0, 5),
    "lzcnt": (0x80000001, 0, 2, 5),
}
"""The others: leaf and subleaf of CPUID, the register (0 is EAX), the bit.

Sources: Intel's and AMD's manuals of instructions. Those of AMX are not among them: the runtime
asks the system for its tiles.
"""
HWCAP = {
    "aarch64": {"neon": 1 << 1, "dotprod": 1 << 20, "sve": 1 << 22},
    "arm": {"neon": 1 << 12 | 1 << 16},
    "riscv64": {"v": 1 << ord("v") - ord("a")},
}
"""Bits of AT_HWCAP (Linux, asm/hwcap.h); on 32 bits NEON and the multiply-adds of VFPv4."""
HWCAP2 = {"aarch64": {"bf16": 1 << 14}}
"""Bits of AT_HWCAP2."""

HEADERS = """
    assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign
    stdarg stdatomic stdbit stdbool stdckdint stddef stdint stdio stdlib stdnoreturn string tgmath
    threads time uchar wchar wctype
    aio cpio dirent dlfcn fcntl fmtmsg fnmatch ftw glob grp iconv langinfo libgen monetary mqueue
    ndbm netdb nl_types poll pthread pwd regex sched search semaphore spawn strings syslog tar
    termios trace ulimit unistd utime utmpx wordexp
    alloca byteswap elf endian features link malloc memory ucontext
"""
"""Headers of C23, of POSIX.1-2017 and of C libraries: one in the library's folder hides them."""
LIBRARIES = ("c", "dl", "gcc", "gcc_s", "m", "rt", "util")
"""System libraries that -lNAME links."""
FUNCTIONS = ("auth", "clnt", "cnd", "epoll", "mtx", "sem", "svc", "thrd", "timer", "tss", "xdr")
"""Prefixes of functions of C libraries that end as some of `PUBLIC` do, such as `sem_destroy`."""


@dataclass(frozen=True)
class Emitted:
    """What a library is made of beside the artefact.

    `name` begins all its symbols. `kernels` are object files by symbol, `table` is the program in
    C. With `embeds` the library holds its weights.
    """

    name: str
    machine: Machine
    kernels: Mapping[str, bytes]
    table: str
    embeds: bool = False

    @property
    def triple(self) -> Triple | None:
        """That of the machine, unless it is this one."""
        return Triple.of(self.machine.triple) if self.machine.triple else None

    @property
    def shared_suffix(self) -> str:
        """The ending of shared libraries."""
        return ".dylib" if self.triple and self.triple.is_apple else ".so"


def symbol_name(network: str) -> str:
    """The name of a network as a prefix of symbols in C. Raises CnnError (E0615)."""
    name = re.sub(r"\W", "_", network, flags=re.ASCII)
    if not re.match(r"[A-Za-z]", name) or name.startswith("cnndsl"):
        raise CnnError.of(
            "E0615", f"{network!r} cannot begin names in C", hint="rename the network"
        )
    return name


def library_name(network: str) -> str:
    """The name of a network as that of a library, its header and CMake's package.

    Raises CnnError (E0615) if the system has one of that name.
    """
    name = symbol_name(network)
    hint = "rename the network"
    if name.lower() in HEADERS.split():
        raise CnnError.of("E0615", f"{name}.h is a header of the C library", hint=hint)
    if name.lower() in LIBRARIES:
        raise CnnError.of("E0615", f"lib{name} is a library of the system", hint=hint)
    if name in FUNCTIONS:
        raise CnnError.of("E0615", f"the C library has functions named {name}_…", hint=hint)
    if name == "shared":
        message = "shared::shared is the shared library in CMake, and cannot be the static one"
        raise CnnError.of("E0615", message, hint=hint)
    return name


def write_library(path: str | Path, emitted: Emitted, artefact: Artefact) -> None:
    """Write the folder, whole or not at all.

    Raises CnnError: E0602 if it cannot be written, E0721 if the C compiler fails.
    """
    net, compiler = emitted.name, compiler_for(emitted.machine.triple)
    shared = f"lib{net}{emitted.shared_suffix}"
    words = _words(emitted, artefact)
    with (
        tempfile.TemporaryDirectory(prefix="cnndsl-") as scratch,
        atomic_folder(path, _all_files(net)) as folder,
    ):
        for template, file in _texts(net).items():
            (folder / file).write_text(filled(template, words))
        (folder / "example.c").write_text(example.source(net, artefact, emitted.embeds))
        data = Path(scratch) / f"{net}.weights" if emitted.embeds else folder / f"{net}.weights"
        _write_weights(data, artefact)
        objects = _objects(emitted, artefact, words, Path(scratch), compiler, data)
        compiler.archive(objects, folder / f"lib{net}.a")
        _link(emitted, objects, folder / shared, Path(scratch), compiler)


def _texts(net: str) -> dict[str, str]:
    """The files that a template alone gives."""
    return {
        "library.h.in": f"{net}.h",
        "config.cmake.in": f"{net.lower()}-config.cmake",
        "CMakeLists.txt.in": "CMakeLists.txt",
    }


def all_files(network: str) -> list[str]:
    """All files that the library of a network may have, on any system. Raises CnnError (E0615)."""
    return _all_files(library_name(network))


def _all_files(net: str) -> list[str]:
    libraries = [f"lib{net}{suffix}" for suffix in (".a", ".so", ".dylib")]
    return [*libraries, f"{net}.weights", *_texts(net).values(), "example.c"]


def _files(emitted: Emitted) -> list[str]:
    net = emitted.name
    weight_files = [] if emitted.embeds else [f"{net}.weights"]
    libraries = [f"lib{net}.a", f"lib{net}{emitted.shared_suffix}"]
    return [*libraries, *weight_files, *_texts(net).values(), "example.c"]


def _words(emitted: Emitted, artefact: Artefact) -> dict[str, str]:
    """What stands in the templates for their marks."""
    net, packing = emitted.name, artefact.packing
    batch = int(artefact.program["batch"])
    inputs, outputs = (_tensors(ports, batch) for ports in (artefact.inputs, artefact.outputs))
    installed = [name for name in _files(emitted) if name not in ("example.c", "CMakeLists.txt")]
    embedded = filled("embedded.h.in", {"net": net, "NET": net.upper()}) if emitted.embeds else ""
    return {
        "net": net,
        "NET": net.upper(),
        "inputs": _described(artefact.inputs, batch),
        "outputs": _described(artefact.outputs, batch),
        "input_count": str(len(artefact.inputs)),
        "output_count": str(len(artefact.outputs)),
        "indent": " " * 12,
        "embedded": embedded,
        "header": (FOLDER / "library.h.in").read_text("utf-8"),
        "prefix": json.dumps(weights.PREFIX),
        "prefix_bytes": str(len(weights.PREFIX)),
        "layout": weights.layout_of(packing),
        "header_bytes": str(len(weights.header(packing)) - 8),
        "weight_words": str(packing.size),
        "arena_bytes": str(-(-int(artefact.program["arena"]) // ALIGNMENT) * ALIGNMENT),
        "tensors": f"{_shapes('input', inputs)}\n{_shapes('output', outputs)}",
        "x86_checks": _x86_checks(emitted.machine),
        "hwcap": str(_bits(HWCAP, emitted)),
        "hwcap2": str(_bits(HWCAP2, emitted)),
        "shared_suffix": emitted.shared_suffix,
        "files": " ".join(installed),
    }


def _x86_checks(machine: Machine) -> str:
    asked = [f'__builtin_cpu_supports("{name}")' for name in X86_CHECKS if name in machine.features]
    for name, (leaf, subleaf, register, bit) in X86_BITS.items():
        if name in machine.features:
            asked.append(f"has_bit({leaf}u, {subleaf}, {register}, {bit})")
    return "".join(f"\n        && {check}" for check in asked)


def _bits(table: Mapping[str, Mapping[str, int]], emitted: Emitted) -> int:
    architecture = emitted.triple.architecture if emitted.triple else host_architecture()
    features = {*emitted.machine.features, *LEVELS[emitted.machine.extension][0]}
    return sum(bit for name, bit in table.get(architecture, {}).items() if name in features)


def _tensors(ports: Sequence[Port], batch: int) -> list[tuple[str, tuple[int, ...]]]:
    return [(port.name, (batch, *map(int, port.type.sizes))) for port in ports]


def _described(ports: Sequence[Port], batch: int) -> str:
    return "\n".join(
        f"       {name}  {' x '.join(map(str, shape))}" for name, shape in _tensors(ports, batch)
    )


def _shapes(kind: str, tensors: Sequence[tuple[str, tuple[int, ...]]]) -> str:
    """The description of inputs or outputs, in C."""
    lines, rows = [], []
    for index, (name, shape) in enumerate(tensors):
        sizes, count = ", ".join(map(str, shape)), FLOAT
        for size in shape:
            count *= size
        lines.append(f"static const int64_t {kind}{index}[] = {{{sizes}}};")
        rows.append(f"    {{{json.dumps(name)}, {len(shape)}, {kind}{index}, {count}u}},")
    return "\n".join([*lines, f"static const @net@_tensor {kind}s[] = {{", *rows, "};"])


def _write_weights(path: Path, artefact: Artefact) -> None:
    head, words = weights.content(artefact.packing, artefact.weights)
    with path.open("wb") as file:
        file.write(head)
        file.write(_bytes(words))


def _bytes(words: Array) -> memoryview:
    return words.data.cast("B") if words.size else memoryview(b"")


def _objects(
    emitted: Emitted,
    artefact: Artefact,
    words: Mapping[str, str],
    scratch: Path,
    compiler: Compiler,
    data: Path,
) -> list[Path]:
    """The object files of the kernels, the program, the runtime and the interface."""
    net = emitted.name
    embedded = {**words, "path": _assembler_string(data)}
    code = filled("embedded.c.in", embedded) if emitted.embeds else ""
    texts = {
        "program": emitted.table,
        "recipe": recipe.source(artefact.packing),
        "pack": (FOLDER / "pack.c").read_text(),
        "safetensors": (FOLDER / "safetensors.c").read_text(),
        "runtime": RUNTIME.read_text(),
        "interface": filled("library.c.in", {**words, "embedded_code": code}),
    }
    names = [f"-Dcnndsl_{name}={net}_cnndsl_{name}" for name in INTERNAL]
    places = [f"-I{place}" for place in (FOLDER, RUNTIME.parent)]
    flags = [*C_FLAGS, *names, "-DCNNDSL_PUBLIC=", *places]
    objects = []
    for symbol, content in emitted.kernels.items():
        objects.append(scratch / f"{symbol}.o")
        objects[-1].write_bytes(content)
    for name, text in texts.items():
        objects.append(scratch / f"{net}_{name}.o")
        compiler([*flags, "-c", "-x", "c", "-o", str(objects[-1]), "-"], text)
    return objects


def _assembler_string(path: Path) -> str:
    """A literal in C of a literal of the assembler, without marks of templates."""
    text = json.dumps(str(path), ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False).replace("@", r"\100")


def _link(
    emitted: Emitted, objects: Sequence[Path], library: Path, scratch: Path, compiler: Compiler
) -> None:
    """Link the shared library, which shows nothing but the interface."""
    net, names = emitted.name, scratch / "names"
    own = [name for name in PUBLIC if emitted.embeds or name != "create_embedded"]
    public = [f"{net}_{name}" for name in own]
    if emitted.triple and emitted.triple.is_apple:
        names.write_text("".join(f"_{name}\n" for name in public))
        list_option, settings = "-exported_symbols_list", [f"install_name,@rpath/{library.name}"]
    else:
        names.write_text(f"{{ global: {'; '.join(public)}; local: *; }};\n")
        list_option = "-version-script"
        settings = ["Bsymbolic,-z,defs,-s", f"soname,{library.name}"]
    # A path may have a comma, at which -Wl, divides.
    listed = [word for part in (list_option, str(names)) for word in ("-Xlinker", part)]
    linker = [*listed, *(f"-Wl,-{setting}" for setting in settings)]
    compiler(["-shared", "-pthread", *linker, "-o", str(library), *map(str, objects), "-lm"])
