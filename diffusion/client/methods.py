"""The methods that both clients have: each stands once, as an operation.

`Client` blocks until an operation's result is there, and `AsyncClient` returns what is awaited for
it. Types, arguments and docstrings are those of `Operations`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from diffusion.client.exchange import Exchange
from diffusion.client.operations import Operations

__all__ = ["AwaitedRunner", "BlockingRunner", "Methods"]

P = ParamSpec("P")
T = TypeVar("T")


class BlockingRunner:
    """A client that runs an exchange and returns its result."""

    _operations: Operations

    def _run(self, exchange: Exchange[T]) -> T:
        raise NotImplementedError


class AwaitedRunner:
    """A client that runs an exchange and is awaited for its result."""

    _operations: Operations

    async def _run(self, exchange: Exchange[T]) -> T:
        raise NotImplementedError


class _Method(Generic[P, T]):
    """A method of both clients, by the operation that it runs."""

    def __init__(self, operation: Callable[Concatenate[Operations, P], Exchange[T]]) -> None:
        @functools.wraps(operation)
        def run(
            client: BlockingRunner | AwaitedRunner, *arguments: P.args, **options: P.kwargs
        ) -> Any:
            return client._run(operation(client._operations, *arguments, **options))

        run.__signature__ = _signature_of(operation)  # type: ignore[attr-defined]
        self._function = run

    @overload
    def __get__(self, client: None, kind: type) -> Callable[Concatenate[Any, P], Any]: ...
    @overload
    def __get__(self, client: BlockingRunner, kind: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AwaitedRunner, kind: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: BlockingRunner | AwaitedRunner | None, kind: type) -> Any:
        """Return the method of a client; of the class, for documents, its function."""
        return self._function if client is None else MethodType(self._function, client)


def _signature_of(operation: Callable[..., object]) -> inspect.Signature:
    """Return an operation's signature, with the result of its exchange as its own."""
    found = inspect.signature(operation)
    result = str(found.return_annotation).removeprefix("Exchange[").removesuffix("]")
    return found.replace(return_annotation=result)


class Methods:
    """The operations as methods."""

    submit = _Method(Operations.submit)
    show = _Method(Operations.show)
    wait = _Method(Operations.wait)
    cancel = _Method(Operations.cancel)
    pictures = _Method(Operations.pictures)
    picture_file = _Method(Operations.picture_file)

    models = _Method(Operations.models)
    load_model = _Method(Operations.load_model)
    unload_model = _Method(Operations.unload_model)
    refresh_models = _Method(Operations.refresh_models)
    download_model = _Method(Operations.download_model)
    show_download = _Method(Operations.show_download)
    wait_for_download = _Method(Operations.wait_for_download)
    cancel_download = _Method(Operations.cancel_download)

    loras = _Method(Operations.loras)
    embeddings = _Method(Operations.embeddings)
    control_models = _Method(Operations.control_models)
    vaes = _Method(Operations.vaes)
    preprocessors = _Method(Operations.preprocessors)
    refresh_adapters = _Method(Operations.refresh_adapters)
    make_map = _Method(Operations.make_map)
