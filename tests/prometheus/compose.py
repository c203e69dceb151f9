"""docker-compose.yml, asked what its containers see of each other and of this repository."""

from functools import cached_property
from pathlib import Path, PurePosixPath

from files import REPOSITORY, parsed


class Compose:
    @cached_property
    def file(self) -> dict:
        return parsed("docker-compose.yml")

    @property
    def services(self) -> dict[str, dict]:
        return self.file["services"]

    def observing(self) -> set[str]:
        return {name for name, service in self.services.items() if "observe" in service.get("profiles", [])}

    def mounts(self, service: str) -> dict[PurePosixPath, Path]:
        """What of this repository a container sees, and where. Volumes are not among them."""
        mounts = [mount.split(":") for mount in self.services[service].get("volumes", []) if mount.startswith("./")]
        return {PurePosixPath(inside): REPOSITORY / here for here, inside, *_ in mounts}

    def seen(self, service: str, inside: str) -> Path | None:
        """The file or folder of this repository that a container has at a path of its own."""
        path = PurePosixPath(inside)
        for mounted, here in self.mounts(service).items():
            if path.is_relative_to(mounted):
                return here / path.relative_to(mounted)
        return None

    def names_seen_by(self, service: str) -> set[str]:
        """The names that lead to other containers: those of services in a network of its own, and their aliases."""
        own = self.networks(service).keys()
        names = set()
        for other in self.services:
            shared = {name: told for name, told in self.networks(other).items() if name in own}
            if shared:
                names.add(other)
            for told in shared.values():
                names.update((told or {}).get("aliases", []))
        return names

    def networks(self, service: str) -> dict[str, dict | None]:
        networks = self.services[service].get("networks", {})
        return networks if isinstance(networks, dict) else dict.fromkeys(networks)
