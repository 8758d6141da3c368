"""Limits on files that the AI binding converts to Markdown: an isolate has 128 MB for everything."""

from aiworker.errors import ApiError
from aiworker.http.messages import ReadableBytes
from aiworker.models.written_bytes import MAX_WRITTEN_BYTES
from aiworker.rag import archive, file_kinds

MAX_CONVERTED_BYTES = MAX_WRITTEN_BYTES["base64"]
"""Bytes of a file that the AI binding converts: it sends base64 in JSON."""
MAX_UNFOLDED_BYTES = 12_582_912
"""Bytes of the texts in an archive, unpacked and with their markup.

The binding returns the Markdown as one JSON string. V8's heap holds it twice, with two bytes a
character if any of them is outside Latin-1."""
MAX_MARKDOWN_BYTES = MAX_UNFOLDED_BYTES
"""Bytes of the Markdown that a conversion returns."""


def check_converted(kind: str, file: ReadableBytes) -> None:
    """Raises ApiError for a file that would not fit into memory while it is converted."""
    if not file_kinds.is_converted(kind):
        return
    if file.size > MAX_CONVERTED_BYTES:
        raise _too_large(
            f"The file has {file.size:,} bytes; at most {MAX_CONVERTED_BYTES:,} of this kind are converted"
        )
    if kind in file_kinds.ARCHIVES:
        try:
            size = archive.text_size(file)
        except archive.UnreadableArchiveError:
            raise ApiError(
                "unprocessable", "The file is damaged: its list of parts cannot be read. Save it again.", param="file"
            ) from None
        if size > MAX_UNFOLDED_BYTES:
            raise _too_large(
                f"The file unfolds to {size:,} bytes of text and markup; at most {MAX_UNFOLDED_BYTES:,} are converted"
            )


def _too_large(reason: str) -> ApiError:
    way_out = "split it, or save it as plain text or Markdown, which is not converted"
    return ApiError("payload_too_large", f"{reason}: {way_out}.", param="file")
