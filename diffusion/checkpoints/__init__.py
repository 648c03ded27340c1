"""Model files and folders, taken for hostile until checked.

Law: nothing is allocated from a number that has not been checked against the file's true size;
no name or text in a file is used as a path; a pickle is never loaded. What comes out is NumPy
arrays and frozen configs; whatever is wrong is a ``ModelError``.
"""

from diffusion.checkpoints.folder import ModelFolder
from diffusion.checkpoints.header import TensorEntry
from diffusion.checkpoints.parameters import check_parameters
from diffusion.checkpoints.safetensors import SafetensorsFile, open_safetensors, save_safetensors
from diffusion.checkpoints.weights import Weights

__all__ = [
    "ModelFolder",
    "SafetensorsFile",
    "TensorEntry",
    "Weights",
    "check_parameters",
    "open_safetensors",
    "save_safetensors",
]
