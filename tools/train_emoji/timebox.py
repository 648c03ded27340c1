"""Training stages are bounded by time, not by steps: one clock gives progress and end."""

import math
import time

import torch

PROCESS_START = time.monotonic()
UNTIMED_STEPS = 5  # compilation happens in the first steps; the clock starts after them


def log(*parts: object) -> None:
    """Print a line that begins with the seconds since the process began."""
    print(f"[{time.monotonic() - PROCESS_START:6.1f}]", *parts, flush=True)


def wait_for_gpu() -> None:
    """Wait until the GPU has finished, so that the host's clock measures its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class TimeBox:
    """A clock that tells how much of a stage's time has gone.

    `seconds` bounds this call, `total` (default: the same) all calls together, of which
    `spent` are over; `max_steps` bounds the steps of this call; `deadline` is in seconds
    after the start of the process.
    """

    def __init__(
        self,
        seconds: float,
        *,
        spent: float = 0.0,
        total: float | None = None,
        max_steps: int | None = None,
        deadline: float | None = None,
    ) -> None:
        self._seconds = seconds
        self._before = spent
        self._total = total if total is not None else spent + seconds
        self._max_steps = max_steps
        self._deadline = deadline
        self._started: float | None = None
        self.steps = 0

    @property
    def elapsed(self) -> float:
        """Seconds of this call after the untimed steps."""
        return 0.0 if self._started is None else time.monotonic() - self._started

    @property
    def spent(self) -> float:
        """Seconds over all calls."""
        return self._before + self.elapsed

    @property
    def progress(self) -> float:
        """Share of the total that has gone, 0 to 1; by steps where they are bounded."""
        share = self.spent / self._total
        if self._max_steps is not None:
            share = max(share, self.steps / self._max_steps)
        return min(1.0, share)

    @property
    def timed_steps(self) -> int:
        """Steps that the clock has seen."""
        return max(0, self.steps - UNTIMED_STEPS)

    def step_done(self) -> bool:
        """Count a step and tell whether the stage is over."""
        self.steps += 1
        if self.steps == UNTIMED_STEPS:
            wait_for_gpu()
            self._started = time.monotonic()
        late = self._deadline is not None and time.monotonic() - PROCESS_START >= self._deadline
        capped = self._max_steps is not None and self.steps >= self._max_steps
        return late or capped or self.elapsed >= self._seconds or self.progress >= 1.0


def cosine(progress: float, *, floor: float = 0.01) -> float:
    """Return the factor of the learning rate, 1 at progress 0 and `floor` at 1."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, progress))))
