"""What the manifests say of the services must be so: keys, variables, ports, probes, files, callers and callees."""

import re

import yaml

import services
from cluster import Cluster, Running, matches
from kustomize import K8S

REFERENCE = re.compile(r"\$\(([A-Z_]+)\)")
# Connections besides [database] max_connections: lanes of enqueuers and completers, hearts and observers.
OWN_CONNECTIONS = {"submission": 4, "relay": 8, "delivery": 0}
# Work on other threads when a service ends, THREADS_TIMEOUT in crates/service/src/entry.rs.
THREADS = 5


def problems(cluster: Cluster) -> list[str]:
    found = []
    for running in cluster.services():
        checks = (keys, needed, variables, ports, probes, files, grace, memory, database, certificate_names, targets)
        found += [f"{running.name}: {told}" for check in checks for told in check(running)]
    return found + migration(cluster) + connections(cluster) + queue_metric(cluster)


def keys(running: Running) -> list[str]:
    """Keys that the service would refuse by name, and values of the wrong kind."""
    found = []
    for key, value in running.file:
        if key not in running.known.keys:
            found.append(f"{key}: there is no such key in deploy/config/{running.name}.toml")
        elif type(value) is not type(running.known.keys[key]):
            found.append(f"{key}: `{value}` is not of the kind of `{running.known.keys[key]}`")
    return found


def needed(running: Running) -> list[str]:
    return [f"{key} is not given" for key in services.NEEDED[running.name] if key not in running.configuration]


def variables(running: Running) -> list[str]:
    found, seen = [], set()
    for variable in running.environment:
        name = variable["name"]
        key = running.known.key_of(name)
        if key is not None and key not in running.known.keys:
            found.append(f"{name}: there is no key {key} in deploy/config/{running.name}.toml")
        elif key is None and name != "DATABASE_URL" and not is_referred_to(name, running.environment):
            found.append(f"{name} means nothing to the service")
        for reference in REFERENCE.findall(variable.get("value", "")):
            if reference not in seen:
                found.append(f"{name} refers to {reference}, which is not set before it")
        seen.add(name)
    if "DATABASE_URL" not in seen:
        found.append("DATABASE_URL is missing")
    return found


def is_referred_to(name: str, environment: list[dict]) -> bool:
    return any(f"$({name})" in variable.get("value", "") for variable in environment)


def ports(running: Running) -> list[str]:
    found = []
    if set(running.ports().values()) != running.listening():
        found.append(f"ports {sorted(running.ports().values())} are not those it listens on, {sorted(running.listening())}")
    low = [port for port in running.listening() if port < 1024]
    if low and "NET_BIND_SERVICE" not in running.container["securityContext"]["capabilities"].get("add", []):
        found.append(f"may not listen on {low}")
    for service in running.cluster.selecting("Service", running.labels):
        for port in service["spec"]["ports"]:
            if port.get("targetPort", port["port"]) not in [*running.ports(), *running.ports().values()]:
                found.append(f"Service {service['metadata']['name']}: there is no port {port.get('targetPort')}")
    return found


def probes(running: Running) -> list[str]:
    found = []
    telemetry = int(str(running.configuration.get("telemetry.listen", ":0")).rpartition(":")[2])
    for name, path in (("startupProbe", "/live"), ("readinessProbe", "/ready"), ("livenessProbe", "/live")):
        probe = running.container.get(name, {}).get("httpGet")
        if probe is None:
            found.append(f"{name} is missing, or does not use HTTP")
            continue
        if running.ports().get(probe["port"], probe["port"]) != telemetry:
            found.append(f"{name}: {probe['port']} is not the port of telemetry.listen")
        if probe["path"] != path or path not in running.known.http_paths:
            found.append(f"{name}: {probe['path']} is not answered to")
    annotations = running.deployment["spec"]["template"]["metadata"].get("annotations", {})
    if annotations.get("prometheus.io/port") != str(telemetry):
        found.append("prometheus.io/port is not the port of telemetry.listen")
    if annotations.get("prometheus.io/path") not in running.known.http_paths:
        found.append("prometheus.io/path is not answered to")
    return found


def files(running: Running) -> list[str]:
    """Files that are named and not there; the folder of mailboxes."""
    mounted = running.mounted()
    named = {key: value for key, value in running.configuration.items() if str(value).startswith("/etc/")}
    for variable in running.environment:
        for path in re.findall(r"=(/etc/[^&]+)", variable.get("value", "")):
            named[variable["name"]] = path
    found = [f"{key}: no volume has {path}" for key, path in named.items() if path not in mounted]
    root = running.configuration.get("maildir.root")
    if root is not None and not mounted.get(root, {}).get("writable"):
        found.append(f"maildir.root: {root} is no volume that can be written")
    return found


def grace(running: Running) -> list[str]:
    sleep = running.container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
    if len(sleep) != 2 or sleep[0] != "sleep":
        return ["preStop must be `sleep` and seconds"]
    sessions = services.seconds(str(running.known.keys.get("listen.drain_deadline")))
    for key, value in running.file:
        if key == "listen.drain_deadline":
            sessions = max(sessions, services.seconds(value))
    # Attempts under way, and then their completions.
    attempts = 2 * services.seconds(str(running.value("outbound.drain_deadline") or "0s"))
    least = int(sleep[1]) + max(sessions, attempts) + THREADS
    given = running.pod.get("terminationGracePeriodSeconds", 30)
    return [] if given > least else [f"terminationGracePeriodSeconds {given} does not fit a drain of {least:.0f} s"]


def memory(running: Running) -> list[str]:
    budgets = [key for key in running.known.keys if re.search(r"\b(content_memory|handed_off_memory)$", key)]
    least = sum(services.octets(str(running.value(key))) for key in budgets)
    limit = running.container["resources"]["limits"]["memory"]
    given = services.octets(limit if limit.endswith("B") else f"{limit}B")
    # The rest of a process needs some too.
    return [] if given >= least * 1.25 else [f"memory {limit} is too little for budgets of {least >> 20}MiB"]


def database(running: Running) -> list[str]:
    url = next((v.get("value", "") for v in running.environment if v["name"] == "DATABASE_URL"), "")
    pooled = running.name == "delivery"
    return database_url(running.cluster, url, pooled)


def database_url(cluster: Cluster, url: str, pooled: bool) -> list[str]:
    found = re.match(r"postgres://[^@]*@([a-z-]+):5432/([a-z]+)\?sslmode=verify-ca&sslrootcert=", url)
    if not found:
        return [f"DATABASE_URL is not what it should be: {url}"]
    direct = {f"{o['metadata']['name']}-rw" for o in cluster.all("Cluster")}
    poolers = {o["metadata"]["name"] for o in cluster.all("Pooler")}
    if found[1] not in (poolers if pooled else direct):
        return [f"DATABASE_URL: {found[1]} is not the {'pooler' if pooled else 'primary'}"]
    databases = {o["spec"]["bootstrap"]["initdb"]["database"] for o in cluster.all("Cluster")}
    return [] if found[2] in databases else [f"DATABASE_URL: there is no database {found[2]}"]


def certificate_names(running: Running) -> list[str]:
    """The certificate that clients are shown bears our name."""
    path = running.configuration.get("tls.certificate")
    volume = running.mounted().get(path)
    if path is None or volume is None:
        return []
    names = certificate(running.cluster, volume)["spec"].get("dnsNames", [])
    host_name = running.configuration.get("host_name")
    return [] if host_name in names else [f"its certificate is for {names}, not for host_name {host_name}"]


def certificate(cluster: Cluster, volume: dict) -> dict:
    secret = volume["secret"]["secretName"]
    found = [o for o in cluster.all("Certificate") if o["spec"]["secretName"] == secret]
    return found[0] if found else {"spec": {}}


def targets(running: Running) -> list[str]:
    """Whom it calls: all addresses of a name that exists, let through, with credentials that are accepted there."""
    found = []
    for section in ("directory", "delivery", "relay"):
        for target in running.configuration.get(f"{section}.targets", []):
            found += [f"{section}.targets: {told}" for told in call(running, section, target)]
    if "grpc.bind" in running.configuration and not accepts(running):
        found.append("grpc: off loopback a token or tls.client_authority is demanded")
    return found


def accepts(callee: Running) -> set[str]:
    return {key for key in ("grpc.token", "grpc.tls.client_authority") if key in callee.configuration}


def call(caller: Running, section: str, target: str) -> list[str]:
    cluster = caller.cluster
    host, _, port = target.partition(":")
    service = cluster.named("Service", host)
    if service is None:
        return [f"there is no Service {host}"]
    found = []
    if service["spec"].get("clusterIP") != "None":
        found.append(f"Service {host} is not headless: each caller would stay with one pod")
    callee = next((r for r in cluster.services() if matches(service["spec"]["selector"], r.labels)), None)
    if callee is None:
        return [*found, f"Service {host} selects none of ours"]
    # A headless Service maps no ports.
    listens = str(callee.configuration.get("grpc.bind", "")).rpartition(":")[2]
    if not port == listens == str(service["spec"]["ports"][0]["port"]):
        found.append(f"{callee.name} listens on {listens}")
    return found + credentials(caller, section, callee, host) + policies(caller, callee, int(port))


def credentials(caller: Running, section: str, callee: Running, host: str) -> list[str]:
    found = []
    if "grpc.token" in callee.configuration and f"{section}.token" not in caller.configuration:
        found.append(f"{callee.name} demands a token")
    if "grpc.tls.certificate" not in callee.configuration:
        return found
    if f"{section}.tls.authority" not in caller.configuration:
        return [*found, f"{callee.name} speaks TLS"]
    served = certificate(callee.cluster, callee.mounted().get(callee.configuration["grpc.tls.certificate"], NO_VOLUME))
    name = caller.configuration.get(f"{section}.tls.server_name", host)
    if name not in served["spec"].get("dnsNames", []):
        found.append(f"the certificate of {callee.name} is not for {name}")
    if "server auth" not in served["spec"].get("usages", []):
        found.append(f"the certificate of {callee.name} is not for servers")
    if "grpc.tls.client_authority" in callee.configuration:
        path = caller.configuration.get(f"{section}.tls.certificate")
        shown = certificate(caller.cluster, caller.mounted().get(path, NO_VOLUME))
        if "client auth" not in shown["spec"].get("usages", []):
            found.append(f"{callee.name} demands a certificate for clients")
    return found


NO_VOLUME = {"secret": {"secretName": None}}


def policies(caller: Running, callee: Running, port: int) -> list[str]:
    """Both ends' network policies let the call pass."""
    found = []
    for side, running, peer, rules in (("out of", caller, "to", "egress"), ("in to", callee, "from", "ingress")):
        other = callee if running is caller else caller
        passes = any(
            allows(rule, peer, other.labels, port)
            for policy in running.cluster.selecting("NetworkPolicy", running.labels)
            for rule in policy["spec"].get(rules, [])
        )
        if not passes:
            found.append(f"no network policy lets {port} {side} {running.name}")
    return found


def allows(rule: dict, peer: str, labels: dict, port: int) -> bool:
    if port not in [p["port"] for p in rule.get("ports", [{"port": port}])]:
        return False
    peers = rule.get(peer)
    return peers is None or any(
        "podSelector" in p and "namespaceSelector" not in p and matches(p["podSelector"].get("matchLabels", {}), labels)
        for p in peers
    )


def migration(cluster: Cluster) -> list[str]:
    jobs = cluster.all("Job")
    if not jobs:
        return ["there is no Job that migrates"]
    container = jobs[0]["spec"]["template"]["spec"]["containers"][0]
    found = []
    if container["command"] != ["chasqui", "migrate"]:
        found.append("migrate: the command is not `chasqui migrate`")
    url = next((v.get("value", "") for v in container["env"] if v["name"] == "DATABASE_URL"), "")
    return found + [f"migrate: {told}" for told in database_url(cluster, url, pooled=False)]


def connections(cluster: Cluster) -> list[str]:
    """As many pods as there may be find a connection each time."""
    most = {}
    for running in cluster.services():
        scaler = cluster.scaler_of(running.name)
        pods = scaler["spec"]["maxReplicas"] if scaler else running.deployment["spec"].get("replicas", 1)
        most[running.name] = pods * (int(running.value("database.max_connections")) + OWN_CONNECTIONS[running.name])
    pooled = most.pop("delivery")
    poolers = [o["spec"] for o in cluster.all("Pooler")]
    pools = sum(o["instances"] * int(o["pgbouncer"]["parameters"]["default_pool_size"]) for o in poolers)
    postgres = cluster.all("Cluster")[0]["spec"]
    allowed = int(postgres["postgresql"]["parameters"].get("max_connections", 100))
    found = []
    if pools < pooled:
        found.append(f"the poolers have {pools} connections, delivery may want {pooled}")
    # The operator, replication, and operators with psql.
    wanted = sum(most.values()) + pools
    if allowed < wanted + 20:
        found.append(f"Postgres allows {allowed} connections, relay, submission and the poolers may want {wanted}")
    return found


def queue_metric(cluster: Cluster) -> list[str]:
    """The external metric is the one that the Prometheus adapter is told to make."""
    rules = yaml.safe_load((K8S / "overlays/production/prometheus-adapter-rules.yaml").read_text())["rules"]["external"]
    made = {rule["name"]["as"] for rule in rules}
    asked = {
        metric["external"]["metric"]["name"]
        for scaler in cluster.all("HorizontalPodAutoscaler")
        for metric in scaler["spec"]["metrics"]
        if metric["type"] == "External"
    }
    return [f"no rule of the Prometheus adapter makes {name}" for name in asked - made]
