"""Fields of the extension's infotext, both forms, and the way there and back."""

from __future__ import annotations

import pytest
from PIL import Image

from diffusion.control import Control
from diffusion.errors import SettingsError
from diffusion.infotext.controls import control_text, read_controls, unknown_modules

NEW = (
    "Module: canny, Model: control_v11p_sd15_canny [d14c016b], Weight: 1.5, Resize Mode: Just "
    "Resize, Processor Res: 512, Threshold A: 50.0, Threshold B: 150.0, Guidance Start: 0.1, "
    "Guidance End: 0.9, Pixel Perfect: False, Control Mode: My prompt is more important, "
    "Hr Option: High res only"
)
OLD = (
    "preprocessor: canny, model: control_v11p_sd15_canny [d14c016b], weight: 1, "
    "starting/ending: (0.1, 0.9), resize mode: Envelope (Outer Fit), pixel perfect: True, "
    "control mode: ControlNet is more important, preprocessor params: (512, 50, 150)"
)


def test_both_forms_are_read() -> None:
    name = "control_v11p_sd15_canny [d14c016b]"
    new, old = read_controls({"ControlNet 1": OLD, "ControlNet 0": NEW, "Steps": "3"})
    assert new == Control(
        name,
        preprocessor="canny",
        weight=1.5,
        start=0.1,
        end=0.9,
        mode="prompt",
        resize="stretch",
        resolution=512,
        threshold_a=50.0,
        threshold_b=150.0,
        passes="hires",
    )
    assert old == Control(
        name,
        preprocessor="canny",
        start=0.1,
        end=0.9,
        mode="control",
        resize="fill",
        threshold_a=50.0,
        threshold_b=150.0,
    )


@pytest.mark.parametrize(
    "control",
    [
        Control("a"),
        Control("a", preprocessor="canny", threshold_a=10.0, threshold_b=20.5, resolution=256),
        Control("a", weight=-0.25, start=0.25, end=0.5, mode="guess", resize="fill"),
        Control("a", mode="control", passes="base", kind="tile", layer_weights=(1.0, 0.5)),
    ],
)
def test_what_is_written_reads_back(control: Control) -> None:
    text = control_text(control, "a", "0a1b2c3d")
    (found,) = read_controls({"ControlNet 0": text})
    checked = Control(**{**vars_of(control), "model": "a [0a1b2c3d]"})
    assert control_text(found, "a", "0a1b2c3d") == text
    assert vars_of(found) | defaults(found) == vars_of(checked) | defaults(checked)
    Control(**{**vars_of(found), "image": Image.new("RGB", (8, 8))}).check()


def vars_of(control: Control) -> dict[str, object]:
    return {name: getattr(control, name) for name in Control.__dataclass_fields__}


def defaults(control: Control) -> dict[str, object]:
    """Return the thresholds as numbers: the text holds the defaults."""
    a, b = control.threshold_a or 100.0, control.threshold_b or 200.0
    return {"threshold_a": a, "threshold_b": b}


def test_unknown_modules_are_told_and_thresholds_of_others_left_out() -> None:
    fields = {"ControlNet 0": "Module: depth_midas, Model: x [00000000], Threshold A: -1.0"}
    (found,) = read_controls(fields)
    assert found == Control("x [00000000]")
    assert list(unknown_modules(fields)) == ["ControlNet 0: Module: depth_midas"]
    assert list(unknown_modules({"ControlNet 0": NEW})) == []


def test_no_name_becomes_a_path() -> None:
    text = "Module: none, Model: /etc/x.SafeTensors.safetensors "
    (found,) = read_controls({"ControlNet 0": text})
    assert found.model == "/etc/x"
    assert not found.is_path


@pytest.mark.parametrize(
    "text", ["Weight: heavy", "Guidance Start: 1e", "Control Mode: x", "Processor Res: a"]
)
def test_values_of_a_wrong_type_are_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        read_controls({"ControlNet 0": f"Model: x, {text}"})
