"""What built-in functions and values need, and whether their results are uniform."""

from __future__ import annotations

from typing import Final

from gpucore.wgsl.uniformity.graph import Influence, Summary

__all__ = ["RULES", "SUBGROUP_INPUTS", "UNIFORM_INPUTS", "built_in_summary", "needs_uniform_flow"]

UNIFORM_INPUTS: Final = frozenset(("num_workgroups", "subgroup_size", "workgroup_id"))
"""The built-in values of a compute entry point that are the same in a workgroup."""

SUBGROUP_INPUTS: Final = UNIFORM_INPUTS | {"subgroup_id", "num_subgroups"}
"""Those that are the same in a subgroup."""

RULES: Final = {"subgroup_uniformity": "subgroup", "subgroup_matrix_uniformity": "subgroupMatrix"}
"""The rules that a diagnostic directive may turn off, and how their functions begin."""

_BARRIERS: Final = frozenset(("workgroupBarrier", "storageBarrier", "textureBarrier"))
_LOAD: Final = "workgroupUniformLoad"
_VOTES: Final = frozenset(
    ("subgroupAll", "subgroupAny", "subgroupBallot", "subgroupBroadcastFirst")
)
_PICKS: Final = frozenset(("subgroupBroadcast", "subgroupShuffle"))
_SHUFFLES: Final = frozenset(("subgroupShuffleUp", "subgroupShuffleDown", "subgroupShuffleXor"))


def needs_uniform_flow(name: str) -> bool:
    """Tell whether a built-in function must be called in uniform control flow."""
    return name in _BARRIERS or name == _LOAD or name.startswith(("subgroup", "quad"))


def built_in_summary(
    name: str, count: int, off: frozenset[str], *, of_subgroup: bool = False
) -> Summary:
    """Describe a call of a built-in function, constructor or conversion of ``count`` arguments.

    ``off`` has the rules that a module turns off anywhere: their functions need nothing then. With
    ``of_subgroup``, uniform means the same in a subgroup: so are votes, and what one lane has.
    """
    arguments = frozenset(range(count))
    if name in _BARRIERS:
        return Summary(requires_flow=name)
    if name == _LOAD:
        return Summary(requires_flow=name, required={0: name})
    if name.startswith("subgroupMatrix"):
        required = "" if "subgroup_matrix_uniformity" in off else name
        return Summary(requires_flow=required, result=Influence(values=arguments))
    if name.startswith(("subgroup", "quad")):
        if "subgroup_uniformity" in off:
            return Summary(result=Influence(non_uniform=True))
        shifted = {1: name} if name in _SHUFFLES else {}
        result = Influence(non_uniform=True)
        if of_subgroup and name in _VOTES:
            result = Influence()
        elif of_subgroup and name in _PICKS:
            result = Influence(values=frozenset((1,)))
        return Summary(name, shifted, result=result)
    if name.startswith("atomic"):
        return Summary(result=Influence(non_uniform=True))
    return Summary(result=Influence(values=arguments))
