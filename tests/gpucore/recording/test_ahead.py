"""Copies from memory of the host are put ahead of their place, as far as memory allows."""

from __future__ import annotations

from random import Random

import pytest

from gpucore.backends import Command
from gpucore.memory.sharing import PlannedHandle
from gpucore.recording.ahead import Filling, Step, with_copies_ahead


def make() -> Command:
    raise AssertionError("nothing is made before memory is known")


def copy(handle: PlannedHandle) -> Step:
    return Step(make, (handle,), Filling.COPY)


def layer(*handles: PlannedHandle) -> Step:
    return Step(make, handles)


def random_steps(seed: int) -> list[Step]:
    """Return copies, each used by one to three of the next launches, and other launches."""
    random = Random(seed)
    steps: list[Step] = []
    for _ in range(40):
        weight, x = PlannedHandle(256 * random.randrange(1, 40)), PlannedHandle(256)
        steps.append(copy(weight))
        for _ in range(random.randrange(1, 4)):
            steps += [layer(x)] * random.randrange(3)
            steps.append(layer(weight, x))
    return steps


@pytest.mark.parametrize("seed", range(8))
def test_one_is_ahead_and_more_as_far_as_the_largest_reaches(seed: int) -> None:
    steps = random_steps(seed)
    found = with_copies_ahead(steps)
    assert [each for each in found if each.filling] == [each for each in steps if each.filling]
    assert [e for e in found if e.filling is None] == [e for e in steps if e.filling is None]
    sizes = {each.handles[0]: each.handles[0].nbytes for each in steps if each.filling}
    last = {handle: at for at, each in enumerate(found) for handle in each.handles}
    live, begun = set[PlannedHandle](), set[PlannedHandle]()
    for at, step in enumerate(found):
        used = sizes.keys() & set(step.handles)
        if step.filling:
            needed = next(each for each in found[at:] if not each.filling).handles
            waiting = live - begun - set(needed)
            live |= used
            has_room = sum(sizes[handle] for handle in live) <= max(sizes.values())
            assert has_room or not waiting or used <= set(needed)
        else:
            assert used <= live
            begun |= used
            assert live - begun or not any(each.filling for each in found[at:]), "one is ahead"
            live -= {handle for handle in used if last[handle] == at}
    ahead = sum(found.index(each) < steps.index(each) for each in steps if each.filling)
    assert ahead > 30


def test_a_layer_computes_behind_the_copy_of_the_next() -> None:
    weights = [PlannedHandle(1024) for _ in range(3)]
    steps = [step for weight in weights for step in (copy(weight), layer(weight))]
    a, b, c = (steps[at : at + 2] for at in (0, 2, 4))
    assert with_copies_ahead(steps) == [a[0], b[0], a[1], c[0], b[1], c[1]]


def test_what_several_copies_fill_waits_for_all() -> None:
    """Quantised weights may have several parts, and together more bytes than wait at most."""
    parts = [PlannedHandle(1024) for _ in range(3)]
    steps = [*map(copy, parts), layer(*parts)]
    assert with_copies_ahead(steps) == steps
    assert with_copies_ahead(steps[:3]) == steps[:3], "whoever captured it reads what is copied"
    assert with_copies_ahead([]) == []
