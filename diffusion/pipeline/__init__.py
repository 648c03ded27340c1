"""From settings to pictures: the pipeline, its passes, networks and captured graphs.

Law: knows nothing of the command line.
"""

from diffusion.pipeline.pipeline import Event, Pipeline, Result, Stage, Step
from diffusion.pipeline.refining import refine

__all__ = ["Event", "Pipeline", "Result", "Stage", "Step", "refine"]
