"""Continuous batching: runs under way on one device share their calls of the UNet.

Law: knows pipelines and their calls, nothing of the command line or the server.

A run is a generator that yields the calls that it waits for. Every turn, `Batcher` makes all of
them: those of one model, size and length of text become rows of one call. A run joins at the next
turn and leaves when it is done. A picture's bits do not depend on its batch, so that each is the
same as drawn alone. `draw_together` draws several settings so.
"""

from diffusion.batching.batcher import Batcher, Drawing, Ended
from diffusion.batching.limits import BatchLimits, images_of_512
from diffusion.batching.together import draw_together, is_before_other_work

__all__ = [
    "BatchLimits",
    "Batcher",
    "Drawing",
    "Ended",
    "draw_together",
    "images_of_512",
    "is_before_other_work",
]
