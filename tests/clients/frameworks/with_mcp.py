"""The official client of the Model Context Protocol, in both kinds of its versions."""

import asyncio
import os
import wave
from base64 import b64encode
from io import BytesIO

from mcp import Client, MCPError

URL = os.environ["AIWORKER_URL"]


def recording() -> str:
    """A second of silence."""
    file = BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16_000))
    return b64encode(file.getvalue()).decode()


async def converse(client: Client) -> None:
    listed = await client.list_tools()
    assert {"search_documents", "transcribe", "current_time"} <= {tool.name for tool in listed.tools}
    result = await client.call_tool("search_documents", {"query": "Where do penguins live?"})
    assert not result.is_error, result
    assert isinstance(result.structured_content["passages"], list)
    page = await client.call_tool("list_documents", {"limit": 1})
    assert isinstance(page.structured_content["documents"], list)
    transcript = await client.call_tool("transcribe", {"audio": recording()})
    assert transcript.structured_content["duration"] == 1, transcript
    stored = await client.call_tool("generate_image", {"prompt": "a fox", "store": True})
    assert stored.content[0].text.startswith(f"{URL}/images/"), stored
    refused = await client.call_tool("transcribe", {"audio": b64encode(b"no sound").decode()})
    assert refused.is_error, refused
    assert "audio is not in an audio format" in refused.content[0].text, refused
    code = None
    try:
        await client.call_tool("nothing", {})
    except MCPError as error:
        code = error.error.code
    assert code == -32602, code
    assert isinstance((await client.list_resources()).resources, list)


async def main() -> None:
    for mode, version in (("auto", "2026-07-28"), ("legacy", "2025-11-25")):
        async with Client(f"{URL}/mcp", mode=mode) as client:
            assert client.protocol_version == version, client.protocol_version
            assert client.server_info.name == "aiworker", client.server_info
            await converse(client)


asyncio.run(main())
