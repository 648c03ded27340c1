"""`Module`: attributes that are weights or modules, and one ``__call__``.

Attribute names are the parameter names of the diffusers layout, so that a folder loads without a
table of names: ``self.to_out = [Linear(...)]`` holds ``to_out.0.weight`` and ``to_out.0.bias``.

In profiles, each module records in a region of its own, named as in its parent:
``unet/down_blocks.0/resnets.1/conv1``.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

import numpy as np

from diffusion.ambient import Ambient
from diffusion.models.weights import (
    LEAST_PARKED,
    FileArray,
    Parameter,
    Weight,
    WeightGroup,
    largest_buffer,
)
from gpucore import Buffer, Device, DType, LimitError, f32
from gpucore.backends.trace import TraceBackend

__all__ = [
    "Module",
    "Observer",
    "Residence",
    "buffers_of",
    "is_loaded",
    "is_traced",
    "load",
    "observe_modules",
    "parked_bytes",
    "release_weights",
    "residence",
    "settle",
    "trim_idle_memory",
]

Observer = Callable[[str, Any], None]
"""A function of a module's region and its result."""

_LEAST_PARKED_NUMBERS: Final = LEAST_PARKED // 2
_MOST_UNDER_WAY: Final = 128 << 20
"""Bytes of weights that are written, beyond which `load` waits for the device."""
_MOST_IDLE = 32 << 20
"""Idle bytes of the device's pool, beyond which they are given back while weights load."""

_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


class Module:
    """A part of a network, whose parameters are found through its attributes."""

    _place: tuple[Device, str] | None = None
    """Device, and name in the parent, once loaded. A whole network has no name."""

    def __init_subclass__(cls) -> None:
        if "__call__" in vars(cls):
            cls.__call__ = _record_in_region(cls.__call__)  # type: ignore[method-assign]

    parks = False
    """Whether weights of its own lie in memory of the host, see `Residence`."""

    def after_load(self) -> None:
        """Rearrange weights. `load` calls it once the `rearranged_parameters` are filled."""

    def rearranged_parameters(self) -> list[Parameter]:
        """Return the parameters that `after_load` reads: it needs all of them filled."""
        return []

    def own_weights(self) -> Iterator[Weight]:
        """Yield the weights of this module's attributes, also those that `after_load` made."""
        for value in vars(self).values():
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, Weight):
                    yield each
                elif isinstance(each, WeightGroup):
                    yield from each.weights

    def modules(self) -> list[Module]:
        """Return all modules inside, children first, and this one last."""
        found: list[Module] = []
        for _, member in _members(self):
            if isinstance(member, Module):
                found += member.modules()
        found.append(self)
        return found

    def find(self, name: str) -> Module:
        """Return the module inside of a dotted name, such as ``down_blocks.0.resnets.1``.

        Raises `KeyError` where there is none.
        """
        if not name:
            return self
        for own, member in _members(self):
            if isinstance(member, Module) and f"{name}.".startswith(f"{own}."):
                return member.find(name[len(own) + 1 :])
        raise KeyError(name)

    def parameters(self, prefix: str = "") -> list[tuple[str, Parameter]]:
        """Return names in the file and parameters, depth first; private attributes are left out."""
        found: list[tuple[str, Parameter]] = []
        for name, member in _members(self):
            if isinstance(member, Parameter):
                found.append((f"{prefix}{name}", member))
            else:
                found += member.parameters(f"{prefix}{name}.")
        return found


def _record_in_region(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same call, recorded in the module's region."""

    @functools.wraps(call)
    def call_in_region(module: Module, *arguments: Any, **options: Any) -> Any:
        if module._place is None:
            return call(module, *arguments, **options)
        device, name = module._place
        with device.region(name):
            result = call(module, *arguments, **options)
            observer = _observer.get()
            if observer is not None:
                observer(device.stream.region, result)
            return result

    return call_in_region


@contextmanager
def observe_modules(observer: Observer) -> Iterator[None]:
    """Show ``observer`` the result of every module that is called inside, inner ones first."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def _members(module: Module) -> list[tuple[str, Parameter | Module]]:
    """Return names and values of public attributes that are weights or modules, or in lists."""
    found: list[tuple[str, Parameter | Module]] = []
    for name, value in vars(module).items():
        if name[0] == "_":
            continue
        if isinstance(value, (Parameter, Module)):
            found.append((name, value))
        elif isinstance(value, list):
            _flatten(name, value, found)
    return found


def _flatten(name: str, value: object, found: list[tuple[str, Parameter | Module]]) -> None:
    """Note a weight or module, or those of a list: ``name.0``, ``name.1`` and so on."""
    if isinstance(value, (Parameter, Module)):
        found.append((name, value))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _flatten(f"{name}.{index}", item, found)


def buffers_of(network: Module) -> Iterator[Buffer[Any]]:
    """Yield all that a network's weights take on the device all the time."""
    for module in network.modules():
        for weight in module.own_weights():
            yield from weight.on_device


def is_loaded(network: Module) -> bool:
    """Tell whether a network has weights. Small ones are on the device wherever it lies."""
    return next(buffers_of(network), None) is not None


def parked_bytes(network: Module) -> int:
    """Return the bytes of a network's weights in memory of the host."""
    modules = network.modules()
    return sum(weight.host_bytes for module in modules for weight in module.own_weights())


class Residence(NamedTuple):
    """Where the weights of a network that is loaded stay.

    ``host_share``: the share of the bytes that lie in memory of the host, 0 to 1. Layers all over
    the network lie there, so that copies and computing alternate. ``transformed``: weights that are
    made of the file's for quicker convolutions stay on the device; else each call makes them.
    Neither changes a bit of any result.
    """

    host_share: float = 0.0
    transformed: bool = True


residence: Ambient[Residence] = Ambient("residence", Residence())


def release_weights(network: Module) -> None:
    """Give all weights back; `load` fills them again."""
    for module in network.modules():
        for weight in module.own_weights():
            weight.release()


class _Unit:
    """Parameters that are placed together, and their owner, which may rearrange them."""

    def __init__(self, owner: Module, parameters: list[Parameter], *, rearranges: bool) -> None:
        self.owner, self._rearranges = owner, rearranges
        self.left = {id(each) for each in parameters}
        self.size = sum(math.prod(each.shape) for each in parameters)

    def note_filled(self, parameter: Parameter, *, parks: bool) -> None:
        """Rearrange, then park the owner's weights, once all parameters are filled."""
        self.left.discard(id(parameter))
        if self.left:
            return
        if self._rearranges:
            self.owner.after_load()
        self.owner.parks |= parks
        settle(self.owner)


def settle(module: Module) -> None:
    """Move weights of a module's own to memory of the host, if it is one that parks."""
    if module.parks:
        for weight in module.own_weights():
            weight.park()


def _units(modules: Sequence[Module]) -> dict[int, _Unit]:
    """Return the unit of each parameter of a network's modules, by its id."""
    units: dict[int, _Unit] = {}
    for module in modules:
        if group := module.rearranged_parameters():
            units |= dict.fromkeys(map(id, group), _Unit(module, group, rearranges=True))
    for module in modules:
        own = [each for _, each in _members(module) if isinstance(each, Parameter)]
        rest = [each for each in own if id(each) not in units]
        units |= dict.fromkeys(map(id, rest), _Unit(module, rest, rearranges=False))
    return units


def _parked_units(in_order: Iterable[_Unit], share: float) -> set[_Unit]:
    """Return the units that lie on the host: about a share of the bytes, evenly spread."""
    due, found = 0.0, set[_Unit]()
    for unit in (each for each in in_order if each.size >= _LEAST_PARKED_NUMBERS):
        due += share * unit.size
        if due > unit.size / 2:
            found.add(unit)
            due -= unit.size
    return found


def load(
    module: Module,
    read: Callable[[str], FileArray],
    device: Device,
    dtype: type[DType],
    names: Iterable[str] | None = None,
    blocks: Callable[[str], str | None] = lambda _: None,
) -> None:
    """Fill every parameter with the array that ``read`` gives for its name; name the regions.

    ``names``: all of them in the order of the file, and maybe others; None for the network's own.
    ``blocks``: tells the format of those that ``read`` gives quantised.
    Weights stay where the `residence` around says. Warns of weights beyond the range of ``dtype``,
    which become infinite. Raises `LimitError`.
    """
    _name_regions(module, device)
    modules = module.modules()
    for each in modules:
        each.parks = False
    parameters, units = dict(module.parameters()), _units(modules)
    in_order = dict.fromkeys(units[id(each)] for each in parameters.values())
    parked = _parked_units(in_order, residence.get().host_share)
    written = 0
    for name in parameters if names is None else filter(parameters.__contains__, names):
        parameter = parameters[name]
        _fill(parameter, name, read, device, dtype, blocks(name))
        unit = units[id(parameter)]
        unit.note_filled(parameter, parks=unit in parked)
        trim_idle_memory(device)
        written += math.prod(parameter.shape) * dtype.itemsize
        if written > _MOST_UNDER_WAY:
            device.synchronize()  # engines keep what is written until then
            written = 0


def _fill(
    parameter: Parameter,
    name: str,
    read: Callable[[str], FileArray],
    device: Device,
    dtype: type[DType],
    blocks: str | None,
) -> None:
    """Fill a parameter with what ``read`` gives, or take its memory on a traced device."""
    if is_traced(device):
        parameter.reserve(device, dtype, blocks)
        return
    array = read(name)
    try:
        with np.errstate(over="raise"):
            parameter.fill(array, device, dtype)
    except FloatingPointError:
        message = f"{name} holds weights beyond the range of {dtype.name}"
        warnings.warn(message, RuntimeWarning, stacklevel=3)
        with np.errstate(over="ignore"):
            parameter.fill(array, device, dtype)
    except LimitError:
        raise _limit_error(
            name, math.prod(parameter.shape) * dtype.itemsize, device, dtype
        ) from None


def is_traced(device: Device) -> bool:
    """Tell whether a device only counts memory, so that no weight needs to be read."""
    return isinstance(device.engine, TraceBackend)


def _limit_error(name: str, nbytes: int, device: Device, dtype: type[DType]) -> LimitError:
    """Return the error for a weight that no kernel can read on a device."""
    half = "compute in f16 (--dtype f16), or " if dtype is f32 and device.has_f16 else ""
    return LimitError(
        f"{name}: a weight must take at most {largest_buffer(device)} bytes on "
        f"{device.info.name} ({device.info.backend}), got {nbytes} in {dtype.name}; "
        f"{half}choose another device"
    )


def _name_regions(module: Module, device: Device) -> None:
    """Name the regions of all modules inside as in their parents."""
    for name, member in _members(module):
        if isinstance(member, Module):
            member._place = device, name
            _name_regions(member, device)


def trim_idle_memory(device: Device) -> None:
    """Give idle memory back. Else weights, which stay, would take blocks larger than they need."""
    if device.pool.idle > _MOST_IDLE:
        device.trim()
