"""What a kernel takes: its checked WGSL, the values of its constants, and its structs in NumPy.

Law: works on text and NumPy alone; knows neither engines nor buffers.
"""

__all__: list[str] = []
