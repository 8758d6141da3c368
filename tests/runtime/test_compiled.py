"""The Worker's own modules are compiled ahead, and the Worker always does what its sources say."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx

from tests.conftest import TLS, DevServer, until
from tools.dev.derived import compiled_modules

ENTRY = """
import inspect, traceback
from workers import Response, WorkerEntrypoint
try:
    import told
except ModuleNotFoundError:
    import renamed as told

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        try:
            told.fail()
        except ValueError:
            shown = traceback.format_exc()
        return Response.json({"text": told.TEXT, "traceback": shown, "source": inspect.getsource(told.fail)})
"""

SOURCE = """
TEXT = "{text}"

def fail():
    raise ValueError(TEXT)  # a comment
"""


@contextmanager
def started(project: Path) -> Generator[DevServer]:
    server = DevServer.start("--project", project)
    try:
        yield server
    finally:
        server.stop()


def test_a_later_start_takes_byte_code_and_an_edit_never_does(tmp_path: Path) -> None:
    """Give byte-code another text than its source, which shows which of them is used."""
    sources = tmp_path / "src"
    sources.mkdir()
    (tmp_path / "wrangler.jsonc").write_text(
        '{"name": "compiled", "main": "src/entry.py", "compatibility_date": "2026-11-01"}'
    )
    (sources / "entry.py").write_text(ENTRY)
    module, modules, unique = sources / "told.py", compiled_modules(), uuid4().hex
    planted = SOURCE.format(text=f"byte-code {unique}").encode()
    module.write_text(SOURCE.format(text=f"source {unique}"))
    source = module.read_bytes()
    (sources / "planted.py").write_bytes(planted)

    def get(server: DevServer) -> dict[str, str]:
        return httpx.get(server.url, timeout=60, verify=TLS).json()

    with started(tmp_path) as server:
        assert get(server)["text"] == f"source {unique}"
        made = until(lambda: modules.read("planted.py", planted), lambda code: code is not None)
        until(lambda: modules.read("told.py", source), lambda code: code is not None)
    assert made
    modules.file("told.py", source).write_bytes(made)

    with started(tmp_path) as server:
        seen = get(server)
        assert seen["text"] == f"byte-code {unique}"
        assert 'File "/session/metadata/told.py", line 5, in fail\n    raise ValueError(TEXT)' in seen["traceback"]
        assert seen["source"].endswith("    raise ValueError(TEXT)  # a comment\n")
        with server.reload():
            module.write_text(SOURCE.format(text=f"edited {unique}"))
        assert get(server)["text"] == f"edited {unique}"
        with server.reload():
            module.rename(sources / "renamed.py")
        seen = get(server)
        assert seen["text"] == f"edited {unique}"
        assert 'File "/session/metadata/renamed.py", line 5' in seen["traceback"]
        with server.reload():
            module.write_bytes(source + b"(")
        broken = httpx.get(server.url, timeout=60, verify=TLS)
        assert broken.status_code == 500
        assert 'File "src/told.py", line 6' in broken.text
        assert "SyntaxError" in broken.text
        with server.reload():
            module.write_bytes(planted)
        assert get(server)["text"] == f"byte-code {unique}"
    modules.file("told.py", source).unlink()
