"""Pictures, described as the simulator's image-to-text models do: their size, format and colours."""

from typing import Any

from workers_ai_simulator.errors import UpstreamError
from workers_ai_simulator.images.painting import describe
from workers_ai_simulator.markdown.source import SentFile, Unconvertible
from workers_ai_simulator.models import find

DESCRIBER = "@cf/llava-hf/llava-1.5-7b-hf"
"""Stands for detr-resnet-50 and gemma-3-12b-it, with which upstream finds objects and describes them."""

LANGUAGES = {"en": "English", "it": "Italian", "de": "German", "es": "Spanish", "fr": "French", "pt": "Portuguese"}

MOST_EMBEDDED = 10
"""Embedded pictures that are described in a file, whatever `maxConvertedImages` says.

https://developers.cloudflare.com/workers-ai/features/markdown-conversion/conversion-options/
"""


def convert_picture(file: SentFile, options: dict[str, Any]) -> str:
    """A description. Raises Unconvertible if the file is no picture that can be read."""
    image: Any = options.get("image")
    return described(file.content, image if isinstance(image, dict) else {})  # pyright: ignore[reportUnknownArgumentType]


def described(content: bytes, options: dict[str, Any]) -> str:
    """What is seen on a picture (`ImageConversionOptions`); the language asked for is mentioned, not spoken.

    Raises Unconvertible if it cannot be read.
    """
    language = LANGUAGES.get(str(options.get("descriptionLanguage", "en")), "English")
    prompt = {} if language == "English" else {"prompt": f"Describe the image in {language}."}
    try:
        return str(describe(find(DESCRIBER), {"image": content, **prompt})["description"])
    except UpstreamError as error:
        raise Unconvertible(error.description) from None


class Embedded:
    """The pictures inside one file (`EmbeddedImageConversionOptions`): described if asked for, up to a limit."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        most = options.get("maxConvertedImages")
        limit = most if isinstance(most, int) and 0 <= most <= MOST_EMBEDDED else MOST_EMBEDDED
        self._left = limit if options.get("convert") is True else 0

    @property
    def wanted(self) -> bool:
        """Whether one more would be described."""
        return self._left > 0

    def describe(self, content: bytes) -> str:
        """Empty for a picture that is not to be described, or cannot be read."""
        if not self.wanted:
            return ""
        self._left -= 1
        try:
            return described(content, self._options)
        except Unconvertible:
            return ""
