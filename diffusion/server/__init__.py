"""A server of pictures over HTTP. It needs the extra ``server``.

Law: nothing else in ``diffusion`` imports it but the commands ``avila serve`` and ``avila batch``,
and only when called.
The server's process never touches a GPU: devices belong to workers (`diffusion.server.worker`),
which it starts, watches and replaces. A route that has no feature yet answers 501.
"""

__all__: list[str] = []
