"""Dynamic routes with their versions and deployments, and model aliases, in SQLite."""

import json
import sqlite3
import uuid
from dataclasses import dataclass
from typing import Any

from workers_ai_simulator.gateway.aliases import Alias
from workers_ai_simulator.gateway.dynamic_routes import Element
from workers_ai_simulator.gateway.errors import already_exists, not_found

SCHEMA = """
CREATE TABLE IF NOT EXISTS routes (
    id TEXT PRIMARY KEY, gateway TEXT NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL,
    UNIQUE (gateway, name));
CREATE TABLE IF NOT EXISTS route_versions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, route TEXT NOT NULL, elements TEXT NOT NULL,
    comment TEXT, created INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS route_deployments (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, route TEXT NOT NULL, version TEXT NOT NULL,
    comment TEXT, created INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS aliases (
    gateway TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL, PRIMARY KEY (gateway, name));
"""


@dataclass(frozen=True)
class Version:
    """A version of a route's elements."""

    id: str
    elements: list[Element]
    comment: str | None
    created: int
    """Milliseconds since 1970."""


@dataclass(frozen=True)
class Deployment:
    """The version that calls go through from a time on."""

    id: str
    version: str
    comment: str | None
    created: int
    """Milliseconds since 1970."""


@dataclass(frozen=True)
class Route:
    """A route of a gateway, with the version that is deployed."""

    id: str
    gateway: str
    name: str
    created: int
    """Milliseconds since 1970."""
    modified: int
    """Milliseconds since 1970."""
    version: Version
    deployment: Deployment


class RouteStore:
    """Routes and aliases of all gateways. Times are milliseconds since 1970."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database
        self._db.executescript(SCHEMA)

    # ---- routes --------------------------------------------------------------------------------------------------

    def create(self, gateway_id: str, name: str, elements: list[Element], now: int) -> Route:
        """Create a route, and deploy its first version. Raises GatewayError 7006 if there is one of that name."""
        if self.find_by_name(gateway_id, name):
            raise already_exists("route", "name")
        route_id = uuid.uuid4().hex
        self._db.execute("INSERT INTO routes VALUES (?, ?, ?, ?, ?)", (route_id, gateway_id, name, now, now))
        version = self.add_version(route_id, elements, None, now)
        self.deploy(route_id, version.id, None, now)
        return self.get(gateway_id, route_id)

    def find_by_name(self, gateway_id: str, name: str) -> Route | None:
        row = self._db.execute("SELECT * FROM routes WHERE gateway = ? AND name = ?", (gateway_id, name)).fetchone()
        return self._route(row) if row else None

    def get(self, gateway_id: str, route_id: str) -> Route:
        """The route. Raises GatewayError 7002 if there is none."""
        row = self._db.execute("SELECT * FROM routes WHERE gateway = ? AND id = ?", (gateway_id, route_id)).fetchone()
        if not row:
            raise not_found("Route")
        return self._route(row)

    def routes(self, gateway_id: str) -> list[Route]:
        """Routes of a gateway, oldest first."""
        rows = self._db.execute("SELECT * FROM routes WHERE gateway = ? ORDER BY created, name", (gateway_id,))
        return [self._route(row) for row in rows.fetchall()]

    def rename(self, route: Route, name: str, now: int) -> Route:
        """Rename a route. Raises GatewayError 7006 if there is another of that name."""
        other = self.find_by_name(route.gateway, name)
        if other and other.id != route.id:
            raise already_exists("route", "name")
        self._db.execute("UPDATE routes SET name = ?, modified = ? WHERE id = ?", (name, now, route.id))
        return self.get(route.gateway, route.id)

    def delete(self, route: Route) -> None:
        """Delete a route with its versions and deployments."""
        self._db.execute("DELETE FROM routes WHERE id = ?", (route.id,))
        for table in ("route_versions", "route_deployments"):
            self._db.execute(f"DELETE FROM {table} WHERE route = ?", (route.id,))  # noqa: S608 - names from above

    def delete_of_gateway(self, gateway_id: str) -> None:
        """Delete all routes and aliases of a gateway."""
        for route in self.routes(gateway_id):
            self.delete(route)
        self._db.execute("DELETE FROM aliases WHERE gateway = ?", (gateway_id,))

    # ---- versions and deployments --------------------------------------------------------------------------------

    def add_version(self, route_id: str, elements: list[Element], comment: str | None, now: int) -> Version:
        """Add a version of a route, which is not deployed yet."""
        version = Version(uuid.uuid4().hex, elements, comment, now)
        row = (version.id, route_id, json.dumps(elements), comment, now)
        self._db.execute(
            "INSERT INTO route_versions (id, route, elements, comment, created) VALUES (?, ?, ?, ?, ?)", row
        )
        return version

    def versions(self, route_id: str) -> list[Version]:
        """Versions of a route, newest first."""
        columns = "id, elements, comment, created"
        query = f"SELECT {columns} FROM route_versions WHERE route = ? ORDER BY number DESC"  # noqa: S608
        rows = self._db.execute(query, (route_id,))
        return [Version(row[0], json.loads(row[1]), row[2], row[3]) for row in rows.fetchall()]

    def version(self, route_id: str, version_id: str) -> Version:
        """A version of a route. Raises GatewayError 7002 if there is none."""
        version = next((each for each in self.versions(route_id) if each.id == version_id), None)
        if version is None:
            raise not_found("Version")
        return version

    def deploy(self, route_id: str, version_id: str, comment: str | None, now: int) -> Deployment:
        """Send calls through a version. Raises GatewayError 7002 if there is none of that id."""
        version = self.version(route_id, version_id)
        deployment = Deployment(uuid.uuid4().hex, version.id, comment, now)
        row = (deployment.id, route_id, version.id, comment, now)
        self._db.execute(
            "INSERT INTO route_deployments (id, route, version, comment, created) VALUES (?, ?, ?, ?, ?)", row
        )
        self._db.execute("UPDATE routes SET modified = ? WHERE id = ?", (now, route_id))
        return deployment

    def deployments(self, route_id: str) -> list[Deployment]:
        """Deployments of a route, newest first."""
        columns = "id, version, comment, created"
        query = f"SELECT {columns} FROM route_deployments WHERE route = ? ORDER BY number DESC"  # noqa: S608
        return [Deployment(*row) for row in self._db.execute(query, (route_id,)).fetchall()]

    def _route(self, row: tuple[str, str, str, int, int]) -> Route:
        deployment = self.deployments(row[0])[0]
        return Route(*row, self.version(row[0], deployment.version), deployment)

    # ---- aliases -------------------------------------------------------------------------------------------------

    def put_alias(self, gateway_id: str, alias: Alias) -> None:
        """Create an alias, or replace the one of its name."""
        row = (gateway_id, alias["name"], json.dumps(alias))
        self._db.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?, ?)", row)

    def aliases(self, gateway_id: str) -> list[Alias]:
        """Aliases of a gateway, by their names."""
        rows = self._db.execute("SELECT alias FROM aliases WHERE gateway = ? ORDER BY name", (gateway_id,))
        return [json.loads(row[0]) for row in rows.fetchall()]

    def find_alias(self, gateway_id: str, name: str) -> Alias | None:
        return next((alias for alias in self.aliases(gateway_id) if alias["name"] == name), None)

    def delete_alias(self, gateway_id: str, name: str) -> None:
        """Delete an alias. Raises GatewayError 7002 if there is none of that name."""
        if not self.find_alias(gateway_id, name):
            raise not_found("Alias")
        self._db.execute("DELETE FROM aliases WHERE gateway = ? AND name = ?", (gateway_id, name))


def version_json(version: Version, deployed: str) -> dict[str, Any]:
    """A version as the REST API shows it; `deployed` is the id of the version that calls go through."""
    return {
        "version_id": version.id,
        "active": "true" if version.id == deployed else "false",
        "data": json.dumps(version.elements),
        "comment": version.comment,
        "is_valid": True,
    }
