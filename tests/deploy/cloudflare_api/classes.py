"""Durable Object classes of a script, and the migrations that made them."""

from typing import Any, cast

from tests.deploy.cloudflare_api.envelope import ApiError, Document
from tests.deploy.cloudflare_api.settings import Plan

Classes = dict[str, bool]
"""Class name → whether its storage is SQLite."""


def migrated(script: Document | None, migrations: Document | None, plan: Plan) -> tuple[Classes, str | None]:
    """The script's classes and migration tag when an upload's `migrations` have been applied.

    Raises ApiError 10079 if the tag has moved on, 10074 if a class is made twice, 10097 for storage the plan lacks.
    """
    classes: Classes = dict(script["classes"]) if script else {}
    tag: str | None = script.get("migration_tag") if script else None
    if migrations is None:
        return classes, tag
    if migrations.get("old_tag") != tag:
        current = f"current tag is {tag}" if tag else "there is no current tag"
        raise ApiError(412, 10079, f"Migration tag precondition failed; {current}")
    for step in _steps(migrations):
        _apply(step, classes, plan)
    return classes, str(migrations["new_tag"])


def _steps(migrations: Document) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", migrations.get("steps", [migrations]))


def _apply(step: dict[str, Any], classes: Classes, plan: Plan) -> None:
    for kind, is_sqlite in (("new_sqlite_classes", True), ("new_classes", False)):
        for name in step.get(kind, []):
            if name in classes:
                operation = kind.removesuffix("es").replace("_", "-")
                message = f"Cannot apply {operation} migration to class '{name}' that is already depended on"
                raise ApiError(400, 10074, f"{message} by existing Durable Objects")
            if plan == "free" and not is_sqlite:
                message = "In order to use Durable Objects with a free plan, you must create a namespace using a"
                raise ApiError(400, 10097, f"{message} `new_sqlite_classes` migration.")
            classes[name] = is_sqlite
    for renamed in step.get("renamed_classes", []):
        classes[renamed["to"]] = classes.pop(renamed["from"])
    for name in step.get("deleted_classes", []):
        classes.pop(name, None)
