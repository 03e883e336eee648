"""Why a part of a model cannot be read."""

from __future__ import annotations


class Refusal(Exception):
    """A node, tensor or file that cannot be read; whoever knows the place adds it.

    Codes: E0801 damaged, E0802 no such operator here, E0803 not this form of it, E0804 the batch
    is not kept apart, E0805 too large, E0806 external data, E0807 no such tensor.
    """

    def __init__(self, code: str, message: str, hint: str | None = None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


def damaged(message: str) -> Refusal:
    """The model contradicts itself, or the format."""
    return Refusal(
        "E0801", message, "copy or export it anew; onnx.checker.check_model may say more"
    )


def unsupported(message: str, hint: str | None = None) -> Refusal:
    """The operator is known, but not with these attributes or operands."""
    return Refusal("E0803", message, hint)
