"""Models on the Hugging Face Hub, and in its cache on this machine, which other tools share.

Law: only the files that this project reads are downloaded, no pickles and no code. Nothing reaches
the network but `fetch_offer` and `pull`.

A name is ``owner/name`` for a model folder in the diffusers layout, or ``owner/name/FILE`` for one
``.safetensors`` or ``.gguf`` file. ``HF_HOME``, ``HF_HUB_CACHE``, ``HF_ENDPOINT``, ``HF_TOKEN``
and ``HF_HUB_OFFLINE`` mean what they mean elsewhere.
"""

from diffusion.checkpoints.hub.cache import (
    CachedModel,
    cached_model,
    cached_models,
    find_model,
    remove_model,
    verify_hashes,
)
from diffusion.checkpoints.hub.download import pull
from diffusion.checkpoints.hub.listing import RemoteFile
from diffusion.checkpoints.hub.offers import Offer, fetch_offer
from diffusion.checkpoints.hub.repository_files import VARIANTS, choose_files

__all__ = [
    "VARIANTS",
    "CachedModel",
    "Offer",
    "RemoteFile",
    "cached_model",
    "cached_models",
    "choose_files",
    "fetch_offer",
    "find_model",
    "pull",
    "remove_model",
    "verify_hashes",
]
