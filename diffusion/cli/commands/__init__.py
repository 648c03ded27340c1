"""The commands of ``avila``, one module each, called like the command.

Law: a command reads options, calls the rest of the package and prints the result. No command
imports another.
"""

__all__: list[str] = []
