"""pytest plugin that runs the files that take longest first, so that all processes end at about the same time."""

import pytest

SLOWEST = (
    "tests/browser/test_browser.py",
    "tests/runtime/test_ingestion.py",
    "tests/worker/test_rag_ai_search.py",
    "tests/deploy/test_deploy_refusals.py",
    "tests/deploy/test_deploy.py",
    "tests/worker/test_rag.py",
    "tests/runtime/test_dev.py",
    "tests/worker/test_limits.py",
    "tests/clients/test_aiworker_client.py",
    "tests/clients/test_frameworks.py",
    "tests/worker/test_access.py",
    "tests/worker/test_document_original.py",
    "tests/runtime/test_new_route.py",
    "tests/worker/test_image.py",
    "tests/worker/test_log.py",
    "tests/worker/test_document_passages.py",
    "tests/clients/test_llm.py",
    "tests/worker/test_schemathesis.py",
    "tests/worker/test_leaving.py",
    "tests/worker/test_calls.py",
    "tests/runtime/test_snapshot.py",
    "packages/workers-ai-simulator/tests/test_faults.py",
    "tests/worker/test_batch.py",
    "tests/clients/test_openai_failures.py",
    "packages/offline-python-workers/tests/test_command.py",
    "tests/clients/test_node.py",
    "tests/runtime/test_platform.py",
    "tests/clients/test_snippets.py",
    "tests/simulator/test_wrangler.py",
    "tests/runtime/test_compiled.py",
    "tests/clients/test_mcp_servers.py",
    "packages/workers-ai-simulator/tests/test_standalone.py",
    "tests/unit/test_collections.py",
    "tests/unit/test_chunk.py",
    "packages/workers-ai-simulator/tests/test_models_option.py",
)
"""Longest first, as scripts/test lists them at its end. Files of a few seconds need no place here."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {file: number for number, file in enumerate(SLOWEST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))
