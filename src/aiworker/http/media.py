"""Media types of images and sounds, recognised by their first bytes: a file name or a header may be wrong."""

from collections.abc import Callable

HEAD = 64
"""Bytes at the beginning of a file that are enough to recognise every media type below."""

Test = Callable[[bytes], bool]

IMAGES: dict[str, Test] = {
    "image/png": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": lambda head: head.startswith(b"\xff\xd8\xff"),
    "image/webp": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    "image/gif": lambda head: head.startswith((b"GIF87a", b"GIF89a")),
}
SOUNDS: dict[str, Test] = {
    "audio/wav": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE",
    "audio/flac": lambda head: head.startswith(b"fLaC"),
    "audio/ogg": lambda head: head.startswith(b"OggS"),
    "audio/mp4": lambda head: head[4:8] == b"ftyp",
    "audio/webm": lambda head: head.startswith(b"\x1a\x45\xdf\xa3"),
    "audio/mpeg": lambda head: head.startswith(b"ID3") or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"),
}


def detect_image_type(head: bytes) -> str | None:
    """Return the media type of an image by its first bytes; None if it is none of IMAGES."""
    return _detect(IMAGES, head)


def detect_sound_type(head: bytes) -> str | None:
    """Return the media type of a sound by its first bytes; None if it is none of SOUNDS."""
    return _detect(SOUNDS, head)


def _detect(tests: dict[str, Test], head: bytes) -> str | None:
    return next((media_type for media_type, test in tests.items() if test(head)), None)
