"""Defaults that the user chooses: a config file in TOML, and environment variables.

Law: what is read is checked like what is typed; an unknown key is an error that names it.
"""

from diffusion.cli.config.config_file import ConfigFile, find_config_file

__all__ = ["ConfigFile", "find_config_file"]
