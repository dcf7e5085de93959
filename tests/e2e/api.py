"""A small client of the Kubernetes API: JSON over one kept connection per thread."""

import http.client
import json
import ssl
import threading
from pathlib import Path

KINDS = {
    "Deployment": ("/apis/apps/v1", "deployments"),
    "Event": ("/api/v1", "events"),
    "HorizontalPodAutoscaler": ("/apis/autoscaling/v2", "horizontalpodautoscalers"),
    "Job": ("/apis/batch/v1", "jobs"),
    "Pod": ("/api/v1", "pods"),
    "ScaledJob": ("/apis/keda.sh/v1alpha1", "scaledjobs"),
    "ScaledObject": ("/apis/keda.sh/v1alpha1", "scaledobjects"),
    "Secret": ("/api/v1", "secrets"),
    "Service": ("/api/v1", "services"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "TriggerAuthentication": ("/apis/keda.sh/v1alpha1", "triggerauthentications"),
    "Namespace": ("/api/v1", "namespaces"),
    "Node": ("/api/v1", "nodes"),
    "APIService": ("/apis/apiregistration.k8s.io/v1", "apiservices"),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "ValidatingWebhookConfiguration": ("/apis/admissionregistration.k8s.io/v1", "validatingwebhookconfigurations"),
}
CLUSTER_WIDE = {
    *("Namespace", "Node", "APIService", "ClusterRole", "ClusterRoleBinding"),
    *("CustomResourceDefinition", "ValidatingWebhookConfiguration"),
}


class ApiError(Exception):
    """An answer of the API server that is no success."""

    def __init__(self, status: int, text: str):
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


def path(kind: str, namespace: str | None = None, name: str | None = None) -> str:
    prefix, plural = KINDS[kind]
    middle = f"/namespaces/{namespace}" if namespace and kind not in CLUSTER_WIDE else ""
    return f"{prefix}{middle}/{plural}" + (f"/{name}" if name else "")


class Api:
    """The API server on 127.0.0.1:`port`, as the administrator of `pki`."""

    def __init__(self, port: int, pki: Path):
        self.port = port
        self.context = ssl.create_default_context(cafile=pki / "ca.crt")
        self.context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self.kept = threading.local()

    def _connect(self, seconds: float | None) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=seconds)

    def request(self, method: str, where: str, body=None, content: str = "application/json"):
        data = None if body is None else json.dumps(body).encode()
        for attempt in (1, 2):
            connection = getattr(self.kept, "connection", None) or self._connect(10)
            self.kept.connection = connection
            try:
                connection.request(method, where, data, {"Content-Type": content, "Accept": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException):
                connection.close()
                self.kept.connection = None
                if attempt == 2:
                    raise
        if answer.status >= 300:
            raise ApiError(answer.status, _message(text))
        return json.loads(text) if text.startswith(b"{") else text.decode()

    def get(self, kind: str, namespace: str | None = None, name: str | None = None):
        """The object, or None if it is not there; without `name` the items of the list."""
        try:
            answer = self.request("GET", path(kind, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None if name else []
            raise
        return answer if name else answer["items"]

    def apply(self, *objects: dict) -> None:
        """Server-side apply: makes each object, or changes it to what it says."""
        for each in objects:
            meta = each["metadata"]
            where = path(each["kind"], meta.get("namespace"), meta["name"])
            self.request("PATCH", f"{where}?fieldManager=e2e&force=true", each, "application/apply-patch+yaml")

    def patch(self, kind: str, namespace: str, name: str, change: dict, sub: str = "") -> None:
        self.request("PATCH", path(kind, namespace, name) + sub, change, "application/merge-patch+json")

    def annotate(self, kind: str, namespace: str, name: str, annotations: dict) -> None:
        """Sets annotations; None takes one away."""
        self.patch(kind, namespace, name, {"metadata": {"annotations": annotations}})

    def delete(self, kind: str, namespace: str, name: str, grace_seconds: int | None = None) -> None:
        options: dict = {"propagationPolicy": "Background"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            self.request("DELETE", path(kind, namespace, name), options)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    def watch(self, kind: str, selector: str):
        """Yields (type, object), first ADDED for what is there, until the server ends the watch."""
        where = path(kind) + f"?labelSelector={selector}"
        listed = self.request("GET", where)
        for each in listed["items"]:
            yield "ADDED", each
        yield "LISTED", {each["metadata"]["uid"] for each in listed["items"]}
        connection = self._connect(330)
        try:
            version = listed["metadata"]["resourceVersion"]
            connection.request("GET", f"{where}&watch=1&timeoutSeconds=300&resourceVersion={version}")
            for line in connection.getresponse():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield event["type"], event["object"]
        finally:
            connection.close()


def _message(text: bytes) -> str:
    try:
        return json.loads(text)["message"]
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace")[:500]
