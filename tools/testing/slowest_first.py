"""pytest plugin that runs the files that take longest first, so that all processes end at about the same time."""

import pytest

SLOWEST = (
    "tests/runtime/test_ingestion.py",
    "tests/deploy/test_deploy.py",
    "tests/deploy/test_deploy_refusals.py",
    "tests/browser/test_browser.py",
    "tests/clients/test_aiworker_client.py",
    "tests/runtime/test_dev.py",
    "tests/runtime/test_snapshot.py",
    "tests/worker/test_limits.py",
    "tests/worker/test_rag.py",
    "tests/worker/test_schemathesis.py",
    "tests/worker/test_access.py",
    "tests/worker/test_log.py",
    "tests/worker/test_calls.py",
    "tests/worker/test_speech.py",
    "tests/worker/test_image.py",
    "tests/deploy/test_cloudflare_api.py",
    "tests/runtime/test_compiled.py",
    "tests/runtime/test_platform.py",
    "tests/simulator/test_wrangler.py",
    "packages/workers-ai-simulator/tests/test_faults.py",
    "packages/workers-ai-simulator/tests/test_standalone.py",
)
"""Longest first, as scripts/test lists them at its end. Files of a few seconds need no place here."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {file: number for number, file in enumerate(SLOWEST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))
