"""The objects of one overlay, found by what the checks want of them."""

import tomllib
from dataclasses import dataclass

import services


class Cluster:
    def __init__(self, objects: list[dict]):
        self.objects = objects

    def all(self, kind: str) -> list[dict]:
        return [o for o in self.objects if o["kind"] == kind]

    def named(self, kind: str, name: str) -> dict | None:
        return next((o for o in self.all(kind) if o["metadata"]["name"] == name), None)

    def service(self, name: str) -> "Running":
        deployment = self.named("Deployment", name)
        if deployment is None:
            raise AssertionError(f"there is no Deployment {name}")
        return Running(self, name, deployment)

    def services(self) -> list["Running"]:
        return [self.service(name) for name in services.SERVICES]

    def workloads(self) -> list[dict]:
        return [o for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job") for o in self.all(kind)]

    def scaler_of(self, name: str) -> dict | None:
        scalers = self.all("HorizontalPodAutoscaler")
        return next((o for o in scalers if o["spec"]["scaleTargetRef"]["name"] == name), None)

    def selecting(self, kind: str, labels: dict) -> list[dict]:
        """Services, policies and budgets for pods with these labels."""
        return [o for o in self.all(kind) if matches(selector(o), labels)]


def selector(o: dict) -> dict | None:
    spec = o["spec"]
    found = spec.get("podSelector", spec.get("selector"))
    return found.get("matchLabels", {}) if o["kind"] != "Service" and found is not None else found


def matches(wanted: dict | None, labels: dict) -> bool:
    return wanted is not None and all(labels.get(key) == value for key, value in wanted.items())


@dataclass
class Running:
    """One of our services as an overlay runs it."""

    cluster: Cluster
    name: str
    deployment: dict

    def __post_init__(self):
        self.known = services.known(self.name)
        self.pod = self.deployment["spec"]["template"]["spec"]
        self.labels = self.deployment["spec"]["template"]["metadata"]["labels"]
        self.container = self.pod["containers"][0]
        self.environment = self.container.get("env", [])
        self.file = self.configuration_file()
        self.configuration = dict(self.file)
        # Environment goes before the file.
        for variable in self.environment:
            if key := self.known.key_of(variable["name"]):
                self.configuration[key] = variable.get("value", "from a Secret")

    def configuration_file(self) -> list[tuple[str, object]]:
        """Its keys, as --config names it and the volumes have it."""
        command = self.container["command"]
        path = command[command.index("--config") + 1]
        for mount in self.container["volumeMounts"]:
            if mount["mountPath"] == path and "subPath" in mount:
                config_map = self.volume(mount["name"])["configMap"]["name"]
                found = self.cluster.named("ConfigMap", config_map)
                if found is None or mount["subPath"] not in found["data"]:
                    break
                return services.flat(tomllib.loads(found["data"][mount["subPath"]]))
        raise AssertionError(f"{self.name}: nothing is mounted at {path}")

    def volume(self, name: str) -> dict:
        return next(volume for volume in self.pod["volumes"] if volume["name"] == name)

    def mounted(self) -> dict[str, dict]:
        """The files that volumes put into the container, and the volume of each; a folder without known files is itself."""
        files = {}
        for mount in self.container["volumeMounts"]:
            volume = self.volume(mount["name"])
            for source in ("secret", "configMap"):
                for item in volume.get(source, {}).get("items", []):
                    files[f"{mount['mountPath']}/{item['path']}"] = volume
            if "persistentVolumeClaim" in volume:
                files[mount["mountPath"]] = volume | {"writable": not mount.get("readOnly", False)}
        return files

    def value(self, key: str) -> object:
        """What the service goes by: what is set, else the default."""
        return self.configuration.get(key, self.known.keys.get(key))

    def listening(self) -> set[int]:
        """The ports of all its sockets."""
        addresses = [value for key, value in self.file if key == "listen.address"]
        addresses += [self.configuration[key] for key in ("grpc.bind", "telemetry.listen") if key in self.configuration]
        return {int(address.rpartition(":")[2]) for address in addresses}

    def ports(self) -> dict[str, int]:
        return {port["name"]: port["containerPort"] for port in self.container["ports"]}
