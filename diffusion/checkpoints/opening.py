"""Opening whatever a user names as a model: a folder or a single file, and a UNet in its place."""

from pathlib import Path

from diffusion.checkpoints.file_errors import reading
from diffusion.checkpoints.model_folder import ModelFolder
from diffusion.checkpoints.pytorch import wrong_file_error
from diffusion.checkpoints.single_file import ModelFile, Prediction
from diffusion.checkpoints.single_file.unet_file import ModelWithUnet
from diffusion.checkpoints.tensor_files import MODEL_ENDS
from diffusion.errors import SettingsError


def open_model(
    path: str | Path,
    *,
    tokenizer: str | Path | None = None,
    prediction: Prediction | None = None,
    unet: str | Path | None = None,
) -> ModelFolder:
    """Open a model's folder, or a single ``.safetensors`` or ``.gguf`` file.

    ``tokenizer`` and ``prediction`` are for single files, which lack them (see ``ModelFile``).
    ``unet``: a file whose UNet takes the place of the model's own. Raises ``SettingsError`` where a
    folder is given a tokenizer or prediction, ``ModelNotFoundError`` or ``ModelFormatError``.
    """
    path = Path(path)
    with reading(path):
        if path.suffix.lower() in MODEL_ENDS and not path.is_dir():
            model: ModelFolder = ModelFile(path, tokenizer=tokenizer, prediction=prediction)
        elif path.is_file():
            raise wrong_file_error(path, "a model's folder", "name a model")
        else:
            model = ModelFolder(path)
            for name, given in (("tokenizer", tokenizer), ("prediction", prediction)):
                if given is not None:
                    raise SettingsError(
                        name, str(given), "a model's folder has its own; leave it out"
                    )
    return model if unet is None else ModelWithUnet(model, unet)
