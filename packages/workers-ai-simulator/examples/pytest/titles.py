"""Titles by Workers AI's REST API, from a program that is no Worker."""

import httpx

MODEL = "@cf/meta/llama-3.1-8b-instruct-fast"


def title(text: str, api: str, account: str, token: str) -> str:
    """A title for the text. Raises httpx.HTTPStatusError if the model does not answer."""
    answer = httpx.post(
        f"{api}/accounts/{account}/ai/run/{MODEL}",
        headers={"Authorization": f"Bearer {token}"},
        json={"prompt": f"Write a title for this text, and nothing else: {text}"},
    )
    return answer.raise_for_status().json()["result"]["response"].strip()
