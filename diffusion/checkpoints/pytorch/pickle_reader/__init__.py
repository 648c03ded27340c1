"""A reader of PyTorch checkpoints that runs nothing in them, in a process of its own.

Law: nothing here imports the rest of the project, and modules import each other relatively, so that
``__main__`` can load this folder alone. Of the module ``pickle`` only the error is used.

A checkpoint is a zip archive with a pickle of the objects and a plain entry for each storage
(PyTorch since 1.6; torch/serialization.py). A pickle is a program for a stack machine (PEP 307,
pickletools.py). The machine here knows data only: a name of something importable becomes an inert
``Name``, and "calling" one is possible for those in ``CALLS`` alone, none of which runs anything
of the file's. Any other instruction ends the reading.
"""

__all__: list[str] = []
