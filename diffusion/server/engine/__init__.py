"""Engines draw jobs; the scheduler knows them by one interface and their messages alone.

Law: nothing here imports routes, jobs or HTTP.
"""

__all__: list[str] = []
