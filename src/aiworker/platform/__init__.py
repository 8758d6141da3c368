"""The one door to JavaScript: only this package, and entry.py for its base classes, imports js, pyodide or workers.

worker.py serves requests, resources.py lists the bindings, and each binding has a module of its own that implements
the Protocol of aiworker.bindings over the binding's JavaScript object.
"""
