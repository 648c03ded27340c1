"""The errors of the Hub's client, translated into this project's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from diffusion.errors import ModelNotFoundError, quote


@contextmanager
def translate_client_errors(name: str) -> Iterator[None]:
    """Turn an error of the Hub's client into `ModelNotFoundError` for the model ``name``."""
    from huggingface_hub import errors  # with it comes an HTTP client, which takes time to load

    try:
        yield
    except errors.OfflineModeIsEnabled:
        hint = "unset HF_HUB_OFFLINE to download"
        raise ModelNotFoundError(name, "HF_HUB_OFFLINE forbids asking the Hub", hint) from None
    except errors.GatedRepoError:
        hint = "accept its terms on the Hub's page, then set HF_TOKEN or run `hf auth login`"
        raise ModelNotFoundError(name, "the model is gated", hint) from None
    except errors.RevisionNotFoundError:
        raise ModelNotFoundError(name, "there is no such revision", "check --revision") from None
    except errors.RepositoryNotFoundError:
        hint = "check the name; a private model needs HF_TOKEN"
        raise ModelNotFoundError(name, "there is no such model on the Hub", hint) from None
    except (OSError, errors.HTTPError) as error:  # type: ignore[attr-defined]
        line = str(error).strip().partition("\n")[0]
        hint = "check the connection and try again; a download goes on where it stopped"
        raise ModelNotFoundError(name, f"the Hub failed: {quote(line, 200)}", hint) from error
