"""Import every module of one member: fails when it needs a package that its pyproject.toml does not declare."""

import importlib
import pkgutil
import sys

package = importlib.import_module(f"lendrail.{sys.argv[1]}")
for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
