"""A client of a server of pictures, for Python: `Client` blocks, `AsyncClient` is awaited.

Law: it needs no GPU and imports neither the server nor the pipeline. What is asked and how answers
are read stands once, in generators that both clients drive; they alone send, receive and wait.
"""

from diffusion.client.async_client import AsyncClient
from diffusion.client.errors import (
    AnswerError,
    ClientError,
    ConflictError,
    ForbiddenError,
    ForeignAnswerError,
    JobEndedError,
    NotFoundError,
    NotSignedInError,
    RefusedError,
    ServerBusyError,
    UnreachableError,
    WaitTimeoutError,
)
from diffusion.client.job_json import Models
from diffusion.client.policy import Policy
from diffusion.client.records import (
    ControlModel,
    Download,
    Embedding,
    Event,
    Job,
    LoraRecord,
    Model,
    PictureRecord,
    PreprocessorRecord,
    ThresholdRecord,
    VaeRecord,
)
from diffusion.client.sync_client import Client

__all__ = [
    "AnswerError",
    "AsyncClient",
    "Client",
    "ClientError",
    "ConflictError",
    "ControlModel",
    "Download",
    "Embedding",
    "Event",
    "ForbiddenError",
    "ForeignAnswerError",
    "Job",
    "JobEndedError",
    "LoraRecord",
    "Model",
    "Models",
    "NotFoundError",
    "NotSignedInError",
    "PictureRecord",
    "Policy",
    "PreprocessorRecord",
    "RefusedError",
    "ServerBusyError",
    "ThresholdRecord",
    "UnreachableError",
    "VaeRecord",
    "WaitTimeoutError",
]
