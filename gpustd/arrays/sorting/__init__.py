"""Sorting along an axis, and what follows from order: searches, largest and unique elements.

Law: sorts are stable, and NaN comes last in both directions.
"""

__all__: list[str] = []
