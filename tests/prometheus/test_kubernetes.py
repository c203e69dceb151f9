"""What deploy/k8s/README.md has Prometheus told finds the pods of the manifests."""

import re
import unittest

from files import examples, parsed, promtool

SERVICES = ("submission", "relay", "delivery")
README = "deploy/k8s/README.md"


def shown(key: str) -> dict:
    return next(example for example in examples(README) if key in example)


class Pods(unittest.TestCase):
    def setUp(self):
        self.pods = {name: parsed(f"deploy/k8s/base/{name}/deployment.yaml")["spec"]["template"] for name in SERVICES}

    def port(self, pod: dict, name: str) -> int:
        ports = [port for container in pod["spec"]["containers"] for port in container["ports"]]
        return next(port["containerPort"] for port in ports if port["name"] == name)

    def test_the_operator_finds_them_and_names_their_jobs(self):
        spec = shown("kind")["spec"]
        (endpoint,) = spec["podMetricsEndpoints"]
        for name, pod in self.pods.items():
            labels = pod["metadata"]["labels"]
            self.assertLessEqual(spec["selector"]["matchLabels"].items(), labels.items())
            self.assertEqual(labels[spec["jobLabel"]], name)
            annotations = pod["metadata"]["annotations"]
            self.assertEqual(str(self.port(pod, endpoint["port"])), annotations["prometheus.io/port"])
            self.assertEqual(endpoint["path"], annotations["prometheus.io/path"])

    def test_a_plain_prometheus_finds_them_and_names_their_jobs(self):
        (job,) = shown("scrape_configs")["scrape_configs"]
        # Debian's promtool is built without Kubernetes: it checks the rest.
        self.assertEqual(job.pop("kubernetes_sd_configs"), [{"role": "pod", "namespaces": {"names": ["chasqui"]}}])
        self.assertEqual(promtool("config", {"scrape_configs": [job]}), "")
        kept, named = (
            next(rule for rule in job["relabel_configs"] if rule.get(key) == value)
            for key, value in (("action", "keep"), ("target_label", "job"))
        )
        for name, pod in self.pods.items():
            labels = {re.sub(r"\W", "_", key): value for key, value in pod["metadata"]["labels"].items()}
            meta = {f"__meta_kubernetes_pod_label_{key}": value for key, value in labels.items()}
            ports = [port["name"] for container in pod["spec"]["containers"] for port in container["ports"]]
            found = []
            for port in ports:
                meta["__meta_kubernetes_pod_container_port_name"] = port
                if re.fullmatch(kept["regex"], ";".join(meta[label] for label in kept["source_labels"])):
                    found.append(port)
            self.assertEqual(found, ["telemetry"])
            self.assertEqual([meta[label] for label in named["source_labels"]], [name])


if __name__ == "__main__":
    unittest.main()
