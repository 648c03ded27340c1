"""`Event`: a point in a stream that the host, or another stream, can wait for."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Self

from gpucore.backends import Pending, PendingTimes
from gpucore.errors import ArgumentError, FeatureError, GpuError
from gpucore.not_copyable import NotCopyable
from gpucore.recording.stream import RecordingDevice, Stream
from gpucore.waiting import wait_async

__all__ = ["Event"]


class Event(NotCopyable):
    """A point in a stream, made by `Device.new_event` and set by `record`.

    WebGPU tells of whole submissions only, so recording an event submits the stream. There it is
    reached when all is done that was submitted before, also from other streams. With
    ``timing``, the device also writes a timestamp there, for `seconds_since`; `FeatureError` where
    it cannot.

    >>> event = device.new_event().record()
    >>> event.wait()                        # or, where other tasks run: await event
    >>> event.is_complete
    True

    An event may be recorded again; it then means the later point.
    """

    def __init__(self, device: RecordingDevice, *, timing: bool = False) -> None:
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
        self._nanoseconds: tuple[int, int] | None = None

    def __repr__(self) -> str:
        if self._fence is None:
            state = "not recorded"
        else:
            state = "complete" if self.is_complete else "not reached yet"
        return f"Event({state}{', timed' if self.timing else ''}, on {self.device.name})"

    def record(self, stream: Stream | None = None) -> Self:
        """Set the event after everything in ``stream`` (None: the current one), and submit it.

        Raises `CaptureError` inside `Device.capture`, `ArgumentError` for another device's stream.
        """
        target = self.device.stream if stream is None else stream
        if target not in self.device.streams:
            raise ArgumentError(
                f"{self!r} cannot be recorded in {target!r}, which is no stream of this device: "
                "make the event with the stream's own device"
            )
        with self.device.lock:
            target.submit()
            self._nanoseconds = None
            self._times = target.queue.timestamp() if self.timing else None
            self._fence = target.queue.fence()
        return self

    @property
    def is_complete(self) -> bool:
        """Tell whether the device has reached it, without waiting; False before `record`."""
        with self.device.lock:
            return self._fence is not None and self._fence.done

    def wait(self) -> None:
        """Block until the device has reached it (`Stream.wait` orders streams, without blocking).

        Raises `ArgumentError` if it was never recorded, `DeviceLostError`.
        """
        self.device.wait_for(self._require_fence())

    def __await__(self) -> Generator[Any, Any, None]:
        """Wait for it while other tasks run (asyncio or trio)."""
        return self._wait_async().__await__()

    async def _wait_async(self) -> None:
        fence = self._require_fence()
        await wait_async(fence, self.device.lock)
        self.device.wait_for(fence)

    def seconds_since(self, since: Event) -> float:
        """Return the device's seconds from ``since`` to this event; block until both are reached.

        Raises `FeatureError` if one of them was made without ``timing``. Raises `ArgumentError` if
        one was never recorded or belongs to another device. Raises `GpuError` where the device
        wrote no valid times.
        """
        if since.device is not self.device:
            raise ArgumentError(
                f"{self!r} and {since!r}: devices' clocks cannot be compared; give two events of "
                "one device"
            )
        return (self._read_times()[0] - since._read_times()[1]) * 1e-9

    def order_before(self, stream: Stream) -> None:
        """Make what ``stream`` submits from here on run after the event; see `Stream.wait`."""
        fence = self._require_fence()
        if stream.lock is self.device.lock:
            with self.device.lock:
                stream.queue.wait(fence)
        else:
            self.wait()

    def _require_fence(self) -> Pending:
        if self._fence is None:
            raise ArgumentError(f"{self!r} has nothing to wait for: call event.record() first")
        return self._fence

    def _read_times(self) -> tuple[int, int]:
        """Return begin and end of the event's own timestamps, in nanoseconds."""
        self._require_fence()
        if not self.timing:
            raise FeatureError(f"{self!r} has no time: make it with device.new_event(timing=True)")
        if self._nanoseconds is None:
            assert self._times is not None
            self.wait()
            with self.device.lock:
                self._nanoseconds = self._times.wait()[0]
        begin, end = self._nanoseconds
        if not 0 < begin <= end:
            raise GpuError(
                f"{self!r}: the device wrote no valid timestamps ({begin}, {end}); update its "
                "driver, or take another engine"
            )
        return begin, end
