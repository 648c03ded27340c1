"""The worker: a process that owns one device and its models, and draws what it is sent.

Law: it imports nothing of the web. It ends by itself when the server's end of the pipe closes.
"""

__all__: list[str] = []
