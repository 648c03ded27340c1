"""Jobs: what is asked, the queue, the scheduler that hands them to engines, and their history.

Law: nothing here imports routes or FastAPI. All but `history` runs in the event loop alone.
"""

__all__: list[str] = []
