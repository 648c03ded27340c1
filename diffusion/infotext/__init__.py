"""Infotext: the text in a picture's file that says with which settings it was made.

Law: text and settings only; no model and no device.
"""

__all__: list[str] = []
