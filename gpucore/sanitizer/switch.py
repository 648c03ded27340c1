"""Whether launches are checked, and by whom: what streams and pools ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from gpucore.environment import is_on

if TYPE_CHECKING:
    from gpucore.sanitizer.session import Session

__all__ = ["VARIABLE", "Checker", "checker", "sanitize"]

VARIABLE = "AVILA_SANITIZE"


class Checker(Protocol):
    """What takes the place of a backend for launches."""

    def run(self, backend: Any, lists: Sequence[Sequence[Any]]) -> None:
        """Run lists of commands."""

    def note_new(self, handle: Any, nbytes: int) -> None:
        """Note that memory was allocated, whose contents are undefined."""

    def note_write(self, handle: Any, first: int, nbytes: int) -> None:
        """Note that the host writes memory."""


class _Switch:
    def __init__(self) -> None:
        self.checker: Checker | None = None
        self.is_set = False


_switch = _Switch()


def checker() -> Checker | None:
    """Return who checks launches; None where the device runs them."""
    if not _switch.is_set:
        _switch.is_set = True
        if is_on(VARIABLE, default=False):
            from gpucore.sanitizer.session import Session

            _switch.checker = Session()
    return _switch.checker


@contextmanager
def sanitize(
    *,
    raises: bool = True,
    subgroup_size: int | None = None,
    launches: int | None = None,
    invocations: int | None = None,
) -> Iterator[Session]:
    """Run the launches inside of the ``with`` block on the CPU, and report their defects.

    A launch with a defect raises `SanitizerError` once it has run. With ``raises=False`` the
    findings are kept in the session that the block gets. Results are those of the device, so that
    programs go on. Subgroups have the size of the device's, or ``subgroup_size`` invocations.

    The device runs what is not to be checked: the launches of a kernel after its first
    ``launches``, those of more than so many ``invocations``, and native code.

    >>> kernel, x = device.compile_kernel(INCREMENT), device.buffer(f32, 64)
    >>> with sanitize(raises=False) as session:
    ...     x.write(np.zeros(64, np.float32))
    ...     kernel(x, grid=1)
    >>> session
    Session(1 launches, 0 findings)

    Raises `UnsupportedWgslError` for WGSL that the interpreter does not know.
    """
    from gpucore.sanitizer.session import Options, Session

    session = Session(Options(raises, subgroup_size, launches, invocations))
    before, _switch.checker = checker(), session
    try:
        yield session
    finally:
        _switch.checker = before
