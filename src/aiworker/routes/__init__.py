"""The API's routes, a module or a folder a family.

Every module here is imported when this package is, and the handlers that it declares with `@route` are served: to add a
route is to add a file.
"""

from importlib import import_module
from pkgutil import walk_packages

from aiworker.routing import ROUTES, find

__all__ = ["ROUTES", "find"]

for _module in walk_packages(__path__, f"{__name__}."):
    import_module(_module.name)
