"""Files that are no whole model, and what the server completes them with.

A single file holds no tokenizer, and files of quantised UNets hold nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from diffusion.checkpoints import ModelFolder, open_model
from diffusion.checkpoints.part_files import check_tokenizer
from diffusion.checkpoints.single_file.unet_file import is_unet_alone
from diffusion.checkpoints.tensor_files import MODEL_ENDS
from diffusion.errors import ModelFormatError

__all__ = ["WHOLE_MODELS", "Completed", "ModelFiles"]


class Completed(NamedTuple):
    """The arguments that `open_model` and `Pipeline.load` take for a model."""

    model: Path
    tokenizer: Path | None
    unet: Path | None


@dataclass(frozen=True)
class ModelFiles:
    """What completes files of models.

    ``tokenizer``: a folder with ``vocab.json`` and ``merges.txt``, for files without a folder
    ``tokenizer`` beside them. ``unet_base``: a model whose text encoders and VAE draw with a UNet
    that is alone in its file.
    """

    tokenizer: Path | None = None
    unet_base: Path | None = None

    def complete(self, model: Path) -> Completed:
        """Return what a model is opened with. Raises `ModelError`."""
        if not _is_file(model) or not is_unet_alone(model):
            return Completed(model, self._tokenizer_of(model), None)
        base = self.unet_base
        if base is None:
            reason = "must be a whole model, got a UNet alone"
            hint = "name a model for its other parts: the server's setting unet_base (--unet-base)"
            raise ModelFormatError(model, "names", reason, hint)
        return Completed(base, self._tokenizer_of(base), model)

    def open(self, model: Path) -> ModelFolder:
        """Open a model. Raises `ModelError`."""
        found = self.complete(model)
        return open_model(found.model, tokenizer=found.tokenizer, unet=found.unet)

    def check(self) -> None:
        """Raise `ModelError` where the tokenizer or the base cannot be used."""
        if self.tokenizer is not None:
            check_tokenizer(self.tokenizer)
        if self.unet_base is not None:
            self.open(self.unet_base)

    def _tokenizer_of(self, model: Path) -> Path | None:
        beside = (model.parent / "tokenizer").is_dir()
        return self.tokenizer if _is_file(model) and not beside else None


def _is_file(model: Path) -> bool:
    return model.suffix.lower() in MODEL_ENDS and not model.is_dir()


WHOLE_MODELS: Final = ModelFiles()
"""For models that lack nothing."""
