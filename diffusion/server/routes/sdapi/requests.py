"""The bodies of ``txt2img`` and ``img2img``, with AUTOMATIC1111's names, types and defaults.

Unknown fields are ignored, and numbers may be texts, as there: clients count on both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diffusion.errors import SettingsError

__all__ = ["DrawBody", "Img2ImgBody", "Txt2ImgBody", "change_body"]

Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1000)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class DrawBody(BaseModel):
    """The fields that both have."""

    model_config = ConfigDict(extra="ignore")

    prompt: str = ""
    negative_prompt: str = ""
    styles: list[str] | None = None
    seed: int = -1
    subseed: int = -1
    subseed_strength: Share = 0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    sampler_name: str | None = None
    scheduler: str | None = None
    batch_size: Count = 1
    n_iter: Count = 1
    steps: int = 50
    cfg_scale: Number = 7.0
    width: int = 512
    height: int = 512
    restore_faces: bool | None = None
    tiling: bool | None = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    eta: Number | None = None
    denoising_strength: Number | None = 0.75
    s_min_uncond: Number | None = None
    s_churn: Number | None = None
    s_tmax: Number | None = None
    s_tmin: Number | None = None
    s_noise: Number | None = None
    override_settings: dict[str, Any] | None = None
    override_settings_restore_afterwards: bool = True
    refiner_checkpoint: str | None = None
    refiner_switch_at: Number | None = None
    disable_extra_networks: bool = False
    comments: dict[str, Any] | None = None
    sampler_index: str | None = "Euler"
    script_name: str | None = None
    script_args: list[Any] = []
    send_images: bool = True
    save_images: bool = False
    alwayson_scripts: dict[str, Any] = {}
    force_task_id: Annotated[str, Field(max_length=200)] | None = None
    infotext: str | None = None


class Txt2ImgBody(DrawBody):
    """The body of ``txt2img``."""

    enable_hr: bool = False
    firstphase_width: int = 0
    firstphase_height: int = 0
    hr_scale: Number = 2.0
    hr_upscaler: str | None = None
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint_name: str | None = None
    firstpass_image: str | None = None
    hr_sampler_name: str | None = None
    hr_scheduler: str | None = None
    hr_prompt: str = ""
    hr_negative_prompt: str = ""


class Img2ImgBody(DrawBody):
    """The body of ``img2img``."""

    init_images: list[str] | None = None
    resize_mode: Annotated[int, Field(ge=0, le=3)] = 0
    image_cfg_scale: Number | None = None
    mask: str | None = None
    mask_blur_x: int = 4
    mask_blur_y: int = 4
    mask_blur: int | None = None
    mask_round: bool = True
    inpainting_fill: Annotated[int, Field(ge=0, le=3)] = 0
    inpaint_full_res: bool = True
    inpaint_full_res_padding: int = 0
    inpainting_mask_invert: int = 0
    initial_noise_multiplier: Number | None = None
    include_init_images: bool = False


def change_body(body: DrawBody, changes: Mapping[str, object]) -> DrawBody:
    """Return a body with other fields, and other options where a name is no field.

    Raises `SettingsError` for a value that a field cannot have.
    """
    names = type(body).model_fields
    fields = {name: value for name, value in changes.items() if name in names}
    options = {name: value for name, value in changes.items() if name not in names}
    if options:
        fields["override_settings"] = {**(body.override_settings or {}), **options}
    try:
        return type(body).model_validate({**body.model_dump(), **fields})
    except ValidationError as error:
        found = error.errors()[0]
        name = str(found["loc"][0])
        raise SettingsError(name, changes.get(name), found["msg"].lower()) from error
