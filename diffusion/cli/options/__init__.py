"""The options of the command, in groups: frozen dataclasses whose fields are options.

Law: a group declares its options with their help, and turns what was typed into settings. It
prints nothing and opens no device.
"""

__all__: list[str] = []
