"""`MemoryPlan`: bytes of weights by component, and the most that each stage of a run takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["MemoryPlan"]


@dataclass(frozen=True)
class MemoryPlan:
    """The memory of a run, in bytes, as the device's pool counts it.

    Attributes:
        weights: those that stay on the device, by component.
        host: bytes of the weights that lie in memory of the host instead, by component.
        transformed: the part of ``weights`` that was computed of the file's, for quicker
            convolutions (Winograd's, and those behind an upsampling).
        stages: the most that the pool takes from the device in each stage, weights included.
        activations: the most that is in use beside the weights: feature maps, keys of the prompt,
            latents, and what a kernel needs for itself.
        least: the most that is in use at any time, loading included. The pool gives idle memory
            back when it comes to its limit, so a run may need no more.
        staging: memory of the host through which results are read.
        for_prompt: the part of ``host`` that makes keys and values of the prompt: networks that
            each step calls have it, but no step takes it.
        copy_rate: bytes a second of copies from the host; None where there are none, or none are
            made.
    """

    weights: Mapping[str, int]
    host: Mapping[str, int]
    transformed: int
    stages: Mapping[str, int]
    activations: int
    least: int
    staging: int
    for_prompt: int = 0
    copy_rate: float | None = field(default=None, compare=False)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights on the device."""
        return sum(self.weights.values())

    @property
    def repeated(self) -> int:
        """Bytes of the networks that each step calls, wherever they lie."""
        every = {name: self.weights[name] + self.host[name] for name in self.weights}
        return sum(each for name, each in every.items() if _is_repeated(name))

    @property
    def moved_per_call(self) -> int:
        """Bytes that go from the host to the device at each call of the UNet."""
        repeated = sum(each for name, each in self.host.items() if _is_repeated(name))
        return repeated - self.for_prompt

    @property
    def moved_once(self) -> int:
        """Bytes that go there for each batch of pictures: text encoders, VAE, keys of prompts."""
        return sum(self.host.values()) - self.moved_per_call

    @property
    def seconds_per_call(self) -> float | None:
        """The time of the copies at each call of the UNet; None where the rate is not known."""
        return self.moved_per_call / self.copy_rate if self.copy_rate else None

    @property
    def seconds_once(self) -> float | None:
        """The time of those for each batch of pictures, likewise."""
        return self.moved_once / self.copy_rate if self.copy_rate else None

    @property
    def peak(self) -> int:
        """The most that the run takes from the device at any time, loading included."""
        return max(self.stages.values())

    @property
    def is_whole(self) -> bool:
        """Tell whether the run was made, and not the model loaded alone."""
        return len(self.stages) > 1

    @property
    def run_peak(self) -> int:
        """The most that it takes once the model is loaded; its weights where it was not made."""
        stages = (nbytes for stage, nbytes in self.stages.items() if stage != "loading")
        return max(stages, default=self.weight_bytes)

    @property
    def need(self) -> int:
        """About the least budget, since idle memory is given back."""
        return max(self.least, self.run_peak)

    def record(self) -> dict[str, object]:
        """Return the plan as JSON can hold it."""
        return {
            "weights": dict(self.weights),
            "weight_bytes": self.weight_bytes,
            "host": dict(self.host),
            "moved_per_call": self.moved_per_call,
            "moved_once": self.moved_once,
            "seconds_per_call": self.seconds_per_call,
            "seconds_once": self.seconds_once,
            "transformed": self.transformed,
            "activations": self.activations,
            "stages": dict(self.stages),
            "staging": self.staging,
            "peak": self.peak,
        }


def _is_repeated(component: str) -> bool:
    return component == "unet" or component.startswith("control ")
