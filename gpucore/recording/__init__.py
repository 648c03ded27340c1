"""What is recorded and replayed: streams, graphs, events, profiles.

Law: commands are appended here and submitted by a backend; nothing here compiles a kernel.
"""

__all__: list[str] = []
