"""Bindings of a version: what an upload names, what it inherits, and what the API shows of them."""

from tests.deploy.cloudflare_api.classes import Classes
from tests.deploy.cloudflare_api.envelope import ApiError, Document
from tests.deploy.cloudflare_api.platform import Platform

SECRET = "secret_text"


def complete(metadata: Document, previous: list[Document]) -> list[Document]:
    """The bindings of an upload with those it keeps of the previous version.

    Raises ApiError 10057 for an inherited binding that the previous version does not have.
    """
    before = {each["name"]: each for each in previous}
    bindings: dict[str, Document] = {}
    for each in metadata.get("bindings", []):
        if each["type"] == "inherit":
            if each["name"] not in before:
                message = f"Binding '{each['name']}' cannot be inherited: the previous version does not have it."
                raise ApiError(400, 10057, message)  # the code is wrangler's; the sentence is a guess
            bindings[each["name"]] = before[each["name"]]
        else:
            bindings[each["name"]] = each
    kept = metadata.get("keep_bindings", [])
    for each in previous:
        if each["type"] in kept:
            bindings.setdefault(each["name"], each)
    return list(bindings.values())


def shown(binding: Document) -> Document:
    """A binding as the API shows it: never a secret's value."""
    return {"name": binding["name"], "type": SECRET} if binding["type"] == SECRET else binding


def secrets(bindings: list[Document]) -> dict[str, str]:
    return {each["name"]: each["text"] for each in bindings if each["type"] == SECRET}


def check(bindings: list[Document], platform: Platform, account: str, script: str, classes: Classes) -> None:
    """Refuse bindings to what does not exist. Vectorize indexes are checked apart, since the simulator has them.

    Raises ApiError 10021, 10061, 10085 or 10181.
    """
    for each in bindings:
        match each["type"]:
            case "d1":
                _check_database(each, platform, account)
            case "r2_bucket" if not platform.store.get("bucket", account, each["bucket_name"]):
                message = f"R2 bucket '{each['bucket_name']}' not found. Please use a different name and try again."
                raise ApiError(400, 10085, message)
            case "durable_object_namespace" if each.get("script_name", script) == script:
                _check_class(each["class_name"], classes)
            case _:
                pass


def _check_database(binding: Document, platform: Platform, account: str) -> None:
    if not binding.get("id"):
        raise ApiError(400, 10021, f"binding {binding['name']} of type d1 must have a valid `id` specified")
    if not platform.store.get("database", account, binding["id"]):
        message = f"D1 binding '{binding['name']}' references database '{binding['id']}' which was not found."
        raise ApiError(400, 10181, message)


def _check_class(name: str, classes: Classes) -> None:
    if name not in classes:
        message = f"Cannot create binding for class '{name}' because it is not currently configured to implement"
        raise ApiError(
            400, 10061, f"{message} Durable Objects. Configure a migration in your configuration to add this class."
        )
