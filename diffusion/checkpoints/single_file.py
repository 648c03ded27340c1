"""A whole model in one ``.safetensors`` file, as the tools of the field exchange it.

The names are those of the code that trained the model (see ``single_file_names``); the configs are
worked out from names and shapes (``single_file_configs``). A file that this project wrote carries
its folder's configs in its metadata (``CONFIG_KEY``), and those are taken. The file holds no
tokenizer: it comes from a folder that the caller names, or one called ``tokenizer`` beside the
file.

What no shape tells is whether an SD 2.x UNet predicts noise or velocity. In order, it is taken
from the caller, from the metadata (``modelspec.prediction_type``), from a tensor named ``v_pred``,
and else from the size that the model was trained at: velocity at 768 pixels, noise at 512. The
size is ``modelspec.resolution``, or 512 where the file's name holds the word ``base`` or ``512``
or the model inpaints, else 768.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, get_args

from diffusion.checkpoints.file_kinds import AGAIN
from diffusion.checkpoints.folder import Encoder, ModelFolder, Part, tokenizer_folder
from diffusion.checkpoints.json_object import parse_json_object
from diffusion.checkpoints.names import CLIP_NAMES, translate
from diffusion.checkpoints.safetensors import SafetensorsFile, open_safetensors
from diffusion.checkpoints.single_file_configs import (
    UNET,
    VAE,
    Family,
    Json,
    TextEncoder,
    detect,
    model_index,
    pipeline_class,
    scheduler_config,
    text_config,
    unet_config,
    vae_config,
)
from diffusion.checkpoints.single_file_names import (
    NamePairs,
    is_vae_projection,
    open_clip_names,
    split_open_clip,
    unet_names,
    vae_names,
)
from diffusion.checkpoints.weights import Place, Weights
from diffusion.errors import ModelFormatError, ModelNotFoundError, SettingsError

Prediction = Literal["epsilon", "sample", "v_prediction"]

CONFIG_KEY: Final = "avila.config"
"""Metadata: the JSON files of the diffusers layout, as one object by their names."""

_MARKS: Final = ("v_pred", "ztsnr")
"""Empty tensors with which model makers say: predicts velocity; last step without signal."""

_LEFTOVERS: Final = re.compile(
    r"model_ema\..*|(?:first_stage_model\.)?loss\..*|logvar|global_step|denoiser\.sigmas"
    r"|betas|lvlb_weights|(?:sqrt_|log_)?(?:one_minus_|recip_|recipm1_)?alphas_cumprod(?:_prev)?"
    r"|posterior_(?:variance|log_variance_clipped|mean_coef[12])"
)
"""What training leaves in a checkpoint and no picture needs."""

_CLIP_LEFTOVERS: Final = re.compile(
    r".*\.(?:logit_scale|attn_mask|position_ids)|cond_stage_model\.model\.text_projection"
    r"|(?:cond_stage_model|conditioner\.embedders\.0)\.transformer\.text_projection\.weight"
)
"""The same for text encoders: SD takes no projected text from these."""


class ModelFile(ModelFolder):
    """A single file, opened by path or by the caller; all else is as in a ``ModelFolder``.

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
            hint = f"give one of {', '.join(get_args(Prediction))}"
            raise SettingsError("prediction", prediction, hint)
        self.file = source if isinstance(source, SafetensorsFile) else open_safetensors(source)
        self.path = self.file.path
        self._tokenizer_place = None if tokenizer is None else Path(tokenizer)
        stored = stored_configs(self.file)
        if stored is not None and prediction is not None:
            raise SettingsError("prediction", prediction, "the file has its own; leave it out")
        self._configs = worked_out(self.file, prediction) if stored is None else stored
        self._read()

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.path.stem

    def json(self, name: str) -> tuple[Json, Path]:
        """The object that stands for a folder's JSON file, and this file's path."""
        found = self._configs.get(name)
        if not isinstance(found, dict):
            where = f"metadata {CONFIG_KEY}"
            raise ModelFormatError(self.path, where, f"has no object {name}", AGAIN)
        return found, self.path

    def weights(self, part: Part) -> Weights:
        """A part's tensors under the model's names; no tensor is read yet."""
        return Weights(self.path, self._places(part))

    def unused(self) -> list[str]:
        """Names of tensors that no part of a model holds and that training does not leave."""
        prefixes = (UNET, VAE, *(encoder.prefix for encoder in text_encoders(self.file)))
        return [
            name
            for name in self.file.names
            if not name.startswith(prefixes) and not is_leftover(name)
        ]

    def _places(self, part: Part) -> Iterator[Place]:
        if part == "unet":
            unet = self.unet
            names = unet_names(unet.down_block_types, unet.up_block_types, unet.layers_per_block)
            yield from _renamed(self.file, UNET, names)
            for name in self.unused():
                yield Place(name, self.file, name, self.file.entry(name))
        elif part == "vae":
            yield from _vae_places(self.file, len(self.vae.block_out_channels))
        else:
            encoder = self._encoder(part)
            layers = self.json(f"{part}/config.json")[0].get("num_hidden_layers")
            yield from text_places(self.file, encoder, layers if isinstance(layers, int) else 0)

    def padding(self, encoder: Encoder) -> str | None:
        """As in a ``ModelFolder``: open_clip pads with the token of number 0, which is ``!``."""
        return "!" if self._encoder(encoder).open_clip else None

    def _encoder(self, part: str) -> TextEncoder:
        """Where a text encoder lies. Raises ``ModelFormatError``."""
        for each in text_encoders(self.file):
            if each.part == part:
                return each
        raise ModelFormatError(self.path, "names", f"has no {part}", AGAIN)

    def _tokenizer(self, encoder: Encoder) -> Path:
        place = self._tokenizer_place or self.path.parent / "tokenizer"
        try:
            return tokenizer_folder(place)
        except ModelNotFoundError as error:
            reason = "a single file holds no tokenizer, and there is none here"
            hint = "name a folder with the model's vocab.json and merges.txt (--tokenizer)"
            raise ModelNotFoundError(error.path, reason, hint) from None


def stored_configs(file: SafetensorsFile) -> Json | None:
    """The configs that a file's metadata carries; None where it has none."""
    text = file.metadata.get(CONFIG_KEY)
    return None if text is None else parse_json_object(text.encode(), file.path)


def worked_out(file: SafetensorsFile, prediction: Prediction | None) -> Json:
    """The configs of a file from elsewhere. Raises ``ModelFormatError``."""
    shapes = {name: entry.shape for name, entry in file.entries.items()}
    found = detect(shapes, file.path)
    pipeline = pipeline_class(found, shapes)
    side = _side(found, file, inpaints="Inpaint" in pipeline)
    chosen = prediction or _prediction(found, file, side)
    configs: Json = {
        "model_index.json": model_index(pipeline, found),
        "unet/config.json": unet_config(found, shapes, file.path, side),
        "vae/config.json": vae_config(found, shapes, file.path, side),
        "scheduler/scheduler_config.json": scheduler_config(
            chosen, zero_snr="ztsnr" in file.entries
        ),
    }
    for encoder in found.encoders:
        config = text_config(found, encoder, shapes, file.path)
        configs[f"{encoder.part}/config.json"] = config
    return configs


def _side(found: Family, file: SafetensorsFile, *, inpaints: bool) -> int:
    """Pixels along a side at which the model was trained."""
    told = re.fullmatch(r"(\d{3,4})x\1", file.metadata.get("modelspec.resolution", ""))
    if told:
        return int(told[1])
    small = inpaints or re.search(r"(?i)(?<![a-z0-9])(?:base|512)(?![a-z0-9])", file.path.stem)
    return 512 if found.side == 768 and small else found.side


def _prediction(found: Family, file: SafetensorsFile, side: int) -> Prediction:
    """What the network predicts, as far as the file tells."""
    told = file.metadata.get("modelspec.prediction_type", "")
    if told in ("epsilon", "v"):
        return "epsilon" if told == "epsilon" else "v_prediction"
    second = found.context == 1024 and side > 512
    return "v_prediction" if second or "v_pred" in file.entries else "epsilon"


def text_encoders(file: SafetensorsFile) -> tuple[TextEncoder, ...]:
    """Where the text encoders of a file lie, by its names."""
    places = (
        TextEncoder("text_encoder", "cond_stage_model.transformer.", False),
        TextEncoder("text_encoder", "cond_stage_model.model.", True),
        TextEncoder("text_encoder", "conditioner.embedders.0.transformer.", False),
        TextEncoder("text_encoder_2", "conditioner.embedders.0.model.", True),
        TextEncoder("text_encoder_2", "conditioner.embedders.1.model.", True),
    )
    return tuple(each for each in places if any(sign in file.entries for sign in each.signs))


def is_leftover(name: str) -> bool:
    """Whether a tensor is known to be of no use to a picture."""
    return name in _MARKS or _LEFTOVERS.fullmatch(name) is not None


def _renamed(file: SafetensorsFile, prefix: str, names: NamePairs) -> Iterator[Place]:
    """The tensors under a prefix; those whose names are not known keep them."""
    for stored in file.names:
        if stored.startswith(prefix) and not is_leftover(stored):
            name = names.diffusers(stored.removeprefix(prefix)) or stored
            yield Place(name, file, stored, file.entry(stored))


def _vae_places(file: SafetensorsFile, levels: int) -> Iterator[Place]:
    """The VAE's tensors; its attention's convolutions of 1x1 become matrices."""
    sign = f"{VAE}encoder.down.0.block.{{}}.conv2.weight"
    layers = _count(file.entries, sign)
    for place in _renamed(file, VAE, vae_names(levels, layers)):
        entry, shape = place.entry, place.entry.shape
        square = len(shape) == 4 and shape[2:] == (1, 1) and entry.axes is None
        if square and is_vae_projection(place.name):
            yield place._replace(entry=entry.reshaped(*shape[:2]))
        else:
            yield place


def _count(names: Iterable[str] | Mapping[str, object], sign: str) -> int:
    """How many of the names that ``sign`` makes of 0, 1, 2, ... follow one another."""
    number = 0
    while sign.format(number) in names:
        number += 1
    return number


def text_places(file: SafetensorsFile, encoder: TextEncoder, layers: int) -> Iterator[Place]:
    """A text encoder's tensors; ``layers`` are used, and those above are passed over."""
    names = open_clip_names(layers)
    for stored in file.names:
        if not stored.startswith(encoder.prefix) or _CLIP_LEFTOVERS.fullmatch(stored):
            continue
        name, entry = stored.removeprefix(encoder.prefix), file.entry(stored)
        if not encoder.open_clip:
            yield Place(translate(name, CLIP_NAMES), file, stored, entry)
        elif not _above(name, layers):
            for new, part in split_open_clip(name, entry, names):
                yield Place(new or stored, file, stored, part)


def _above(name: str, layers: int) -> bool:
    """Whether a name is of a layer that the model does not use."""
    found = re.match(r"transformer\.resblocks\.(\d{1,4})\.", name)
    return found is not None and int(found[1]) >= layers
