"""Opening whatever a user names as a model: a folder or a single file."""

from pathlib import Path

from diffusion.checkpoints.file_errors import reading
from diffusion.checkpoints.model_folder import ModelFolder
from diffusion.checkpoints.pytorch import wrong_file_error
from diffusion.checkpoints.single_file import ModelFile, Prediction


def open_model(
    path: str | Path,
    *,
    tokenizer: str | Path | None = None,
    prediction: Prediction | None = None,
) -> ModelFolder:
    """Open a model's folder, or a single ``.safetensors`` file.

    ``tokenizer`` and ``prediction`` are for single files, which lack them (see ``ModelFile``).
    Raises ``ModelNotFoundError`` or ``ModelFormatError``.
    """
    path = Path(path)
    with reading(path):
        if path.suffix.lower() == ".safetensors" and not path.is_dir():
            return ModelFile(path, tokenizer=tokenizer, prediction=prediction)
        if path.is_file():
            raise wrong_file_error(path, "a model's folder", "name a model")
        return ModelFolder(path)
