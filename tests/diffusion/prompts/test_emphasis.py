"""The effect of weights on embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion.errors import SettingsError
from diffusion.prompts import EMPHASES, weigh_embeddings

DRAWN = np.random.default_rng(1).normal(0.3, 1, (2, 5, 8)).astype(np.float32)
WEIGHTS = np.array([[1, 1.5, 0.5, 1, 1], [1, 1, 1, 1, 1]])


def test_without_norm_each_token_is_multiplied() -> None:
    found = weigh_embeddings(DRAWN, WEIGHTS, keeps_mean=False)
    np.testing.assert_array_equal(found[0, 1], DRAWN[0, 1] * np.float32(1.5))
    np.testing.assert_array_equal(found[0, 2], DRAWN[0, 2] * np.float32(0.5))
    np.testing.assert_array_equal(found[:, 3:], DRAWN[:, 3:])


def test_the_original_mode_keeps_each_chunks_mean() -> None:
    found = weigh_embeddings(DRAWN, WEIGHTS, keeps_mean=True)
    plain = weigh_embeddings(DRAWN, WEIGHTS, keeps_mean=False)
    assert found[0].mean() == pytest.approx(DRAWN[0].mean(), rel=1e-5)
    assert plain[0].mean() != pytest.approx(DRAWN[0].mean(), rel=1e-3)
    factor = DRAWN[0].mean() / plain[0].mean()
    np.testing.assert_allclose(found[0], plain[0] * factor, rtol=1e-5)
    np.testing.assert_array_equal(found[1], DRAWN[1])  # a chunk of its own


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_weights_of_one_keep_the_bits(dtype: type[np.float16 | np.float32]) -> None:
    states = DRAWN.astype(dtype)
    found = weigh_embeddings(states, np.ones((2, 5)), keeps_mean=True)
    np.testing.assert_array_equal(found.astype(dtype), states)


@pytest.mark.parametrize(
    ("before", "weights", "factor"),
    [
        ([1.0, 1.0], [1.0, -1.0], 1.0),  # the mean becomes zero: left alone
        ([1.0, -1.0], [1.0, 1.0], 1.0),  # it was and stays zero
        ([1.0, -1.0], [2.0, 1.0], 0.0),  # as asked for
        ([1.0, 1.0], [1.0, -0.99], 10.0),  # 200 is asked for
        ([1.0, 1.0], [-1.0, 0.99], -10.0),
        ([1.0, 1.0], [-1.0, 0.0], -2.0),
    ],
)
def test_rescaling_stays_within_bounds(
    before: list[float], weights: list[float], factor: float
) -> None:
    states = np.array(before)[None, :, None]
    found = weigh_embeddings(states, np.array([weights]), keeps_mean=True)
    np.testing.assert_allclose(found[0, :, 0], np.array(before) * weights * factor, rtol=1e-6)


def test_modes_are_found_by_the_fields_names() -> None:
    assert [mode.label for mode in EMPHASES] == ["Original", "No norm", "Ignore", "None"]
    assert EMPHASES.find("No norm") is EMPHASES.find("no_norm")
    with pytest.raises(SettingsError, match="did you mean original"):
        EMPHASES.find("orignal")
