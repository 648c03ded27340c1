"""GPU computing on any vendor's card: devices, typed buffers, WGSL kernels.

Law: knows no operation, and only `gpucore.backends` touches a GPU API.
"""

from gpucore.backends import AdapterInfo, StagingStats
from gpucore.backends.work import Roof, Work
from gpucore.buffer import Buffer
from gpucore.device import Device
from gpucore.devices import Devices
from gpucore.dtypes import DType, T, c64, f16, f32, i8, i32, u8, u32
from gpucore.errors import (
    ArgumentError,
    CaptureError,
    DeviceLostError,
    DeviceNotFoundError,
    DTypeError,
    FeatureError,
    GpuError,
    KernelCompileError,
    LimitError,
    OperationsNotFoundError,
    OutOfMemoryError,
    ReleasedBufferError,
    ShapeError,
)
from gpucore.kernel import Kernel
from gpucore.memory.pool import MemoryStats
from gpucore.per_device import PerDevice
from gpucore.recording.event import Event
from gpucore.recording.graph import Graph
from gpucore.recording.profile import Profile, Timing
from gpucore.recording.stream import Stream

__all__ = [
    "AdapterInfo",
    "ArgumentError",
    "Buffer",
    "CaptureError",
    "DType",
    "DTypeError",
    "Device",
    "DeviceLostError",
    "DeviceNotFoundError",
    "Devices",
    "Event",
    "FeatureError",
    "GpuError",
    "Graph",
    "Kernel",
    "KernelCompileError",
    "LimitError",
    "MemoryStats",
    "OperationsNotFoundError",
    "OutOfMemoryError",
    "PerDevice",
    "Profile",
    "ReleasedBufferError",
    "Roof",
    "ShapeError",
    "StagingStats",
    "Stream",
    "T",
    "Timing",
    "Work",
    "c64",
    "f16",
    "f32",
    "i8",
    "i32",
    "u8",
    "u32",
]
