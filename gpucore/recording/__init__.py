"""Recording and replay: streams, graphs, events, profiles, and the work of launches.

Law: commands are appended here and submitted to a backend; nothing here compiles a kernel.
"""

__all__: list[str] = []
