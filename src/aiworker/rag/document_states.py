"""SQL on the documents of a batch or of a source: rows that name a version, from which their state is read.

Such a row is `e`, with columns `version` and `reason`; its version is `v`, by VERSION.
"""

VERSION = "LEFT JOIN versions v ON v.id = e.version"


def state(gone: str) -> str:
    """Return the expression of a document's state. gone: state of one whose version is no longer there."""
    return f"""CASE
  WHEN e.reason IS NOT NULL THEN 'failed'
  WHEN e.version IS NULL THEN 'queued'
  WHEN v.id IS NULL OR v.state = 'replaced' THEN '{gone}'
  WHEN v.state IN ('indexed', 'failed') THEN v.state
  ELSE 'running'
END"""


def page(columns: str, source: str, key: str, gone: str) -> str:
    """Return the query for documents in the order of `key`, whose parameters 2 to 4 are key, state and limit.

    source: tables and condition. Documents behind the key are returned, and only those in the state unless it is empty.
    """
    return (
        f"SELECT * FROM (SELECT {columns}, {state(gone)} AS state, coalesce(e.reason, v.reason) AS reason "  # noqa: S608 - no values in it
        f"{source} AND e.{key} > ?2) WHERE ?3 IN ('', state) ORDER BY {key} LIMIT ?4"
    )
