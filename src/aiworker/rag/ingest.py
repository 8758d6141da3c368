"""Ingestion of one version of a document in the steps of a Workflow: convert, chunk, embed, publish.

Every step may run twice: the platform repeats a step that failed, and one that a crash interrupted. Until `publish`,
readers see the version before, or none. A version that fails leaves its file and the reason.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count as count_from
from typing import NamedTuple, Protocol, TypedDict

from aiworker import conversation_index
from aiworker.bindings import Inputs, VectorRecord
from aiworker.clock import ago, now
from aiworker.context import Resources
from aiworker.error_text import public_message
from aiworker.errors import ApiError
from aiworker.http.messages import Payload
from aiworker.jobs import queue
from aiworker.models import token_counts
from aiworker.models.model_call import Candidate, ModelCall
from aiworker.models.model_response import record_cost
from aiworker.rag import file_kinds, filters, ingestion_cost, passage_bounds, passage_store, removal, search_text, store
from aiworker.rag.chunk import Chunk, Path, SegmentChunks
from aiworker.rag.conversion_limits import MAX_CONVERTED_BYTES, MAX_MARKDOWN_BYTES
from aiworker.rag.ingestion_cost import Reservation
from aiworker.rag.passage import HEADING_SEPARATOR, Range, without_title
from aiworker.rag.passage_ranges import passage_ranges
from aiworker.rag.segments import SEGMENT_BYTES, next_segment
from aiworker.rag.source_text import fenced, with_page_headings
from aiworker.rag.steps import Done, NonRetryableError, StepError, Steps
from aiworker.rag.store import Version
from aiworker.rag.text_encoding import UnknownEncodingError, to_utf8

ORIGINAL, MARKDOWN = "original", "markdown"
"""Names of a version's files in its folder of the bucket."""
SEGMENTS_A_STEP = 64
"""Segments that one step cuts, which a crash repeats: 2 MiB of text."""
PASSAGES_AT_A_STRETCH = 4
"""Passages that are cut before others get their turn: on CPython 3 ms of prose and 12 ms of nothing but headings, in a
Worker a few times that."""
PASSAGES_A_TRANSACTION = 500
"""Passages that are stored at once. A segment of prose has about fifty, one of nothing but headings 5,000: to write
these as JSON keeps Python busy for too long, and to insert them the database."""
MAX_VECTOR_CHECKS = 20
"""Checks, a second apart, for the vectors in one attempt of the step that waits for them."""
MAX_TITLE_CHARACTERS = 160
"""Characters of the title that are embedded with each passage. bge models read 512 tokens; a passage has up to 320."""
SMALL_TEXT_BYTES = SEGMENT_BYTES
"""Size of a text that is ingested without a Workflow at first (first_attempt.py): it is cut in one piece."""
ABANDONED = timedelta(minutes=1)
"""Time without progress after which the ingestion of a small text counts as cut off."""
COUNTED_BYTES = 262_144
"""Bytes of a text in which headings are counted at a time."""


async def ingest(resources: Resources, steps: Steps, version_id: str, *, is_embedded: bool = False) -> None:
    """Convert, chunk, embed, publish; then remove the version before.

    is_embedded: the vectors are written and paid for, so that this only waits for them and publishes.
    """
    done = Progress()
    run = WorkflowRun(resources, steps, version_id)
    try:
        done.folder = await run.do("begin", read_folder)
        if not done.folder:
            return
        if is_embedded:
            done.count = await run.do("count", read_count)
        else:
            await embed_all(resources, run, done)
        is_live = await publish_embedded(resources, run, done.count)
    except Exception as error:
        reason = str(error) if isinstance(error, StepError | ApiError) else "The Worker failed. Its log has the cause."
        # the first attempt may have published the version meanwhile
        if not await steps.do("look whether readers see it", lambda: is_published(resources, version_id)):
            await _undo(resources, steps, version_id, done, reason)
        await steps.do("settle", lambda: settle_failed(resources, version_id, done.cost))
        return
    remove = remove_earlier_versions if is_live else remove_version
    is_removed, number = False, 0
    while not is_removed:
        name = f"remove what is replaced{f' {number}' * bool(number)}"
        is_removed = await steps.do(name, lambda: remove(resources, version_id))
        number += 1


async def _undo(resources: Resources, steps: Steps, version_id: str, done: "Progress", reason: str) -> None:
    """Remove the passages of a version that has failed, the last ones first, and store the reason."""
    # the step that failed may have stored some passages, too
    stored = await steps.do("count what is stored", lambda: count_stored(resources, version_id), patiently=True)
    count = max(done.count, stored)
    for start in reversed(range(0, count, removal.PASSAGES_A_STATEMENT)):
        end = min(count, start + removal.PASSAGES_A_STATEMENT)
        remove_some = partial(removal.remove_passages, resources, version_id, start, end)
        await steps.do(f"remove passages {start}", remove_some, patiently=True)
    await steps.do("give up", lambda: fail(resources, version_id, done.folder, reason), patiently=True)


class Run(Protocol):
    """How the parts of an ingestion are run: in the steps of a Workflow, or one after the other."""

    async def do(self, name: str, work: Callable[[Version], Awaitable[Done]], *, patiently: bool = False) -> Done:
        """Return the result of `work` with the version. Raises NonRetryableError if the document was deleted."""
        ...


class WorkflowRun:
    """A Run in the steps of a Workflow, each of which reads the version anew."""

    def __init__(self, resources: Resources, steps: Steps, version_id: str) -> None:
        self._resources = resources
        self._steps = steps
        self._version_id = version_id

    async def do(self, name: str, work: Callable[[Version], Awaitable[Done]], *, patiently: bool = False) -> Done:
        async def step() -> Done:
            return await work(await self._version())

        return await self._steps.do(name, step, patiently=patiently)

    async def _version(self) -> Version:
        version = await store.find(self._resources.database, self._version_id)
        if version is None:
            raise NonRetryableError("The document was deleted.")
        return version


@dataclass
class Progress:
    """Results of an ingestion so far, which a failure has to undo."""

    folder: str = ""
    """Folder of the version's files; empty until it is known."""
    count: int = 0
    """Passages that are stored."""
    cost: "Cost" = field(default_factory=lambda: Cost())


@dataclass
class Cost:
    """Cost of embedding a version so far."""

    reservation: Reservation | None = None
    neurons: float = 0
    """Neurons of the calls so far; of those whose cost is unknown, their share of the reservation."""


async def embed_all(resources: Resources, run: Run, done: Progress) -> None:
    """Convert, chunk and embed, and settle what that costs."""
    text_file = await run.do("convert", partial(convert, resources))
    position = START
    for number in count_from(0):
        position = await run.do(
            f"measure {number}", partial(measure, resources, position=position, text_file=text_file)
        )
        if position["is_end"]:
            break
    position = START
    for number in count_from(0):
        position = await run.do(f"chunk {number}", partial(chunk, resources, position=position, text_file=text_file))
        done.count = position["count"]
        if position["is_end"]:
            break
    await pay_and_embed(resources, run, done, partial(embed, resources))


async def pay_and_embed(
    resources: Resources, run: Run, done: Progress, embed_some: Callable[..., Awaitable["Embedded"]]
) -> None:
    """Reserve the cost of the stored passages, embed them, and settle what that has cost.

    embed_some: called as `embed`, with the version, `start` and `count`.
    """
    done.cost.reservation = await run.do("reserve", partial(reserve, resources))
    reserved = sum(done.cost.reservation["charges"].values())
    size = ingestion_cost.embedding_model(resources).texts_a_call
    for start in range(0, done.count, size):
        share = reserved * min(size, done.count - start) / done.count
        done.cost.neurons += share  # counted even if the step fails: the model may have done its work
        neurons = _neurons(await run.do(f"embed {start}", partial(embed_some, start=start, count=done.count)))
        if neurons is not None:
            done.cost.neurons += neurons - share
    await run.do("settle", lambda _: settle(resources, done.cost))


async def publish_embedded(resources: Resources, run: Run, count: int) -> bool:
    """Wait for the vectors, and let readers see the version; return False if they see a newer one already.

    count: passages of the version.
    """
    wait = partial(wait_for_vectors, resources, count=count, checks=MAX_VECTOR_CHECKS)
    await run.do("wait for the vectors", wait, patiently=True)
    return await run.do("publish", partial(publish, resources))


def _neurons(result: "Embedded | int") -> float | None:
    """Return the cost that a step reports; None for a result of an earlier version of the Worker, which is a number of
    passages."""
    return None if isinstance(result, int) else result["neurons"]


# ---- the steps ---------------------------------------------------------------------------------------------------


async def read_folder(version: Version) -> str:
    """Return the folder of the version's files, which later steps need even if the version is deleted meanwhile.

    Empty if readers see the version already: the first attempt has succeeded after all.
    """
    return "" if version.state == "indexed" else version.folder


async def read_count(version: Version) -> int:
    """Return the number of passages that an earlier attempt has stored."""
    return version.chunks


async def convert(resources: Resources, version: Version) -> str:
    """Store the original as Markdown or as text in UTF-8 beside it, unless it is that; return the text's file name.

    An earlier version of the Worker returned the media type, which is no file's name.
    """
    kind = version.media_type
    if file_kinds.is_converted(kind):
        await store.set_state(resources.database, version.id, "converting", now())
    original = await resources.bucket.payload(version.folder + ORIGINAL)
    if original is None:
        raise NonRetryableError("The document's file is missing.")
    file = await decoded(resources, version, original)
    if file_kinds.is_converted(kind):
        await _to_markdown(resources, version, file)
        return MARKDOWN
    return ORIGINAL if file is original else MARKDOWN


async def decoded(resources: Resources, version: Version, original: Payload) -> Payload:
    """Return a text as UTF-8, and store it beside the original unless it is that; return any other file as it is."""
    kind = version.media_type
    if kind not in file_kinds.TEXTUAL:
        return original
    try:
        file = await to_utf8(original, version.charset, may_declare=kind in file_kinds.DECLARING)
    except UnknownEncodingError as error:
        raise NonRetryableError(str(error)) from error
    if file is not original and not file_kinds.is_converted(kind):
        await resources.bucket.put(version.folder + MARKDOWN, file, "text/markdown", {})
    return file


async def _to_markdown(resources: Resources, version: Version, file: Payload) -> None:
    """Store the file as Markdown, made by the AI binding."""
    if file.size > MAX_CONVERTED_BYTES:  # accepted by an older version, or longer as UTF-8
        raise NonRetryableError(f"The document has {file.size:,} bytes; at most {MAX_CONVERTED_BYTES:,} are converted.")
    name = file_kinds.conversion_name(version.file_name, version.media_type, version.document_id)
    converted = await resources.ai.to_markdown(name, version.media_type, file)
    if converted.markdown is None:
        raise NonRetryableError(f"The document could not be converted: {public_message(converted.error)}")
    if converted.markdown.size > MAX_MARKDOWN_BYTES:
        raise NonRetryableError(
            f"The document has {converted.markdown.size:,} bytes of text; at most {MAX_MARKDOWN_BYTES:,} are indexed."
        )
    if await passage_bounds.has_too_many(converted.markdown):
        raise NonRetryableError(passage_bounds.too_many())
    if not converted.markdown.size:
        raise NonRetryableError("The document has no text.")
    await resources.bucket.put(version.folder + MARKDOWN, converted.markdown, "text/markdown", {})


class Position(TypedDict):
    """The position up to which a version's text is cut into passages: the result of a step, where the next one goes
    on."""

    offset: int
    """Bytes that are cut."""
    count: int
    """Passages that are stored."""
    path: Path
    """Headings above the text that follows."""
    fence: str
    """Opening fence of code that continues here; empty outside of code."""
    is_end: bool


START: Position = {"offset": 0, "count": 0, "path": (), "fence": "", "is_end": False}


async def measure(resources: Resources, version: Version, position: Position, text_file: str) -> Position:
    """Cut the text's next segments without storing a passage, if there may be too many; return where they end.

    Raises NonRetryableError for too many passages, of which none is stored or paid for.
    """
    if not position["offset"] and not await _may_have_too_many(resources, version, text_file):
        return {**position, "is_end": True}
    await store.set_state(resources.database, version.id, "converting", now())  # a sign of progress
    for _ in range(SEGMENTS_A_STEP):
        content, size = await _next_part(resources, version, position, text_file)
        _, position = await _cut(version, content, size, position)
        if position["is_end"]:
            break
        await asyncio.sleep(0)  # other requests get their turn
    return position


async def _may_have_too_many(resources: Resources, version: Version, text_file: str) -> bool:
    """Tell by a text's size and its headings whether it may have too many passages."""
    if text_file == ORIGINAL and not passage_bounds.may_be_too_many(version.size):
        return False
    start = marks = size = 0
    while part := await _read_text(resources, version, start, text_file, COUNTED_BYTES):
        content, size = part
        marks += passage_bounds.marks(content)
        start += len(content)
        is_certain = passage_bounds.most(size, marks) > passage_bounds.MAX_CHUNKS
        if is_certain or start >= size or not passage_bounds.may_be_too_many(size):
            break
    return passage_bounds.may_be_too_many(size) and passage_bounds.most(size, marks) > passage_bounds.MAX_CHUNKS


async def chunk(resources: Resources, version: Version, position: Position, text_file: str) -> Position:
    """Store the passages of the text's next segments in the database; return where they end."""
    # those of an attempt that was interrupted, some at a time, before a segment takes the place of all that follow it
    for start in reversed(range(position["count"], version.chunks, removal.PASSAGES_A_STATEMENT)):
        await passage_store.delete_chunks(resources.database, version.id, start)
    for _ in range(SEGMENTS_A_STEP):
        position = await _chunk_segment(resources, version, position, text_file)
        if position["is_end"]:
            if not position["count"]:
                raise NonRetryableError("The document has no text.")
            break
        await asyncio.sleep(0)  # other requests get their turn
    return position


async def _chunk_segment(resources: Resources, version: Version, position: Position, text_file: str) -> Position:
    content, size = await _next_part(resources, version, position, text_file)
    cut = await cut_segment(version, content, size, position)
    await put_passages(resources, version, cut, position["count"])
    return cut.end


async def _next_part(resources: Resources, version: Version, position: Position, text_file: str) -> tuple[bytes, int]:
    """Return what may be the text's next segment, and the size of the text."""
    part = await _read_text(resources, version, position["offset"], text_file, SEGMENT_BYTES)
    if part is None and not position["offset"]:
        raise NonRetryableError("The document's text is missing.")
    return part or (b"", position["offset"])


class Cut(NamedTuple):
    """The passages of a segment."""

    passages: list[passage_store.NumberedPassage]
    ranges: list[Range | None]
    """Where each stands in the document's text."""
    end: Position


async def cut_segment(version: Version, content: bytes, size: int, position: Position = START) -> Cut:
    """Cut a text's next segment into passages.

    content: the text from the position on, at most SEGMENT_BYTES of it. size: bytes of the whole text.
    """
    start = position["offset"]
    chunks, end = await _cut(version, content, size, position)
    # without the fence that is repeated at its start
    source = content[: end["offset"] - start].decode(errors="replace")
    ranges: list[Range | None] = []
    for located in passage_ranges(source, (each.text for each in chunks), start):
        ranges.append(located)
        if len(ranges) % PASSAGES_AT_A_STRETCH == 0:
            await asyncio.sleep(0)
    return Cut([(each.number, each.heading, each.text) for each in chunks], ranges, end)


async def _cut(version: Version, content: bytes, size: int, position: Position) -> tuple[list[Chunk], Position]:
    """Return the passages of a text's next segment, and where it ends. Parameters are those of `cut_segment`."""
    first, start = position["count"], position["offset"]
    is_last = start + len(content) >= size
    is_code = version.media_type in file_kinds.LANGUAGES  # in which marks of Markdown mean nothing
    segment = next_segment(content, "" if is_code else position["fence"], is_last=is_last)
    text = _markdown(version, segment.text, is_first=not start, is_last=is_last)
    cutter = SegmentChunks(text, position["path"], first)
    chunks: list[Chunk] = []
    for each in cutter:
        chunks.append(each)
        if len(chunks) % PASSAGES_AT_A_STRETCH == 0:
            await asyncio.sleep(0)  # other requests get their turn
    count = first + len(chunks)
    if count > passage_bounds.MAX_CHUNKS:
        raise NonRetryableError(passage_bounds.too_many())
    end: Position = {
        "offset": start + segment.size,
        "count": count,
        "path": cutter.path,
        "fence": segment.fence,
        "is_end": is_last,
    }
    return chunks, end


async def put_passages(resources: Resources, version: Version, cut: Cut, first: int) -> None:
    """Store a segment's passages in place of those from number `first`."""
    for start in range(0, max(1, len(cut.passages)), PASSAGES_A_TRANSACTION):
        passages = cut.passages[start : start + PASSAGES_A_TRANSACTION]
        ranges = cut.ranges[start : start + PASSAGES_A_TRANSACTION]
        number = first + start
        state = store.state_change(version.id, "embedding", now(), chunks=number + len(passages))
        await passage_store.put_chunks(resources.database, version, passages, number, ranges, [state])


async def _read_text(
    resources: Resources, version: Version, start: int, text_file: str, length: int
) -> tuple[bytes, int] | None:
    """Return at most `length` bytes of a version's text, and the size of all of it; None if there is none."""
    is_converted = file_kinds.is_converted(version.media_type)
    files = {ORIGINAL: [ORIGINAL], MARKDOWN: [MARKDOWN]}.get(text_file, [MARKDOWN] + [ORIGINAL] * (not is_converted))
    for name in files:
        part = await resources.bucket.read_part(version.folder + name, start, length)
        if part:
            return part[0].read(), part[1]
    return None


def _markdown(version: Version, text: str, *, is_first: bool, is_last: bool) -> str:
    """Return a segment of a version's text as Markdown that the chunker reads rightly."""
    if language := file_kinds.LANGUAGES.get(version.media_type):
        return fenced(text, language)
    if version.media_type == file_kinds.PDF:
        name = file_kinds.conversion_name(version.file_name, version.media_type, version.document_id)
        return with_page_headings(text, name, is_first=is_first, is_last=is_last)
    return text


async def reserve(resources: Resources, version: Version) -> Reservation:
    """Reserve the cost of the stored passages, before any of them is embedded."""
    try:
        return await ingestion_cost.reserve(resources, version)
    except ApiError as error:
        if error.type == "budget_exceeded":
            raise NonRetryableError(f"budget_exceeded: {error.message}") from error
        raise


class Embedded(TypedDict):
    """The result of a step that embeds."""

    neurons: float | None
    """Its cost; None if it is unknown."""


async def embed(resources: Resources, version: Version, start: int, count: int) -> Embedded:
    """Store the vectors of as many passages as one model call takes, from number `start`; return its cost.

    count: passages of the version.
    """
    size = ingestion_cost.embedding_model(resources).texts_a_call
    rows = await passage_store.chunks(resources.database, version.id, start, size)
    passages = [(row["number"], row["heading"], row["text"]) for row in rows]
    embedded = await embed_passages(resources, version, passages)
    if start + size < count:  # a sign of progress, while there is more to do
        await store.set_state(resources.database, version.id, "embedding", now())
    return embedded


async def embed_passages(
    resources: Resources, version: Version, passages: Sequence[passage_store.NumberedPassage]
) -> Embedded:
    """Store the vectors of passages, at most as many as one model call takes; return its cost."""
    texts = [_with_context(version, heading, text) for _, heading, text in passages]
    candidate = Candidate(ingestion_cost.embedding_model(resources), Inputs({"text": texts}))
    response = await ModelCall(resources, [candidate]).run()
    indexed = filters.vector_metadata(version.metadata, resources.settings.rag_properties)
    records = [VectorRecord(version.vector_id(number), version.tenant, indexed) for number, _, _ in passages]
    # the vectors go from one binding to the other as JavaScript arrays
    await resources.vectors.upsert(await response.raw.value("data"), records)
    return {"neurons": record_cost([response], {"prompt_tokens": sum(map(token_counts.estimate_text, texts))})}


async def settle(resources: Resources, cost: Cost) -> bool:
    """Replace the version's reservation by its cost."""
    assert cost.reservation
    await ingestion_cost.settle(resources, cost.reservation, cost.neurons)
    return True


async def settle_failed(resources: Resources, version_id: str, cost: Cost) -> bool:
    """Replace the version's reservation by its cost; False if it was deleted before the step that reserves."""
    if cost.reservation:
        return await settle(resources, cost)
    version = await store.find(resources.database, version_id)
    if version:
        await ingestion_cost.release(resources, version)
    return version is not None


async def wait_for_vectors(resources: Resources, version: Version, count: int, checks: int) -> bool:
    """Wait until Vectorize returns the last vector, some seconds after it was written. Raises ApiError `timeout`."""
    last = version.vector_id(count - 1)
    for number in range(checks):
        if number:
            await asyncio.sleep(1)
        if last in await resources.vectors.present([last]):
            return True
    raise ApiError("timeout", "Vectorize has not indexed the vectors yet.")


async def publish(resources: Resources, version: Version) -> bool:
    """Let readers see the version; return False if they see a newer one already."""
    return await store.publish(resources.database, version, now())


async def remove_earlier_versions(resources: Resources, version_id: str) -> bool:
    """Remove some of the versions that this one replaced; return True if none is left."""
    version = await store.find(resources.database, version_id)
    earlier = await store.replaced_by(resources.database, version) if version else []
    return await removal.remove(resources, earlier, removal.MAX_CALLS) == len(earlier)


async def remove_version(resources: Resources, version_id: str) -> bool:
    """Remove some of a version that was overtaken by a newer one; return True if it is gone."""
    version = await store.find(resources.database, version_id)
    return version is None or await removal.remove(resources, [version], removal.MAX_CALLS) == 1


async def count_stored(resources: Resources, version_id: str) -> int:
    """Return the number of a version's passages that are stored; 0 if it was deleted meanwhile."""
    version = await store.find(resources.database, version_id)
    return version.chunks if version else 0


async def is_published(resources: Resources, version_id: str) -> bool:
    version = await store.find(resources.database, version_id)
    return version is not None and version.state == "indexed"


async def fail(resources: Resources, version_id: str, folder: str, reason: str) -> bool:
    """Store the reason why a version without passages has failed; its file stays.

    Return False if the version was deleted meanwhile.
    """
    version = await store.find(resources.database, version_id)
    if version is None:  # the document was deleted meanwhile, and a step may have written after that
        await store.delete_version(resources.database, version_id)
        if folder:  # an empty folder: the version was deleted before its first step, and no step has written anything
            await resources.bucket.delete_folder(folder)
        return False
    await passage_store.put_chunks(resources.database, version, [])
    await store.set_state(resources.database, version_id, "failed", now(), reason=reason[:1000], chunks=0)
    return True


# ---- after a crash -----------------------------------------------------------------------------------------------


async def resume(resources: Resources, *, is_restarted: bool = True) -> None:
    """Resume whatever was interrupted: jobs, removals, unfinished versions and the re-index.

    Cloudflare resumes workflows by itself; the local engine does not when it is restarted. A version that was stored
    just before a crash has no workflow yet on either.

    is_restarted: the isolate is new. A local one means that the engine has been restarted.
    """
    database = resources.database
    before = removal.interrupted_before(resources) if is_restarted else ago(removal.STALE)
    await queue.resume(resources, before)
    await conversation_index.delete_expired(database, ago(timedelta(days=resources.settings.conversation_days)))
    if await store.marked_versions(database, before, 1) or await store.has_deleted_documents(database):
        await removal.start_purge(resources)
    abandoned = max(before, ago(ABANDONED))
    for version_id in await store.unfinished(database, before, abandoned, SMALL_TEXT_BYTES):
        await resources.ingestions.wake(version_id)
    if await passage_store.versions_to_index(database, 1):
        await resources.ingestions.wake_reindex(search_text.NORMALIZATION)


def _with_context(version: Version, heading: str, text: str) -> str:
    """Return the text to embed: the title and the headings, which may say what the passage is about, then the
    passage."""
    title = version.title[:MAX_TITLE_CHARACTERS]
    heading, text = without_title(title, heading, text)
    # the headings of a PDF begin with the file's name, which is often the title
    is_repeated = version.media_type == file_kinds.PDF and heading.startswith(title)
    above = heading if is_repeated else HEADING_SEPARATOR.join(filter(None, (title, heading)))
    return f"{above}\n\n{text}" if above else text
