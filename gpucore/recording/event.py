"""`Event`: a point in a stream that the host, or another stream, can wait for."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Self

from gpucore.backends import Backend, Pending, PendingTimes
from gpucore.errors import ArgumentError, FeatureError, GpuError
from gpucore.not_copyable import NotCopyable
from gpucore.waiting import wait_async

if TYPE_CHECKING:
    from gpucore.device import Device
    from gpucore.recording.stream import Stream

__all__ = ["Event"]


class Event(NotCopyable):
    """Made by `Device.new_event`; `record` sets it behind what a stream holds.

    WebGPU tells of whole submissions only, so that recording an event submits the stream. With
    ``timing``, the device also writes a timestamp there, for `elapsed`; `FeatureError` where it
    cannot.

    >>> event = device.new_event().record()
    >>> event.wait()                        # or, where other tasks run: await event
    >>> event.is_complete
    True

    An event may be recorded again; it then means the later point.
    """

    def __init__(self, device: Device, *, timing: bool = False) -> None:
        if timing and "timestamps" not in device.features:
            raise FeatureError(
                f"{device.name} ({device.info.backend}) has no timestamps, so that an event cannot "
                "have a time: make it without timing, or take another device or engine "
                "(Device.list() shows their features)"
            )
        self.device = device
        self.timing = timing
        self._fence: Pending | None = None
        self._times: PendingTimes | None = None
        self._span: tuple[int, int] | None = None

    def __repr__(self) -> str:
        if self._fence is None:
            state = "not recorded"
        else:
            state = "complete" if self._fence.done else "not reached yet"
        return f"Event({state}{', timed' if self.timing else ''}, on {self.device.name})"

    def record(self, stream: Stream | None = None) -> Self:
        """Set the event behind everything in ``stream`` (the device's current one), and submit it.

        Raises `CaptureError` inside `Device.capture`, `ArgumentError` for another device's stream.
        """
        target = self.device.stream if stream is None else stream
        if target not in self.device.streams:
            raise ArgumentError(
                f"{self!r} cannot be recorded in {target!r}, which is no stream of this device: "
                "make the event with the stream's own device"
            )
        target.submit()
        self._span = None
        self._times = self.device.engine.timestamp() if self.timing else None
        self._fence = self.device.engine.fence()
        return self

    @property
    def is_complete(self) -> bool:
        """True once the device has reached it; looking does not wait. False before `record`."""
        return self._fence is not None and self._fence.done

    def wait(self) -> None:
        """Block until the device has reached it (`Stream.wait` orders streams, without blocking).

        Raises `ArgumentError` if it was never recorded, `DeviceLostError`.
        """
        self._recorded().wait()

    def __await__(self) -> Generator[Any, Any, None]:
        """Wait for it while other tasks run (asyncio or trio)."""
        return self._settled().__await__()

    async def _settled(self) -> None:
        fence = self._recorded()
        await wait_async(fence)
        fence.wait()

    def elapsed(self, since: Event) -> float:
        """Seconds on the device from ``since`` to this event; blocks until both are reached.

        Raises `FeatureError` if one of them was made without ``timing``, `ArgumentError` if one was
        never recorded or is another device's, `GpuError` where the device wrote no valid times.
        """
        if since.device is not self.device:
            raise ArgumentError(f"{self!r} and {since!r}: devices' clocks cannot be compared")
        return (self._nanoseconds()[0] - since._nanoseconds()[1]) * 1e-9

    def order(self, backend: Backend) -> None:
        """Make what ``backend`` is given from here on come after the event; see `Stream.wait`."""
        fence = self._recorded()
        if backend is not self.device.engine:
            fence.wait()

    def _recorded(self) -> Pending:
        if self._fence is None:
            raise ArgumentError(f"{self!r} has nothing to wait for: call event.record() first")
        return self._fence

    def _nanoseconds(self) -> tuple[int, int]:
        """Begin and end of the event's own mark."""
        self._recorded()
        if not self.timing:
            raise FeatureError(f"{self!r} has no time: make it with device.new_event(timing=True)")
        if self._span is None:
            assert self._times is not None
            self._span = self._times.wait()[0]
        begin, end = self._span
        if not 0 < begin <= end:
            raise GpuError(f"{self!r}: the device wrote no valid timestamps ({begin}, {end})")
        return begin, end
