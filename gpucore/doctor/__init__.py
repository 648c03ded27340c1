"""The examination of a machine: its engines, adapters and drivers, and a self-test.

Law: nothing in gpucore imports this package, except the command ``python -m gpucore``.
"""

__all__: list[str] = []
