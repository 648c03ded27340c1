"""Memory of a device: what a run takes of it, and where weights lie so that it fits.

Law: sizes and choices only; nothing here runs a network.
"""

from diffusion.memory.budget import Budget
from diffusion.memory.fitting import Fitted, find_placement
from diffusion.memory.placement import EVERYTHING, Placement
from diffusion.memory.plan import MemoryPlan

__all__ = ["EVERYTHING", "Budget", "Fitted", "MemoryPlan", "Placement", "find_placement"]
