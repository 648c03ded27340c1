"""Pictures that are too large for a device end in one line that says what to do."""

from __future__ import annotations

import pytest

from diffusion import Pipeline, Settings
from gpucore import Device, LimitError
from tests.diffusion.buffer_limits import limit_buffers
from tests.diffusion.golden_families import networks

SETTINGS = Settings("a cat", width=64, height=48, steps=1, sampler="euler", count=2, batch=2)


def test_a_picture_beyond_the_limits_says_what_to_do(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As SD 1.5 in f32 on Mesa's software renderer at 1024x1024: 168 MB, where 134 MB fit."""
    pipeline = Pipeline(networks(device, "sd2"))
    with monkeypatch.context() as patch:
        limit_buffers(patch, device, 4096)
        half = ", or compute in f16 (--dtype f16)" if device.has_f16 else ""
        with pytest.raises(LimitError) as caught:
            list(pipeline.generate(SETTINGS))
    pipeline.release()
    text = str(caught.value)
    assert text.startswith("64x48 pixels, 2 at once, in f32: a buffer of ")
    assert "is over the limit of 4096 bytes of " in text
    assert text.endswith(f"; draw a smaller picture, or fewer at once (--batch){half}")
    assert "split the array" not in text
    assert len(pipeline.draw(SETTINGS)) == 2
