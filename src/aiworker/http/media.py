"""What kind of image or sound some bytes are, by how they begin: a name or a header may say anything."""

from collections.abc import Callable

HEAD = 64
"""So many bytes tell."""

Looks = Callable[[bytes], bool]

IMAGES: dict[str, Looks] = {
    "image/png": lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": lambda head: head.startswith(b"\xff\xd8\xff"),
    "image/webp": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    "image/gif": lambda head: head.startswith((b"GIF87a", b"GIF89a")),
}
SOUNDS: dict[str, Looks] = {
    "audio/wav": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE",
    "audio/flac": lambda head: head.startswith(b"fLaC"),
    "audio/ogg": lambda head: head.startswith(b"OggS"),
    "audio/mp4": lambda head: head[4:8] == b"ftyp",
    "audio/webm": lambda head: head.startswith(b"\x1a\x45\xdf\xa3"),
    "audio/mpeg": lambda head: head.startswith(b"ID3") or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"),
}


def detect_image_type(head: bytes) -> str | None:
    """The media type of an image that begins like this; None if it is none that the models know."""
    return _first(IMAGES, head)


def detect_sound_type(head: bytes) -> str | None:
    """As `image_type`, of a sound."""
    return _first(SOUNDS, head)


def _first(kinds: dict[str, Looks], head: bytes) -> str | None:
    return next((kind for kind, looks in kinds.items() if looks(head)), None)
