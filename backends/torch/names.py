"""Names that Python and PyTorch take."""

from __future__ import annotations

import keyword
import re
from collections.abc import Container

TAKEN = frozenset(
    word
    for line in (
        "T_destination add_module apply bfloat16 buffers call_super_init children compile cpu",
        "cuda double dump_patches eval extra_repr float forward get_buffer get_extra_state",
        "get_parameter get_submodule half ipu load_state_dict modules mtia named_buffers",
        "named_children named_modules named_parameters parameters register_backward_hook",
        "register_buffer register_forward_hook register_forward_pre_hook",
        "register_full_backward_hook register_full_backward_pre_hook",
        "register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module",
        "register_parameter register_state_dict_post_hook register_state_dict_pre_hook",
        "requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty",
        "train training type xpu zero_grad",
    )
    for word in line.split()
)
"""Attributes of `nn.Module`, which no module may be called."""

LOCAL = frozenset(("self", "torch", "nn", "F", "math", "super", "range"))


def python_name(text: str) -> str:
    """A name as an argument or a variable."""
    name = re.sub(r"\W", "_", text)
    name = f"n{name}" if not name or name[0].isdigit() else name
    return f"{name}_" if keyword.iskeyword(name) or name in LOCAL else name


def free_name(text: str, taken: Container[str]) -> str:
    """A name for what a module may keep: not `taken`, and no attribute of `nn.Module`."""
    name = python_name(text.lstrip("_"))
    while name in TAKEN or name in taken:
        name += "_"
    return name


def class_name(text: str) -> str:
    """A name as that of a class: words begin with capitals."""
    words = [word for word in re.split(r"\W|_", text) if word]
    name = "".join(word[0].upper() + word[1:] for word in words)
    name = name if name[:1].isalpha() else f"Part{name}"
    return f"{name}_" if keyword.iskeyword(name) else name


def is_attribute(name: str) -> bool:
    """Whether a module of this name can be reached as an attribute."""
    usable = name.isidentifier() and not keyword.iskeyword(name)
    return usable and name not in TAKEN and not name.startswith("_")
