"""Noise schedules that tests use."""

from diffusion.models.config import SchedulerConfig
from diffusion.schedules import NoiseSchedule


def config(
    prediction: str = "epsilon",
    offset: int = 1,
    alpha_one: bool = False,
    spacing: str = "leading",
) -> SchedulerConfig:
    """Return the scheduler's config of Stable Diffusion 1.x."""
    return SchedulerConfig(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type=prediction,
        steps_offset=offset,
        set_alpha_to_one=alpha_one,
        timestep_spacing=spacing,
        rescale_betas_zero_snr=False,
    )


def stable_diffusion(
    prediction: str = "epsilon",
    offset: int = 1,
    alpha_one: bool = False,
    spacing: str = "leading",
) -> NoiseSchedule:
    """Return the training noise of that config."""
    return NoiseSchedule.from_config(config(prediction, offset, alpha_one, spacing))
