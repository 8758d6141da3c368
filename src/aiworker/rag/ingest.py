"""How a document becomes passages that can be found: the story of one version, as a Workflow runs it.

Every step can be done twice: the platform repeats a step that failed, and one that was cut off by a crash. Until
`publish`, readers see the version before, or none; a version that fails leaves nothing but its reason.
"""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeVar

from aiworker.bindings import Inputs, VectorRecord
from aiworker.context import Resources
from aiworker.models import catalogue
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.rag import store
from aiworker.rag.chunk import chunks
from aiworker.rag.store import Version

PLAIN = ("text/plain", "text/markdown")
"""Media types that need no conversion."""
ORIGINAL, MARKDOWN = "original", "markdown"
"""A version's files in the bucket."""
EXTENSIONS = {
    "application/pdf": ".pdf",
    "text/html": ".html",
    "text/csv": ".csv",
    "application/xml": ".xml",
    "image/png": ".png",
    "image/jpeg": ".jpeg",
    "image/webp": ".webp",
    "image/svg+xml": ".svg",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
}
"""Media types that the AI binding converts → the end of a file's name, by which it tells them apart.

Source: developers.cloudflare.com/workers-ai/features/markdown-conversion
"""

HEADINGS = " \u203a "
"""Between a title and the headings below it."""
LOOKS = 20
"""How often, a second apart, one attempt looks whether vectors show."""
STALE = datetime.timedelta(minutes=15)
"""A version that has not come further for so long is looked after."""
MAX_TITLE_LENGTH = 160
"""Characters of it that are embedded with each passage: bge models read 512 tokens, of which a passage takes most."""
MAX_CHUNKS = 20_000
"""Of one document: 200 steps that embed 100 each. A workflow may have 1,024."""

Done = TypeVar("Done")


class Steps(Protocol):
    """What a Workflow gives to remember: a step that has been done is not done again."""

    async def do(self, name: str, work: Callable[[], Awaitable[Done]], *, patiently: bool = False) -> Done:
        """The result of `work`, which must be JSON; tried again if it fails, `patiently` for about two minutes.

        Raises NonRetryableError at once if the work does.
        """
        ...


class NonRetryableError(Exception):
    """A document that no retry will index; the message is for its owner."""


async def ingest(resources: Resources, steps: Steps, version_id: str) -> None:
    """Convert, chunk, embed, publish; then remove the version before."""
    folder, count = "", 0
    try:
        folder = await steps.do("begin", lambda: begin(resources, version_id))
        await steps.do("convert", lambda: convert(resources, version_id))
        count = await steps.do("chunk", lambda: chunk(resources, version_id))
        for start in range(0, count, _texts_a_call(resources)):
            await steps.do(f"embed {start}", partial(embed, resources, version_id, start))
        await steps.do("wait for the vectors", lambda: vectors_are_there(resources, version_id), patiently=True)
        is_live = await steps.do("publish", lambda: publish(resources, version_id))
    except Exception as error:
        reason = str(error)
        await steps.do("give up", lambda: give_up(resources, version_id, folder, count, reason), patiently=True)
        return
    clear = remove_earlier if is_live else remove_version
    await steps.do("remove what is replaced", lambda: clear(resources, version_id))


# ---- the steps ---------------------------------------------------------------------------------------------------


async def begin(resources: Resources, version_id: str) -> str:
    """Where its files lie: known even when the version has been deleted."""
    return (await _version(resources, version_id)).folder


async def convert(resources: Resources, version_id: str) -> str:
    """The original as Markdown, kept beside it."""
    version = await _version(resources, version_id)
    await store.set_state(resources.database, version_id, "converting", now())
    bucket = resources.bucket
    if version.media_type in PLAIN:
        return version.media_type
    original = await bucket.payload(version.folder + ORIGINAL)
    if original is None:
        raise NonRetryableError("Its file is gone.")
    name = version.document_id + EXTENSIONS.get(version.media_type, "")
    converted = await resources.ai.to_markdown(name, version.media_type, original)
    if converted.error:
        raise NonRetryableError(f"It could not be converted: {converted.error}")
    await bucket.put(version.folder + MARKDOWN, converted.text, "text/markdown", {})
    return version.media_type


async def chunk(resources: Resources, version_id: str) -> int:
    """The Markdown as passages in the database; how many."""
    version = await _version(resources, version_id)
    file = ORIGINAL if version.media_type in PLAIN else MARKDOWN
    payload = await resources.bucket.payload(version.folder + file)
    if payload is None:
        raise NonRetryableError("Its text is gone.")
    found = [(each.number, each.heading, each.text) for each in chunks(payload.read().decode(errors="replace"))]
    if not found:
        raise NonRetryableError("It has no text.")
    if len(found) > MAX_CHUNKS:
        raise NonRetryableError(f"It has {len(found):,} passages, and may have {MAX_CHUNKS:,}.")
    await store.put_chunks(resources.database, version, found)
    await store.set_state(resources.database, version_id, "embedding", now(), chunks=len(found))
    return len(found)


async def embed(resources: Resources, version_id: str, start: int) -> int:
    """The vectors of as many passages as one call takes, from number `start`; how many."""
    version = await _version(resources, version_id)
    model = catalogue.MODELS[resources.settings.models["EMBED_MODEL"]]
    rows = await store.chunks(resources.database, version_id, start, model.texts_a_call)
    texts = [_with_context(version, row) for row in rows]
    answer = await ModelCall(resources, [Candidate(model, Inputs({"text": texts}))]).run()
    indexed = {name: version.metadata[name] for name in resources.settings.rag_properties if name in version.metadata}
    records = [VectorRecord(version.vector_id(row["number"]), version.tenant, indexed) for row in rows]
    # the vectors go from one binding to the other as the JavaScript arrays that they are
    await resources.vectors.upsert(await answer.raw.value("data"), records)
    await store.set_state(resources.database, version_id, "embedding", now())
    return len(rows)


async def vectors_are_there(resources: Resources, version_id: str) -> bool:
    """Vectorize shows what was written some seconds later: readers shall not look in vain."""
    version = await _version(resources, version_id)
    last = version.vector_id(version.chunks - 1)
    for _ in range(LOOKS):
        if last in await resources.vectors.present([last]):
            return True
        await asyncio.sleep(1)
    raise TimeoutError("Vectorize has not yet taken in the vectors.")


async def publish(resources: Resources, version_id: str) -> bool:
    """Let readers see it; False if they see a newer one already."""
    version = await _version(resources, version_id)
    return await store.publish(resources.database, version, now())


async def remove_earlier(resources: Resources, version_id: str) -> int:
    version = await store.find(resources.database, version_id)
    earlier = await store.replaced_by(resources.database, version) if version else []
    for each in earlier:
        await remove(resources, each)
    return len(earlier)


async def remove_version(resources: Resources, version_id: str) -> int:
    version = await store.find(resources.database, version_id)
    if version is None:
        return 0
    await remove(resources, version)
    return 1


async def give_up(resources: Resources, version_id: str, folder: str, count: int, reason: str) -> bool:
    """Remove the passages that were made of it, and note why; what it was made from stays."""
    await resources.vectors.delete([f"{version_id}-{number}" for number in range(count)])
    version = await store.find(resources.database, version_id)
    if version is None:  # the document was deleted meanwhile, and a step may have written after that
        await store.forget(resources.database, version_id)
        await resources.bucket.delete_folder(folder)
        return False
    await store.put_chunks(resources.database, version, [])
    await store.set_state(resources.database, version_id, "failed", now(), reason=reason[:1000], chunks=0)
    return True


# ---- what a crash has left ---------------------------------------------------------------------------------------


async def resume(resources: Resources) -> None:
    """Go on with what nobody works on any more.

    Workflows go on by themselves on the platform; the local engine forgets to, when it is restarted. Nowhere does a
    version that was put down just before a crash have its workflow yet, and a crash may come amidst a removal.
    """
    database = resources.database
    still_under_work = datetime.timedelta() if resources.settings.simulated else STALE
    before = (datetime.datetime.now(datetime.UTC) - still_under_work).isoformat(timespec="microseconds")
    for tenant, document_id in await store.deleted_documents(database):
        await finish_deletion(resources, tenant, document_id)
    for version in await store.replaced(database, before):
        await remove(resources, version)
    for version_id in await store.unfinished(database, before):
        await resources.ingestions.wake(version_id)


# ---- what removing takes -----------------------------------------------------------------------------------------


async def remove(resources: Resources, version: Version) -> None:
    """Vectors, files and rows; the rows last, so that what is cut off can be taken up again."""
    await resources.vectors.delete(version.vector_ids())
    await resources.bucket.delete_folder(version.folder)
    await store.forget(resources.database, version.id)


async def remove_document(resources: Resources, tenant: str, document_id: str) -> bool:
    """Hide it from readers at once, then remove everything of it, everywhere; False if there is none.

    Its rows go last: what a crash has cut off is done by the next call, or by `resume`.
    """
    if not await store.mark_deleted(resources.database, tenant, document_id):
        return False
    await finish_deletion(resources, tenant, document_id)
    return True


async def finish_deletion(resources: Resources, tenant: str, document_id: str) -> None:
    """Remove the versions of a document that is marked as deleted. One that is uploaded meanwhile unmarks it."""
    for version in await store.versions_of_deleted(resources.database, tenant, document_id):
        await remove(resources, version)
    await store.forget_document(resources.database, tenant, document_id)


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")


async def _version(resources: Resources, version_id: str) -> Version:
    version = await store.find(resources.database, version_id)
    if version is None:
        raise NonRetryableError("It was deleted.")
    return version


def _texts_a_call(resources: Resources) -> int:
    return catalogue.MODELS[resources.settings.models["EMBED_MODEL"]].texts_a_call


def _with_context(version: Version, row: dict[str, Any]) -> str:
    """What is embedded: the passage under its title and headings, without which it may not say what it is about."""
    above = HEADINGS.join(part for part in (version.title[:MAX_TITLE_LENGTH], row["heading"]) if part)
    return f"{above}\n\n{row['text']}" if above else row["text"]
