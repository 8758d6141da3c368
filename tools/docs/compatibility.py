"""Compare public/openapi.json with the last release's and name the changes that break clients.

python -m tools.docs.compatibility            fail if a change breaks clients and is not allowed
python -m tools.docs.compatibility --release  make the present document the last release's, and clear the allowed breaks

The last release's document is released.json, beside this file. A release renews it with --release, after the version
was raised; docs and examples are left out of it. allowed_breaks.json allows the breaks that are meant: it maps each,
as this program prints it, to the reason.

Breaks are: a route, method, media type, response status or field of a response that is gone; a scope, field or
parameter that is newly required; a request that was accepted and no longer is (a field, type, value or range); a field
of a request that newly counts as unknown, and is ignored; a changed default; a field of a response that may newly be
missing or null. Additions break nothing.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from tools import ROOT
from tools.docs import openapi

RELEASED = Path(__file__).with_name("released.json")
ALLOWED = Path(__file__).with_name("allowed_breaks.json")

Json = dict[str, Any]
ANYTHING: Json = {}
"""Schema of values of every kind."""
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
PROSE = ("description", "summary", "example", "examples", "title", "tags", "operationId")
"""Members of OpenAPI's own objects that promise clients nothing."""
TYPES: Mapping[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


class Comparison:
    """Comparison of two documents. `old` is the one that clients were written for."""

    def __init__(self, old: Json, new: Json) -> None:
        self._documents = (old, new)
        self._compared: set[tuple[str, str, int, int]] = set()

    def breaks(self) -> list[str]:
        """Every break, as a sentence that begins with its place."""
        old, new = self._documents
        return list(dict.fromkeys(self._paths(old["paths"], new["paths"])))

    def _paths(self, old: Json, new: Json) -> Iterator[str]:
        for path, methods in old.items():
            for method, operation in methods.items():
                where = f"{method.upper()} {path}"
                if method in new.get(path, {}):
                    yield from self._operation(where, operation, new[path][method])
                else:
                    yield f"{where}: is gone"

    def _operation(self, where: str, old: Json, new: Json) -> Iterator[str]:
        if scopes(new) and scopes(new) != scopes(old):
            yield f"{where}: needs {' '.join(sorted(scopes(new)))}"
        yield from self._parameters(where, old.get("parameters", []), new.get("parameters", []))
        yield from self._body(where, old.get("requestBody", {}), new.get("requestBody", {}))
        for status, response in old["responses"].items():
            if status not in new["responses"]:
                yield f"{where}, {status}: is gone"
                continue
            contents = new["responses"][status].get("content", {})
            for media_type, content in response.get("content", {}).items():
                place = f"{where}, {status} {media_type}"
                if media_type in contents:
                    yield from self._response(place, content["schema"], contents[media_type]["schema"])
                else:
                    yield f"{place}: is gone"

    def _parameters(self, where: str, old: list[Json], new: list[Json]) -> Iterator[str]:
        before = {(each["in"], each["name"]): each for each in old}
        after = {(each["in"], each["name"]): each for each in new}
        for key, parameter in before.items():
            place = f"{where}, {key[0]} {key[1]}"
            if key in after:
                yield from self._request(place, parameter["schema"], after[key]["schema"])
            else:
                yield f"{place}: is no longer taken"
        for key, parameter in after.items():
            if parameter.get("required") and not before.get(key, {}).get("required"):
                yield f"{where}, {key[0]} {key[1]}: is required"

    def _body(self, where: str, old: Json, new: Json) -> Iterator[str]:
        if new.get("required") and not old.get("required"):
            yield f"{where}, body: is required"
        for media_type, content in old.get("content", {}).items():
            place = f"{where}, {media_type}"
            if media_type in new.get("content", {}):
                yield from self._request(place, content["schema"], new["content"][media_type]["schema"])
            else:
                yield f"{place}: is no longer taken"

    # ---- requests: whatever the old schema takes, the new one must take ----

    def _request(self, where: str, old: Json, new: Json) -> Iterator[str]:
        if self._is_known("request", where, old, new):
            return
        if "default" in old and "default" in new and old["default"] != new["default"]:
            yield f"{where}: has the default {json.dumps(new['default'])}, not {json.dumps(old['default'])}"
        choices = list(self._alternatives(1, new))
        for each in self._alternatives(0, old):
            fitting = [choice for choice in choices if _takes_type(choice, each)]
            faults = [list(self._narrowed(where, each, choice)) for choice in fitting]
            yield from min(faults, key=len, default=[f"{where}: no longer takes {_named(each)}"])

    def _narrowed(self, where: str, old: Json, new: Json) -> Iterator[str]:
        if "const" in old:
            return  # its type is taken, and an enumeration is compared value by value
        for names, is_narrower in ((LOWER, _is_greater), (UPPER, _is_less)):
            for name in names:
                if name in new and is_narrower(new[name], old.get(name)):
                    yield f"{where}: has {name} {new[name]}"
        if "pattern" in new and new["pattern"] != old.get("pattern"):
            yield f"{where}: has pattern {new['pattern']}"
        yield from self._request_fields(where, old, new)
        if "items" in new:
            yield from self._request(f"{where}[]", old.get("items", ANYTHING), new["items"])

    def _request_fields(self, where: str, old: Json, new: Json) -> Iterator[str]:
        fields: Json = new.get("properties", {})
        others = new.get("additionalProperties", True)
        for name, schema in old.get("properties", {}).items():
            if name in fields:
                yield from self._request(f"{where} {name}", schema, fields[name])
            else:
                yield f"{where} {name}: is no longer taken" if others is False else f"{where} {name}: is ignored"
        for name in new.get("required", []):
            if name not in old.get("required", []):
                yield f"{where} {name}: is required"
        if others is False and old.get("additionalProperties", True) is not False:
            yield f"{where}: no longer takes other fields"

    # ---- responses: whatever the old schema promises, the new one must promise ----

    def _response(self, where: str, old: Json, new: Json) -> Iterator[str]:
        if self._is_known("response", where, old, new):
            return
        before, after = list(self._alternatives(0, old)), list(self._alternatives(1, new))
        kinds = {_kind(each) for each in before}
        known = {*kinds, "integer"} if "number" in kinds else kinds
        for kind in dict.fromkeys(_kind(each) for each in after):
            if kind not in known and "anything" not in known:
                yield f"{where}: may be {kind}"
        for each in before:
            same = [choice for choice in after if _kind(choice) == _kind(each)]
            if same:
                yield from min((list(self._lost(where, each, choice)) for choice in same), key=len)

    def _lost(self, where: str, old: Json, new: Json) -> Iterator[str]:
        fields: Json = new.get("properties", {})
        for name, schema in old.get("properties", {}).items():
            if name not in fields:
                yield f"{where} {name}: is gone"
                continue
            yield from self._response(f"{where} {name}", schema, fields[name])
            if name in old.get("required", []) and name not in new.get("required", []):
                yield f"{where} {name}: may be missing"
        if "items" in old:
            yield from self._response(f"{where}[]", old["items"], new.get("items", ANYTHING))

    def _alternatives(self, side: int, schema: Json) -> Iterator[Json]:
        """Schemas of one type or one value each that together take what the schema takes. side: 0 old, 1 new."""
        while "$ref" in schema:
            schema = self._documents[side]["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        if "enum" in schema:
            yield from ({"const": value} for value in schema["enum"])
        elif choices := schema.get("anyOf") or schema.get("oneOf"):
            for each in choices:
                yield from self._alternatives(side, each)
        elif isinstance(schema.get("type"), list):
            yield from ({**schema, "type": name} for name in schema["type"])
        else:
            yield schema

    def _is_known(self, direction: str, where: str, old: Json, new: Json) -> bool:
        """Whether the two were compared in this operation before: schemas may refer to themselves."""
        key = (direction, where.split(",")[0], id(old), id(new))
        is_known = key in self._compared
        self._compared.add(key)
        return is_known


def scopes(operation: Json) -> frozenset[str]:
    """Scopes that a caller needs: `any key`, a scope, or none."""
    return frozenset(
        scope
        for scheme in operation.get("security", [])
        for needed in scheme.values()
        for scope in needed or ["any key"]
    )


def reduced(value: Any, parent: str = "") -> Any:
    """The document without members that promise clients nothing. Fields are kept, whatever their names are."""
    if isinstance(value, list):
        return [reduced(each) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("Json", value)
    is_named = parent in ("properties", "schemas", "paths", "responses", "default", "const")
    return {
        name: reduced(each, "" if is_named else name) for name, each in members.items() if is_named or name not in PROSE
    }


def report(breaks: Iterable[str], allowed: Mapping[str, str], version: str) -> list[str]:
    """Lines about breaks that are not allowed, and about allowances without a break. Empty if all is well."""
    found_breaks = list(breaks)
    lines = [f"Breaks clients of {version}: {each}" for each in found_breaks if each not in allowed]
    lines += [
        f"Is allowed in {ALLOWED.name} but breaks nothing: {each}" for each in allowed if each not in found_breaks
    ]
    if lines:
        lines.append(f"Undo the break, or allow it with its reason in {ALLOWED.relative_to(ROOT)}.")
    return lines


def main(arguments: list[str]) -> int:
    current: Json = json.loads(openapi.FILE.read_text())
    if "--release" in arguments:
        release = {
            "version": current["info"]["version"],
            **{name: reduced(current[name], name) for name in ("paths", "components")},
        }
        RELEASED.write_text(json.dumps(release, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n")
        ALLOWED.write_text("{}\n")
        print(f"Clients are held to {release['version']} from now on.")
        return 0
    released: Json = json.loads(RELEASED.read_text())
    lines = report(Comparison(released, current).breaks(), json.loads(ALLOWED.read_text()), released["version"])
    print(*lines, sep="\n", end="\n" if lines else "")
    return 1 if lines else 0


def _kind(schema: Json) -> str:
    if "const" in schema:
        return "null" if schema["const"] is None else TYPES[type(schema["const"])]
    return schema.get("type", "anything")


def _takes_type(new: Json, old: Json) -> bool:
    if "const" in new:
        return "const" in old and (new["const"], _kind(new)) == (old["const"], _kind(old))
    return _kind(new) in ("anything", _kind(old)) or (_kind(new), _kind(old)) == ("number", "integer")


def _named(schema: Json) -> str:
    return json.dumps(schema["const"]) if "const" in schema else _kind(schema)


def _is_greater(new: float, old: float | None) -> bool:
    return old is None or new > old


def _is_less(new: float, old: float | None) -> bool:
    return old is None or new < old


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
