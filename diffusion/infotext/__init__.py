"""The text that pictures carry about how they were made: written, parsed, undone.

Law: text and settings only; no model and no device.
"""

__all__: list[str] = []
