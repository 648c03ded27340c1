"""Which invocation runs: the ids that the GPU gives to each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpucore.dtypes import u32
from gpucore.language.outside import outside_error
from gpucore.language.vectors import vec2u, vec3u

__all__ = [
    "Ids",
    "global_id",
    "local_id",
    "local_index",
    "num_workgroups",
    "subgroup_lane",
    "subgroup_size",
    "workgroup_id",
    "workgroup_size",
]


class Ids:
    """Three numbers of an invocation, u32, along x, y and z."""

    def __init__(self, gpu_name: str) -> None:
        self.gpu_name = gpu_name

    @property
    def x(self) -> u32:
        """The number along x."""
        raise outside_error(f"{self.gpu_name}.x")

    @property
    def y(self) -> u32:
        """The number along y."""
        raise outside_error(f"{self.gpu_name}.y")

    @property
    def z(self) -> u32:
        """The number along z."""
        raise outside_error(f"{self.gpu_name}.z")

    @property
    def xy(self) -> vec2u:
        """The numbers along x and y."""
        raise outside_error(f"{self.gpu_name}.xy")

    @property
    def yx(self) -> vec2u:
        """The numbers along y and x."""
        raise outside_error(f"{self.gpu_name}.yx")

    @property
    def xyz(self) -> vec3u:
        """The numbers along x, y and z."""
        raise outside_error(f"{self.gpu_name}.xyz")

    @property
    def zyx(self) -> vec3u:
        """The numbers along z, y and x."""
        raise outside_error(f"{self.gpu_name}.zyx")

    def __repr__(self) -> str:
        return self.gpu_name


class _Index:
    """One number of an invocation."""

    def __init__(self, gpu_name: str) -> None:
        self.gpu_name = gpu_name

    def __repr__(self) -> str:
        return self.gpu_name


global_id = Ids("global_id")
"""The place of an invocation in the whole grid."""
local_id = Ids("local_id")
"""The place of an invocation in its workgroup."""
workgroup_id = Ids("workgroup_id")
"""The place of the workgroup in the grid."""
num_workgroups = Ids("num_workgroups")
"""The number of workgroups."""
workgroup_size = Ids("workgroup_size")
"""The number of invocations of a workgroup."""
if TYPE_CHECKING:
    local_index = u32()
    subgroup_lane = u32()
    subgroup_size = u32()
else:
    local_index = _Index("local_index")
    subgroup_lane = _Index("subgroup_lane")
    subgroup_size = _Index("subgroup_size")
"""Numbers of an invocation: in its workgroup, row by row, and in its subgroup; and the subgroup's.

The number of invocations of a subgroup is a power of two from 4 to 128 that the device chooses.
"""
