"""Options about pictures that lead a drawing or prompt it, each with a network of its own.

Law: every option may be given several times, and its n-th value is for the n-th network.
"""

__all__: list[str] = []
