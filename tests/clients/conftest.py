"""Clients as their documentation has them, pointed at the Worker."""

from collections.abc import AsyncGenerator, Generator

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from tests.conftest import TLS

NATIVE = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"
"""Its answers and streams are translated."""
OPENAI = "@cf/openai/gpt-oss-20b"
"""Its streams are handed on as they are."""


@pytest.fixture
def openai(base_url: str) -> Generator[OpenAI]:
    http = DefaultHttpxClient(verify=TLS)
    with OpenAI(base_url=f"{base_url}/v1", api_key="unused", max_retries=0, timeout=60, http_client=http) as client:
        yield client


@pytest.fixture
async def async_openai(base_url: str) -> AsyncGenerator[AsyncOpenAI]:
    http = DefaultAsyncHttpxClient(verify=TLS)
    async with AsyncOpenAI(
        base_url=f"{base_url}/v1", api_key="unused", max_retries=0, timeout=60, http_client=http
    ) as it:
        yield it


@pytest.fixture(params=[NATIVE, OPENAI], ids=["native", "openai"])
def model(request: pytest.FixtureRequest) -> str:
    """A model of each dialect."""
    return request.param
