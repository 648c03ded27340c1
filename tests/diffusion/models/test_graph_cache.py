"""The rule of eviction of captured networks."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import pytest

from diffusion.models.graph_cache import GraphCache


@dataclass(eq=False)
class FakeNetwork:
    """A captured network that knows whether it is released."""

    size: int = 1
    released: bool = False

    def release(self) -> None:
        self.released = True


def lend_once(cache: GraphCache[FakeNetwork], key: Hashable, size: int = 1) -> FakeNetwork:
    """Return the network that the cache lends, after it is given back."""
    with cache.lend(key, lambda: FakeNetwork(size)) as network:
        assert not network.released
    return network


def test_the_one_used_longest_ago_is_released() -> None:
    cache = GraphCache[FakeNetwork](most=2)
    a, b = (lend_once(cache, key) for key in "ab")
    assert lend_once(cache, "a") is a
    c = lend_once(cache, "c")
    assert [each.released for each in (a, b, c)] == [False, True, False]
    assert lend_once(cache, "b") is not b
    cache.release()
    assert a.released
    assert c.released
    assert lend_once(cache, "c") is not c


def test_a_large_one_is_released_when_it_is_idle() -> None:
    cache = GraphCache[FakeNetwork](most=2, largest=10)
    assert not lend_once(cache, "fits", 10).released
    assert lend_once(cache, "large", 11).released


def test_a_lent_one_is_not_shared() -> None:
    cache = GraphCache[FakeNetwork](most=2)
    with cache.lend("a", FakeNetwork) as first:
        second = lend_once(cache, "a")
        assert second is not first
    assert first.released, "the other one is kept"
    assert lend_once(cache, "a") is second


def test_it_comes_back_after_an_error() -> None:
    cache = GraphCache[FakeNetwork](most=2)
    with pytest.raises(KeyboardInterrupt), cache.lend("a", FakeNetwork) as network:
        raise KeyboardInterrupt
    assert lend_once(cache, "a") is network
