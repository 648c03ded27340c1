"""The interfaces to GPUs: `interface` is the protocol, `webgpu` and `null` implement it.

Law: only this package touches a GPU interface, and it knows no operation.
"""

from gpucore.backends.interface import (
    AdapterInfo,
    Backend,
    BindingSpec,
    Command,
    Copy,
    Handle,
    Launch,
    Pending,
    PendingRead,
    PendingTimes,
    Program,
    Queue,
    Recording,
    Sharing,
    StagingStats,
)
from gpucore.backends.native import NativeCode, TileMap

__all__ = [
    "AdapterInfo",
    "Backend",
    "BindingSpec",
    "Command",
    "Copy",
    "Handle",
    "Launch",
    "NativeCode",
    "Pending",
    "PendingRead",
    "PendingTimes",
    "Program",
    "Queue",
    "Recording",
    "Sharing",
    "StagingStats",
    "TileMap",
]
