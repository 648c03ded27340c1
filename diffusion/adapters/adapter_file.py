"""Opening an adapter's file: its names are matched with the model's, its shapes are compared.

All of it is done from the header, before a tensor is read or uploaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from diffusion.adapters.adapter import Adapter, Change, Parameter
from diffusion.adapters.decomposition import MAGNITUDE, check_magnitude
from diffusion.adapters.family import family_title, foreign_title, text_tensors
from diffusion.adapters.kinds import find_kind
from diffusion.adapters.module_spellings import AdaptedModule, spell_modules
from diffusion.adapters.noted_alphas import read_noted_alphas
from diffusion.adapters.tensor_group import TensorGroup
from diffusion.adapters.tensor_roles import split_role
from diffusion.checkpoints.safetensors import SafetensorsFile, open_safetensors
from diffusion.errors import (
    MisfitError,
    ModelFormatError,
    ModelMismatchError,
    Shape,
    list_items,
    quote,
)
from diffusion.models.module import Module
from diffusion.models.unet_config import UNetConfig

__all__ = ["AdaptedModel", "open_adapter"]

_HEADER_LIMIT: Final = 100_000_000
"""Trainers write tags and pictures into the header; some have tens of megabytes."""
_BIASES: Final = frozenset({"diff_b", "b_norm"})
_BUNDLED: Final = "bundle_emb."
_OTHER: Final = "give a LoRA that was made for this model's family"

Tensors = dict[AdaptedModule, dict[str, str]]
"""Names of tensors, by module and role."""


@dataclass(frozen=True)
class AdaptedModel:
    """A model that adapters are opened for: spellings of modules, and shapes of parameters."""

    spellings: Mapping[str, AdaptedModule]
    shapes: Mapping[Parameter, Shape]
    text_width: int

    @classmethod
    def of(cls, networks: Mapping[str, Module], config: UNetConfig) -> AdaptedModel:
        """Return the model of the UNet and the text encoders, by the names of their parts."""
        shapes = {
            Parameter(part, name): parameter.shape
            for part, network in networks.items()
            for name, parameter in network.parameters()
        }
        return cls(spell_modules(networks, config), shapes, config.cross_attention_dim)

    def find(self, spelling: str) -> AdaptedModule | None:
        """Return the module of a spelling in a file."""
        return self.spellings.get(spelling.replace(".processor.", "."))


def open_adapter(path: Path, model: AdaptedModel) -> Adapter:
    """Open a file and check it against a model, without reading a tensor.

    Raises `ModelNotFoundError`, `ModelFormatError`, and `ModelMismatchError` for a file of another
    family, with unknown names, or with tensors of other shapes.
    """
    file = open_safetensors(path, header_limit=_HEADER_LIMIT)
    _check_family(file, model)
    tensors, unknown = _sort_tensors(file, model)
    if unknown:
        title = foreign_title(unknown)
        hint = _OTHER if title is None else f"it is {title}; {_OTHER}"
        raise ModelMismatchError(path, hint, extra=unknown)
    if not tensors:
        raise ModelFormatError(path, "names", "must have tensors, got none", "give another file")
    alphas = read_noted_alphas(file)
    changes: dict[Parameter, Change] = {}
    misfits: list[MisfitError] = []
    for module, roles in tensors.items():
        for parameter, part_roles in _split_biases(module, roles):
            shape = model.shapes.get(parameter)
            if shape is None:
                unknown += part_roles.values()
                continue
            noted = alphas.get(parameter.part)
            alpha = None if noted is None else noted.find(module.name)
            group = TensorGroup(file, part_roles, shape, alpha)
            try:
                changes[parameter] = _check_group(group)
            except MisfitError as misfit:
                misfits.append(misfit)
    if unknown or misfits:
        raise ModelMismatchError(
            path,
            _OTHER,
            extra=unknown,
            misshapen=[
                (each.name, each.expected, each.found) for each in misfits if not each.dtype
            ],
            mistyped=[(each.name, each.dtype) for each in misfits if each.dtype],
        )
    return Adapter(path, changes)


def _check_family(file: SafetensorsFile, model: AdaptedModel) -> None:
    """Raise `ModelMismatchError` where the UNet's cross-attentions read text of another width."""
    width = model.text_width
    wrong = [(name, shape) for name, shape in text_tensors(file) if shape[1] != width]
    if wrong:
        hint = f"it was made for {family_title({shape[1] for _, shape in wrong})}; {_OTHER}"
        misshapen = [(name, (shape[0], width), shape) for name, shape in wrong]
        raise ModelMismatchError(file.path, hint, misshapen=misshapen)


def _sort_tensors(file: SafetensorsFile, model: AdaptedModel) -> tuple[Tensors, list[str]]:
    """Return a file's tensors, and the names that no module of the model has."""
    tensors: Tensors = {}
    unknown: list[str] = []
    for name in file.names:
        if name.startswith(_BUNDLED):
            continue  # a word of textual inversion
        split = split_role(name)
        module = None if split is None else model.find(split.module)
        if split is None or module is None:
            unknown.append(name)
            continue
        roles = tensors.setdefault(module, {})
        if split.role in roles:
            where = f"tensor {quote(name)}"
            reason = f"must be there once, got {quote(roles[split.role])} for the same module"
            raise ModelFormatError(file.path, where, reason, "make the file again")
        roles[split.role] = name
    return tensors, unknown


def _split_biases(
    module: AdaptedModule, roles: Mapping[str, str]
) -> Iterator[tuple[Parameter, dict[str, str]]]:
    """Yield the tensors for a module's weight, and those for its bias."""
    weight = {role: name for role, name in roles.items() if role not in _BIASES}
    bias = {role: name for role, name in roles.items() if role in _BIASES}
    if weight and not (bias and set(weight) <= {"alpha", "scale"}):
        yield Parameter(module.part, f"{module.name}.weight"), weight
    if bias:
        yield Parameter(module.part, f"{module.name}.bias"), bias


def _check_group(group: TensorGroup) -> Change:
    """Return the change of a module's tensors. Raises `MisfitError`, `ModelFormatError`."""
    kind = find_kind(group)
    if kind is None:
        names = list_items("got", [quote(name) for name in group.names.values()])
        reason = f"must be the tensors of one kind of adapter, complete, {names}"
        raise ModelFormatError(group.file.path, "names", reason, "give another file")
    group.check_types()
    kind.check(group)
    if MAGNITUDE in group:
        check_magnitude(group)
    return Change(kind, group)
