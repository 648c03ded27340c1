"""Batch work: the jobs of a file become pictures and records, each exactly once.

Law: it draws by the server's workers, and knows nothing of HTTP. A line of the file is a job; a
piece is one picture of it. One process writes, wherever pieces are drawn.
"""

__all__: list[str] = []
