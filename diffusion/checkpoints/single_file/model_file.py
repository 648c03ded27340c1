"""A whole model in one ``.safetensors`` or ``.gguf`` file, as the tools of the field exchange it.

The names are those of the code that trained the model (see ``module_names``). The configs are
worked out from names and shapes (see ``configs``). The file holds no tokenizer: it comes from a
folder that the caller names, or from one called ``tokenizer`` beside the file.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.checkpoints.model_folder import ModelFolder, Part
from diffusion.checkpoints.model_index import Encoder
from diffusion.checkpoints.part_files import check_tokenizer
from diffusion.checkpoints.safetensors import SafetensorsFile
from diffusion.checkpoints.safetensors.scales import with_scales
from diffusion.checkpoints.single_file.configs import (
    CONFIG_KEY,
    Prediction,
    derive_configs,
    stored_configs,
)
from diffusion.checkpoints.single_file.families import (
    UNET_PREFIX,
    VAE_PREFIX,
    TextEncoder,
    find_text_encoders,
)
from diffusion.checkpoints.single_file.module_names import unet_names
from diffusion.checkpoints.single_file.sources import (
    is_leftover,
    renamed_sources,
    text_sources,
    vae_sources,
)
from diffusion.checkpoints.single_file.unet_config import Json
from diffusion.checkpoints.tensor_files import open_tensors
from diffusion.checkpoints.weights import ParameterSource, Weights
from diffusion.errors import ModelFormatError, ModelNotFoundError, SettingsError


class ModelFile(ModelFolder):
    """A single file, opened by path or by the caller, with the interface of a ``ModelFolder``.

    ``tokenizer``: folder with ``vocab.json`` and ``merges.txt``; ``prediction``: what the UNet
    predicts where the file does not tell. Raises ``ModelNotFoundError`` or ``ModelFormatError``.
    """

    def __init__(
        self,
        source: str | Path | SafetensorsFile,
        *,
        tokenizer: str | Path | None = None,
        prediction: Prediction | None = None,
    ) -> None:
        if prediction is not None and prediction not in get_args(Prediction):
            hint = f"must be one of {', '.join(get_args(Prediction))}"
            raise SettingsError("prediction", prediction, hint)
        opened = source if isinstance(source, SafetensorsFile) else open_tensors(source)
        self.file = with_scales(opened)
        self.path = self.file.path
        self._tokenizer_folder = None if tokenizer is None else Path(tokenizer)
        stored = stored_configs(self.file)
        if stored is not None and prediction is not None:
            raise SettingsError("prediction", prediction, "leave it out: the file has its own")
        self._configs = derive_configs(self.file, prediction) if stored is None else stored
        self._read_configs()

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.path.stem

    def json(self, name: str) -> tuple[Json, Path]:
        """Return the object that stands for a folder's JSON file, and this file's path."""
        found = self._configs.get(name)
        if not isinstance(found, dict):
            where = f"metadata {CONFIG_KEY}"
            raise ModelFormatError(self.path, where, f"must have an object {name}", DOWNLOAD_AGAIN)
        return found, self.path

    def weights(self, part: Part) -> Weights:
        """Return a part's tensors under the model's names; no tensor is read yet."""
        return Weights(self.path, self._sources(part))

    def unused_names(self) -> list[str]:
        """Return the names of tensors that no part holds and that training does not leave."""
        prefixes = (
            UNET_PREFIX,
            VAE_PREFIX,
            *(encoder.prefix for encoder in self._encoders()),
        )
        return [
            name
            for name in self.file.names
            if not name.startswith(prefixes) and not is_leftover(name)
        ]

    def _sources(self, part: Part) -> Iterator[ParameterSource]:
        """Yield the sources of a part's parameters."""
        if part == "unet":
            unet = self.unet
            names = unet_names(unet.down_block_types, unet.up_block_types, unet.layers_per_block)
            yield from renamed_sources(self.file, UNET_PREFIX, names)
            for name in self.unused_names():
                yield ParameterSource(name, self.file, name, self.file.entry(name))
        elif part == "vae":
            yield from vae_sources(self.file, len(self.vae.block_out_channels))
        else:
            encoder = self._encoder(part)
            layers = self.json(f"{part}/config.json")[0].get("num_hidden_layers")
            yield from text_sources(self.file, encoder, layers if isinstance(layers, int) else 0)

    def padding(self, encoder: Encoder) -> str | None:
        """Return ``!``, the token of number 0, for open_clip; None for other encoders."""
        return "!" if self._encoder(encoder).open_clip else None

    def _encoders(self) -> tuple[TextEncoder, ...]:
        """Return the text encoders that the file has."""
        return find_text_encoders({name: each.shape for name, each in self.file.entries.items()})

    def _encoder(self, part: str) -> TextEncoder:
        """Return the text encoder of a part. Raises ``ModelFormatError``."""
        for each in self._encoders():
            if each.part == part:
                return each
        raise ModelFormatError(self.path, "names", f"must have a {part}", DOWNLOAD_AGAIN)

    def _find_tokenizer(self, encoder: Encoder) -> Path:
        """Return the caller's tokenizer, or the one beside the file."""
        try:
            return check_tokenizer(self._tokenizer_folder or self.path.parent / "tokenizer")
        except ModelNotFoundError as error:
            reason = "a single file holds no tokenizer, and there is none here"
            hint = "name a folder with the model's vocab.json and merges.txt (--tokenizer)"
            raise ModelNotFoundError(error.path, reason, hint) from None
