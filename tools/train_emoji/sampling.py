"""Draw pictures with a model folder, to judge it: DPM++ 2M with Karras's steps."""

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel

from tools.train_emoji.networks import decode, load_vae
from tools.train_emoji.tokenizer import Encoder


class Sampler:
    """A model folder in the diffusers layout, in float32 on the device."""

    def __init__(self, folder: Path, device: torch.device, *, batch: int = 64) -> None:
        self.device = device
        self._batch = batch
        self._encoder = Encoder(folder / "tokenizer")
        self._unet = UNet2DConditionModel.from_pretrained(folder / "unet").float()
        self._text = CLIPTextModel.from_pretrained(folder / "text_encoder").float()
        self.vae: AutoencoderKL = load_vae(folder / "vae")
        self._schedule = DPMSolverMultistepScheduler.from_pretrained(
            folder / "scheduler",
            algorithm_type="dpmsolver++",
            solver_order=2,
            use_karras_sigmas=True,
        )
        for module in (self._unet, self._text, self.vae):
            module.to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(
        self, prompts: Sequence[str], *, seed: int = 0, guidance: float = 4.0, steps: int = 20
    ) -> Tensor:
        """Draw RGB pictures in [-1, 1], (n, 3, S, S); the noise is drawn on the CPU."""
        generator = torch.Generator().manual_seed(seed)
        parts = [
            self._draw(prompts[k : k + self._batch], generator, guidance, steps)
            for k in range(0, len(prompts), self._batch)
        ]
        return torch.cat(parts)

    def _draw(
        self, prompts: Sequence[str], generator: torch.Generator, guidance: float, steps: int
    ) -> Tensor:
        n, side = len(prompts), self._unet.config.sample_size
        tokens = self._encoder([*prompts, *[""] * n]).to(self.device)
        context = self._text(input_ids=tokens).last_hidden_state
        self._schedule.set_timesteps(steps)
        x = torch.randn(n, 4, side, side, generator=generator).to(self.device)
        x = x * self._schedule.init_noise_sigma
        for t in self._schedule.timesteps:
            both = self._schedule.scale_model_input(torch.cat([x, x]), t)
            guess = self._unet(both, t.to(self.device), encoder_hidden_states=context).sample
            with_prompt, without = guess.chunk(2)
            guided = without + guidance * (with_prompt - without)
            x = self._schedule.step(guided, t, x).prev_sample
        return decode(self.vae, x / self.vae.config.scaling_factor).clamp(-1, 1)
