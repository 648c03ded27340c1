"""Train the text encoder and the UNet together on the bank of latents."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from tools.train_emoji.averaging import WeightAverage
from tools.train_emoji.bank import Bank
from tools.train_emoji.losses import alphas_cumulative, velocity_weight
from tools.train_emoji.networks import (
    autocast,
    build_text_encoder,
    build_unet,
    compile_function,
    parameter_count,
)
from tools.train_emoji.settings import DiffusionTraining, Settings, Sizes
from tools.train_emoji.timebox import TimeBox, cosine, log, wait_for_gpu


@dataclass
class Denoiser:
    """The two networks that are trained together."""

    unet: UNet2DConditionModel
    text: CLIPTextModel

    @classmethod
    def build(cls, sizes: Sizes) -> "Denoiser":
        """Build networks with new weights."""
        return cls(build_unet(sizes), build_text_encoder(sizes))

    @classmethod
    def load_averaged(cls, sizes: Sizes, checkpoint: Path) -> "Denoiser":
        """Load the averaged weights of a checkpoint."""
        made = cls.build(sizes)
        state = torch.load(checkpoint, map_location="cpu")
        average = WeightAverage(made.parameters())
        average.restore(state["average"])
        average.apply()
        return made

    @classmethod
    def load_exported(cls, folder: Path) -> "Denoiser":
        """Load the weights of a model folder; its tokenizer must be the run's own."""
        unet = UNet2DConditionModel.from_pretrained(folder / "unet").float()
        text = CLIPTextModel.from_pretrained(folder / "text_encoder").float()
        return cls(unet, text)

    def parameters(self) -> list[nn.Parameter]:
        """Return the weights of both, in a fixed order."""
        return [*self.unet.parameters(), *self.text.parameters()]

    def to(self, device: torch.device) -> "Denoiser":
        """Move both to the device, the UNet channels-last."""
        self.unet.to(device).to(memory_format=torch.channels_last)
        self.text.to(device)
        return self


class VelocityLoss:
    """Weighted squared error of v = sqrt(a) noise - sqrt(1-a) x0 (Salimans and Ho 2022)."""

    def __init__(
        self, net: Denoiser, empty: Tensor, how: DiffusionTraining, *, compile_it: bool
    ) -> None:
        device = empty.device
        self._alphas = alphas_cumulative(device)
        self._weights = velocity_weight(self._alphas, how.snr_limit, how.least_weight)
        self._empty = empty
        self._dropout = how.caption_dropout
        self._net = net
        self._unet: Callable[[Tensor, Tensor, Tensor], Tensor] = compile_function(
            lambda x, t, c: net.unet(x, t, encoder_hidden_states=c, return_dict=False)[0],
            enabled=compile_it,
        )

    def __call__(self, latents: Tensor, tokens: Tensor) -> Tensor:
        """Return the loss of one batch at time steps spread evenly over the schedule."""
        n, device = len(latents), latents.device
        dropped = torch.rand(n, 1, device=device) < self._dropout
        tokens = torch.where(dropped, self._empty, tokens)
        spread = torch.arange(n, device=device) + torch.rand(n, device=device)
        t = (spread * (1000.0 / n)).long().clamp(max=999)
        noise = torch.randn_like(latents)
        signal = self._alphas[t].sqrt()[:, None, None, None]
        amount = (1 - self._alphas[t]).sqrt()[:, None, None, None]
        x = (signal * latents + amount * noise).contiguous(memory_format=torch.channels_last)
        with autocast(device):
            context = self._net.text(input_ids=tokens).last_hidden_state
            guess = self._unet(x, t, context)
        error = (guess.float() - (signal * noise - amount * latents)) ** 2
        return (error.mean((1, 2, 3)) * self._weights[t]).mean()


@dataclass
class _Run:
    """All that changes while training."""

    net: Denoiser
    optimiser: torch.optim.Optimizer
    average: WeightAverage
    spent: float
    steps: int

    def save(self, path: Path) -> None:
        torch.save(
            {
                "unet": self.net.unet.state_dict(),
                "text": self.net.text.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "average": self.average.values,
                "spent": self.spent,
                "steps": self.steps,
            },
            path,
        )

    def restore(self, path: Path, device: torch.device) -> None:
        state = torch.load(path, map_location=device)
        self.net.unet.load_state_dict(state["unet"])
        self.net.text.load_state_dict(state["text"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average.restore(state["average"])
        self.spent, self.steps = state["spent"], state["steps"]


def train_diffusion(bank: Bank, empty: Tensor, settings: Settings, checkpoint: Path) -> None:
    """Resume from the checkpoint if there is one, train for the set time, write it.

    `empty` holds the tokens of the empty prompt, (1, 77).
    """
    device, how = settings.device, settings.diffusion
    if how.start_from is None:
        net = Denoiser.build(settings.sizes).to(device)
    else:
        net = Denoiser.load_exported(how.start_from).to(device)
    net.unet.train()
    net.text.train()
    optimiser = torch.optim.AdamW(
        net.parameters(),
        how.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=0.01,
        fused=device.type == "cuda",
    )
    run = _Run(net, optimiser, WeightAverage(net.parameters()), 0.0, 0)
    if checkpoint.exists():
        run.restore(checkpoint, device)
    sizes = f"{parameter_count(net.unet) / 1e6:.3f} + {parameter_count(net.text) / 1e6:.3f}"
    log(f"diffusion: {sizes} M weights, {run.steps} steps in {run.spent:.0f} s so far")
    loss_of = VelocityLoss(net, empty.to(device), how, compile_it=settings.compile)
    _fit(run, loss_of, bank, settings)
    run.save(checkpoint)


def _fit(run: _Run, loss_of: VelocityLoss, bank: Bank, settings: Settings) -> None:
    how = settings.diffusion
    parameters = run.net.parameters()
    box = TimeBox(
        how.seconds,
        spent=run.spent,
        total=how.total_seconds,
        max_steps=settings.max_steps,
        deadline=settings.deadline,
    )
    smooth: Tensor | None = None
    over = False
    while not over:
        loss = loss_of(*bank.draw(how.batch))
        loss.backward()
        warm = min(1.0, (run.steps + 1) / how.warm_up_steps)
        rate = how.learning_rate * warm * cosine((box.progress - 0.1) / 0.9)
        for group in run.optimiser.param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        run.optimiser.step()
        run.optimiser.zero_grad(set_to_none=True)
        run.average.follow(run.steps)
        run.steps += 1
        smooth = loss.detach() if smooth is None else smooth.lerp(loss.detach(), 0.01)
        over = box.step_done()
        if run.steps % 500 == 0 or over:
            wait_for_gpu()
            speed = box.timed_steps * how.batch / max(box.elapsed, 1e-3)
            log(
                f"diffusion step {run.steps} {box.progress:.0%} loss {smooth.item():.4f} "
                f"rate {rate:.1e} {speed:.0f} samples/s"
            )
    run.spent = box.spent
