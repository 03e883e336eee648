"""How a network is trained, and the defaults of a network that does not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from cnndsl.diagnostics import CnnError
from cnndsl.diagnostics.spelling import did_you_mean

LOSSES = ("auto", "cross_entropy", "mse", "map")
OPTIMISERS = ("adamw", "adam", "sgd", "nesterov", "velocity", "rmsprop")
SCHEDULES = ("cosine", "constant", "step", "exponential")


def setting(default: Any, text: str, *, least: float = 0, most: float = float("inf"),
            choices: tuple[str, ...] = ()) -> Any:  # fmt: skip
    """A field with its help, and what it may be; lower and upper limit are allowed."""
    facts = {"help": text, "least": least, "most": most, "choices": choices}
    return field(default=default, metadata=facts)


@dataclass(frozen=True)
class Recipe:
    """Loss, optimiser, schedule and the rest. Raises CnnError (E0615) for a wrong value.

    The loss `auto` is `map` for outputs that are distances, and `cross_entropy` for others. `map`
    is the criterion of LeCun et al. (1998), equation 9. `velocity` is momentum with rate and decay
    inside of the velocity (Krizhevsky et al. 2012, section 5); the other optimisers are PyTorch's.
    """

    loss: str = setting("auto", "What is made small.", choices=LOSSES)
    smoothing: float = setting(0.0, "Label smoothing of cross_entropy.", most=1)
    optimiser: str = setting("adamw", "Steps by gradients.", choices=OPTIMISERS)
    rate: float = setting(1e-3, "Learning rate of the schedule's start.")
    momentum: float = setting(0.9, "Of sgd, nesterov, velocity and rmsprop.", most=1)
    decay: float = setting(1e-2, "Weight decay.")
    schedule: str = setting("cosine", "How the rate falls.", choices=SCHEDULES)
    factor: float = setting(0.1, "Of step, and of exponential for each epoch.", most=1)
    every: int = setting(30, "Epochs between the steps of step.", least=1)
    warmup: float = setting(0.0, "Epochs in which the rate grows to its start.")
    batch: int = setting(32, "Samples of a step, on all processes together.", least=1)
    epochs: int = setting(20, "Passes over the data.", least=1)
    clip: float = setting(0.0, "Largest norm of all gradients; 0 for any.")
    average: float = setting(0.0, "Decay of the moving average of weights; 0 for none.", most=1)
    precision: str = setting("f32", "Mixed precision.", choices=("f32", "bf16", "f16"))
    flip: float = setting(0.0, "Probability of a horizontal flip.", most=1)
    shift: int = setting(0, "Random shifts by up to so many positions, filled with zeros.")
    colour: float = setting(0.0, "Deviation of PCA colour noise (Krizhevsky et al. 2012).")

    def __post_init__(self) -> None:
        for item in fields(self):
            check_setting(item.name, getattr(self, item.name), item.default, item.metadata)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The defaults with other values by name. Raises CnnError (E0615) for unknown names."""
        known = [item.name for item in fields(cls)]
        for name in given:
            if name not in known:
                hint = did_you_mean(name, known) or f"there are: {', '.join(known)}"
                raise CnnError.of("E0615", f"a recipe has no {name!r}", hint=hint)
        known_floats = {item.name for item in fields(cls) if isinstance(item.default, float)}
        whole: dict[str, Any] = {
            name: float(value) if type(value) is int and name in known_floats else value
            for name, value in given.items()
        }
        return cls(**whole)

    def as_dict(self) -> dict[str, Any]:
        """All settings by name."""
        return asdict(self)


def check_setting(name: str, value: Any, default: Any, facts: Mapping[str, Any]) -> None:
    """Raise CnnError (E0615) unless a value fits its field."""
    if facts["choices"]:
        if value not in facts["choices"]:
            known = ", ".join(facts["choices"])
            hint = did_you_mean(str(value), facts["choices"])
            raise CnnError.of("E0615", f"{name} is one of {known}, not {value!r}", hint=hint)
        return
    if type(value) is not type(default) or not facts["least"] <= value <= facts["most"]:
        kind = "a whole number" if isinstance(default, int) else "a number"
        most = "" if facts["most"] == float("inf") else f" to {facts['most']:g}"
        raise CnnError.of("E0615", f"{name} is {kind} from {facts['least']:g}{most}, not {value!r}")
