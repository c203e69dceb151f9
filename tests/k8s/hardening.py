"""What every overlay must have, whatever its size: rights, budgets, spread, policies, no secrets."""

import re

from cluster import Cluster, selector
from kustomize import K8S, identity

# Set by hand, as deploy/k8s/README.md tells.
BY_HAND = re.compile(r"create secret generic (\S+)")


def problems(cluster: Cluster) -> list[str]:
    found = []
    for o in cluster.workloads():
        pod = o["spec"]["template"]["spec"]
        found += [f"{identity(o)}: {told}" for told in rights(pod) + accounts(cluster, o, pod) + resources(pod)]
        found += [f"{identity(o)}: {told}" for told in secrets(cluster, pod)]
    for o in cluster.all("Deployment"):
        found += [f"{identity(o)}: {told}" for told in availability(cluster, o)]
    return found + exposure(cluster) + network(cluster) + namespaces(cluster) + issuers(cluster)


def rights(pod: dict) -> list[str]:
    """Pod Security Standards, restricted: https://kubernetes.io/docs/concepts/security/pod-security-standards/"""
    found = []
    context = pod.get("securityContext", {})
    if not context.get("runAsNonRoot") or context.get("runAsUser") != 10001 or context.get("runAsGroup") != 10001:
        found.append("must run as 10001, not as root")
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        found.append("must have the runtime's seccomp profile")
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            found.append(f"must not have {key}")
    for container in pod["containers"] + pod.get("initContainers", []):
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
            found.append("must not gain privileges")
        if own.get("readOnlyRootFilesystem") is not True:
            found.append("must have a read-only root file system")
        capabilities = own.get("capabilities", {})
        if capabilities.get("drop") != ["ALL"] or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            found.append("must drop all capabilities")
    return found


def accounts(cluster: Cluster, o: dict, pod: dict) -> list[str]:
    found = []
    if pod.get("automountServiceAccountToken") is not False:
        found.append("must have no token for the Kubernetes API")
    name = pod.get("serviceAccountName")
    if o["kind"] == "Deployment" and (name is None or cluster.named("ServiceAccount", name) is None):
        found.append("must have a ServiceAccount of its own")
    return found


def resources(pod: dict) -> list[str]:
    found = []
    for container in pod["containers"]:
        given = container.get("resources", {})
        if set(given.get("requests", {})) < {"cpu", "memory"} or "memory" not in given.get("limits", {}):
            found.append("must request CPU and memory, and limit memory")
        if ":" not in container["image"].rpartition("/")[2] or container["image"].endswith(":latest"):
            found.append(f"{container['image']} names no version")
    return found


def secrets(cluster: Cluster, pod: dict) -> list[str]:
    """Each Secret that is referred to is made by an operator, or by hand as the README tells."""
    made = set(BY_HAND.findall((K8S / "README.md").read_text()))
    made |= {o["spec"]["secretName"] for o in cluster.all("Certificate")}
    made |= {f"{o['metadata']['name']}-{suffix}" for o in cluster.all("Cluster") for suffix in ("app", "ca")}
    wanted = {volume["secret"]["secretName"] for volume in pod.get("volumes", []) if "secret" in volume}
    for container in pod["containers"]:
        for variable in container.get("env", []):
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                wanted.add(reference["name"])
            elif re.search(r"TOKEN|PASSWORD|SECRET", variable["name"]):
                wanted.add(f"(none) for {variable['name']}")
    return [f"nobody makes the Secret {name}" for name in sorted(wanted - made)]


def availability(cluster: Cluster, deployment: dict) -> list[str]:
    found = []
    spec = deployment["spec"]
    labels = spec["template"]["metadata"]["labels"]
    pod = spec["template"]["spec"]
    if not cluster.selecting("PodDisruptionBudget", labels):
        found.append("must have a PodDisruptionBudget")
    topologies = {constraint["topologyKey"] for constraint in pod.get("topologySpreadConstraints", [])}
    if not {"topology.kubernetes.io/zone", "kubernetes.io/hostname"} <= topologies:
        found.append("must be spread over zones and nodes")
    if spec["selector"]["matchLabels"].items() - labels.items():
        found.append("does not select its own pods")
    scaler = cluster.scaler_of(deployment["metadata"]["name"])
    if scaler and "replicas" in spec:
        found.append("has replicas, which are its autoscaler's to set")
    if scaler and not any(metric["type"] == "Resource" for metric in scaler["spec"]["metrics"]):
        found.append("must scale with its CPU")
    return found


def exposure(cluster: Cluster) -> list[str]:
    found = [f"{identity(o)}: secrets are referred to, never written" for o in cluster.all("Secret")]
    for o in cluster.all("StatefulSet"):
        found.append(f"{identity(o)}: none of ours needs an identity")
    pods = [o["spec"]["template"]["metadata"]["labels"] for o in cluster.workloads()]
    for o in cluster.all("Service"):
        spec = o["spec"]
        if spec.get("type") in ("LoadBalancer", "NodePort") and spec.get("externalTrafficPolicy") != "Local":
            found.append(f"{identity(o)}: loses the client's address")
        if not any(o in cluster.selecting("Service", labels) for labels in pods):
            found.append(f"{identity(o)}: selects nothing")
    for o in cluster.all("HorizontalPodAutoscaler"):
        target = o["spec"]["scaleTargetRef"]
        if cluster.named(target["kind"], target["name"]) is None:
            found.append(f"{identity(o)}: there is no {target['kind']} {target['name']}")
    return found


def network(cluster: Cluster) -> list[str]:
    """Closed by default; and each socket of ours has a rule."""
    for_all = [o["spec"] for o in cluster.all("NetworkPolicy") if selector(o) == {}]
    both = {"Ingress", "Egress"}
    closed = [spec for spec in for_all if set(spec["policyTypes"]) == both and not spec.keys() & {"ingress", "egress"}]
    found = [] if closed else ["no NetworkPolicy denies by default"]
    for running in cluster.services():
        rules = [r for o in cluster.selecting("NetworkPolicy", running.labels) for r in o["spec"].get("ingress", [])]
        if any("ports" not in rule for rule in rules):
            found.append(f"{running.name}: a network policy opens all ports")
        opened = {port["port"] for rule in rules for port in rule.get("ports", [])}
        if opened != running.listening():
            listens = sorted(running.listening())
            found.append(f"{running.name}: network policies open {sorted(opened)}, it listens on {listens}")
    return found


def namespaces(cluster: Cluster) -> list[str]:
    found = []
    names = {o["metadata"]["name"] for o in cluster.all("Namespace")}
    for o in cluster.all("Namespace"):
        if o["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
            found.append(f"{identity(o)}: must enforce the restricted standard")
    for o in cluster.objects:
        if o["kind"] != "Namespace" and o["metadata"].get("namespace") not in names:
            found.append(f"{identity(o)}: is in no namespace of ours")
    return found


def issuers(cluster: Cluster) -> list[str]:
    """Each certificate has an issuer; each backup a cluster and a store."""
    found = []
    for o in cluster.all("Certificate"):
        reference = o["spec"]["issuerRef"]
        if reference.get("kind", "Issuer") == "Issuer" and cluster.named("Issuer", reference["name"]) is None:
            found.append(f"{identity(o)}: there is no Issuer {reference['name']}")
    for kind in ("Pooler", "ScheduledBackup"):
        for o in cluster.all(kind):
            if cluster.named("Cluster", o["spec"]["cluster"]["name"]) is None:
                found.append(f"{identity(o)}: there is no Cluster {o['spec']['cluster']['name']}")
    for o in cluster.all("Cluster"):
        for plugin in o["spec"].get("plugins", []):
            store = plugin.get("parameters", {}).get("barmanObjectName")
            if store and cluster.named("ObjectStore", store) is None:
                found.append(f"{identity(o)}: there is no ObjectStore {store}")
    return found
