"""Indexing the words of documents again, after the normalisation of text has changed.

A Workflow of its own, so that a crash only delays it. Until a document is done, searches find it by its old index.
"""

from aiworker.context import Resources
from aiworker.rag import passage_store
from aiworker.rag.steps import Steps
from aiworker.rag.store import Version

PASSAGES_A_STEP = 2_000
"""Passages after which a step ends: some seconds of work, all of which a crash repeats."""
VERSIONS_A_STEP = 50
PASSAGES_A_READ = 200
MAX_STEPS = 1_000
"""Steps of one workflow, which may have 1,024. What is left then is for the next one."""


async def reindex(resources: Resources, steps: Steps) -> None:
    """Index the passages of all published versions that are not indexed by the present normalisation."""
    for number in range(MAX_STEPS):
        if not await steps.do(f"index {number}", lambda: index_some(resources)):
            return


async def index_some(resources: Resources) -> bool:
    """Index the passages of some versions; return False if none was left."""
    versions = await passage_store.versions_to_index(resources.database, VERSIONS_A_STEP)
    count = 0
    for version in versions:
        await _index(resources, version)
        count += version.chunks
        if count >= PASSAGES_A_STEP:
            break
    return bool(versions)


async def _index(resources: Resources, version: Version) -> None:
    for start in range(0, version.chunks, PASSAGES_A_READ):
        rows = await passage_store.chunks(resources.database, version.id, start, PASSAGES_A_READ)
        passages = [(row["number"], row["heading"], row["text"]) for row in rows]
        await passage_store.index_chunks(resources.database, version, passages)
    await passage_store.set_normalization(resources.database, version.id)
