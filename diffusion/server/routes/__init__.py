"""The routes: each translates a request into a job or a look at something, and no more.

Law: nothing here draws, waits without an end, or takes a path from a request.
"""

__all__: list[str] = []
