"""Imports a Worker's code within a request, where the clock runs, and answers with the time of each module.

Like `python -X importtime`, it lists each module with the time of its own code, and with its imports included.
"""

import importlib
import importlib._bootstrap as bootstrap
import json
import time
from urllib.parse import parse_qs, urlsplit

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        [module] = parse_qs(urlsplit(request.url).query)["module"]
        return Response(json.dumps(imported(module)), headers={"content-type": "application/json"})


def imported(module):
    """`{module, depth, own, whole}` of each module that was not there yet, in the order of their imports.

    `own` and `whole` are milliseconds.
    """
    original, rows, open_rows = bootstrap._find_and_load, [], []

    def find_and_load(name, import_):
        row = {"module": name, "depth": len(open_rows), "inner": 0.0}
        rows.append(row)
        open_rows.append(row)
        began = time.perf_counter()
        try:
            return original(name, import_)
        finally:
            row["whole"] = (time.perf_counter() - began) * 1000
            open_rows.pop()
            if open_rows:
                open_rows[-1]["inner"] += row["whole"]

    bootstrap._find_and_load = find_and_load
    try:
        importlib.import_module(module)
    finally:
        bootstrap._find_and_load = original
    return [{**row, "own": row["whole"] - inner} for row in rows for inner in [row.pop("inner")]]
