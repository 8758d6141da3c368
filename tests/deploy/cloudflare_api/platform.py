"""The objects that the routes share: the store, the settings, the folder and the edge."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.deploy.cloudflare_api.edge import Edge
from tests.deploy.cloudflare_api.settings import Settings
from tests.deploy.cloudflare_api.store import Store


@dataclass
class Platform:
    data: Path
    """Folder of all state."""
    store: Store
    edge: Edge
    simulator: str
    """Address of the simulator, host:port."""
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = Settings.model_validate(self.store.get("settings", "") or {})

    def change_settings(self, settings: Settings) -> None:
        self.settings = settings
        self.store.put(settings.model_dump(mode="json"), "settings", "")

    @property
    def state(self) -> Path:
        """Folder of what the Workers themselves store, as `wrangler dev --persist-to` lays it out."""
        return self.data / "state"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def new_id() -> str:
    return str(uuid.uuid4())
