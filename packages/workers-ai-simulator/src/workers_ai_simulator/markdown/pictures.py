"""Pictures, described as by the simulator's image-to-text models: size, format and colours."""

from typing import Any

from workers_ai_simulator.catalogue import find
from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.images.painting import describe
from workers_ai_simulator.markdown.errors import UnconvertibleError
from workers_ai_simulator.markdown.models import InputFile

DESCRIBER = "@cf/llava-hf/llava-1.5-7b-hf"
"""Model in place of detr-resnet-50 and gemma-3-12b-it, with which upstream detects and describes objects."""

LANGUAGES = {"en": "English", "it": "Italian", "de": "German", "es": "Spanish", "fr": "French", "pt": "Portuguese"}

MAX_EMBEDDED = 10
"""Embedded pictures of a file that are described at most, also with a larger `maxConvertedImages`.

https://developers.cloudflare.com/workers-ai/features/markdown-conversion/conversion-options/
"""


def convert_picture(file: InputFile, options: dict[str, Any]) -> str:
    """Describe a picture. Raises UnconvertibleError if it cannot be read."""
    image: Any = options.get("image")
    return describe_picture(file.content, image if isinstance(image, dict) else {})  # pyright: ignore[reportUnknownArgumentType]


def describe_picture(content: bytes, options: dict[str, Any]) -> str:
    """Description of a picture, with `ImageConversionOptions`; the requested language is mentioned, not used.

    Raises UnconvertibleError if the picture cannot be read.
    """
    language = LANGUAGES.get(str(options.get("descriptionLanguage", "en")), "English")
    prompt = {} if language == "English" else {"prompt": f"Describe the image in {language}."}
    try:
        return str(describe(find(DESCRIBER), {"image": content, **prompt})["description"])
    except UpstreamError as error:
        raise UnconvertibleError(error.description) from None


class Embedded:
    """Describes the pictures inside one file if `EmbeddedImageConversionOptions` ask for it, up to a limit."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        requested = options.get("maxConvertedImages")
        limit = requested if isinstance(requested, int) and 0 <= requested <= MAX_EMBEDDED else MAX_EMBEDDED
        self._budget = limit if options.get("convert") is True else 0

    @property
    def has_budget(self) -> bool:
        """Whether one more picture would be described."""
        return self._budget > 0

    def describe(self, content: bytes) -> str:
        """Description of a picture; empty if it is not to be described, or cannot be read."""
        if not self.has_budget:
            return ""
        self._budget -= 1
        try:
            return describe_picture(content, self._options)
        except UnconvertibleError:
            return ""
