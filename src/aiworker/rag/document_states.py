"""SQL that reads the states of the documents of a batch or of a source from the versions that their rows name.

Such a row is `e`, with columns `version` and `reason`; its version is `v`, by VERSION.
"""

VERSION = "LEFT JOIN versions v ON v.id = e.version"


def state(gone: str) -> str:
    """Return the SQL expression of a document's state. gone: the state if its version is no longer there."""
    return f"""CASE
  WHEN e.reason IS NOT NULL THEN 'failed'
  WHEN e.version IS NULL THEN 'queued'
  WHEN v.id IS NULL OR v.state = 'replaced' THEN '{gone}'
  WHEN v.state IN ('indexed', 'failed') THEN v.state
  ELSE 'running'
END"""


def page(columns: str, source: str, key: str, gone: str) -> str:
    """Return the query for documents in the order of `key`, whose parameters 2 to 4 are key, state and limit.

    source: tables and condition. The query returns documents above the key; unless the state is empty, only those in
    it.
    """
    return (
        f"SELECT * FROM (SELECT {columns}, {state(gone)} AS state, coalesce(e.reason, v.reason) AS reason "  # noqa: S608 - no values in it
        f"{source} AND e.{key} > ?2) WHERE ?3 IN ('', state) ORDER BY {key} LIMIT ?4"
    )
