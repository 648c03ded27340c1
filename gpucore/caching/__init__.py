"""Files that a later process reads instead of making them again.

Law: folders and whole files; what is in them is their owners' matter.
"""

from gpucore.caching.files import user_folder, write_whole

__all__ = ["user_folder", "write_whole"]
