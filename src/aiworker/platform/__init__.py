"""The one door to JavaScript: only this package, and entry.py for its base classes, imports js, pyodide or workers.

worker.py tells a request's way, resources.py lists what the Worker is bound to, and each binding has a module of its
own that implements the Protocol of aiworker.bindings over the binding's JavaScript object.
"""
