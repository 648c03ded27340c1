"""From settings to pictures: the pipeline, its passes, its networks and their captured graphs.

Law: knows nothing of the command line.
"""

from diffusion.pipeline.events import Event, Result, Stage, Step
from diffusion.pipeline.pipeline import Pipeline
from diffusion.pipeline.refiner import refine

__all__ = ["Event", "Pipeline", "Result", "Stage", "Step", "refine"]
