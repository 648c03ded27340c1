"""GPU APIs, one file each. Law: only this package touches a GPU API, and it knows no operation."""

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
    Recording,
    StagingStats,
)

__all__ = [
    "AdapterInfo",
    "Backend",
    "BindingSpec",
    "Command",
    "Copy",
    "Handle",
    "Launch",
    "Pending",
    "PendingRead",
    "PendingTimes",
    "Program",
    "Recording",
    "StagingStats",
]
