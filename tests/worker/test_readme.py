"""The README's examples, as pasted."""

import json
import re
import subprocess

from tools import ROOT

README = (ROOT / "README.md").read_text()


def test_the_curl_command_shows_a_stream(base_url: str) -> None:
    [command] = re.findall(r"```sh\n(curl .*?)```", README, re.DOTALL)
    command = command.replace("http://localhost:8787", base_url)
    done = subprocess.run(["bash", "-c", command], text=True, capture_output=True, timeout=100, check=True)
    *frames, last = done.stdout.strip().split("\n\n")
    assert last == "data: [DONE]"
    deltas = [json.loads(frame.removeprefix("data: "))["choices"][0]["delta"] for frame in frames]
    assert deltas[0]["reasoning_content"]
    assert "Worker" in "".join(delta.get("content") or "" for delta in deltas)


def test_every_file_that_it_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link.partition("#")[0]).exists()] == []
