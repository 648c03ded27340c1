"""The start of the process: run by file path with ``python -I``, it loads this folder alone."""

import importlib
import importlib.util
import sys
from pathlib import Path

_PACKAGE = "pickle_reader"


def load_package() -> None:
    """Import this folder as a top-level package, without a change of the search path."""
    folder = Path(__file__).parent
    spec = importlib.util.spec_from_file_location(
        _PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} must be a package")
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    load_package()
    importlib.import_module(f"{_PACKAGE}.process").main()
