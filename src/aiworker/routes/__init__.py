"""The API's routes: a module or a folder for each family.

This package imports every module in it, and the handlers that they declare with `@route` are served: to add a route,
add a file.
"""

from importlib import import_module
from pkgutil import walk_packages

from aiworker.routing import ROUTES, find

__all__ = ["ROUTES", "find"]

for _module in walk_packages(__path__, f"{__name__}."):
    import_module(_module.name)
