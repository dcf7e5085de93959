"""Certificates for the API server, its aggregation layer, KEDA and the administrator, made with openssl."""

import base64
import subprocess
from pathlib import Path

KEDA_NAMES = ["localhost", "keda-operator", "keda-operator.keda.svc", "keda-metrics-apiserver.keda.svc", "keda-admission-webhooks.keda.svc"]


def make(folder: Path, api_port: int) -> None:
    """Writes all certificates and `admin.kubeconfig` into `folder`."""
    (folder / "keda").mkdir(parents=True)
    for name in ("ca", "front-ca"):
        authority(folder, name)
    certificate(folder, "apiserver", "ca", "/CN=kube-apiserver", ["DNS:localhost", "DNS:kubernetes.default.svc", "IP:127.0.0.1"])
    certificate(folder, "admin", "ca", "/O=system:masters/CN=admin", [])
    certificate(folder, "front", "front-ca", "/CN=front-proxy", [])
    certificate(folder, "keda/tls", "ca", "/CN=keda", [f"DNS:{name}" for name in KEDA_NAMES])
    for name in ("ca.crt", "ca.key"):
        (folder / "keda" / name).write_bytes((folder / name).read_bytes())
    _openssl(folder, "genrsa", "-out", "sa.key", "2048")
    _openssl(folder, "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")
    (folder / "admin.kubeconfig").write_text(
        f"""apiVersion: v1
kind: Config
clusters: [{{name: e2e, cluster: {{server: "https://127.0.0.1:{api_port}", certificate-authority: {folder}/ca.crt}}}}]
users: [{{name: admin, user: {{client-certificate: {folder}/admin.crt, client-key: {folder}/admin.key}}}}]
contexts: [{{name: e2e, context: {{cluster: e2e, user: admin}}}}]
current-context: e2e
"""
    )


def encoded(file: Path) -> str:
    """As objects of the API carry it."""
    return base64.b64encode(file.read_bytes()).decode()


def _new_key(name: str) -> list[str]:
    return ["-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key"]


def authority(folder: Path, name: str) -> None:
    _openssl(folder, "req", "-x509", *_new_key(name), "-days", "30", "-out", f"{name}.crt", "-subj", f"/CN={name}")


def certificate(folder: Path, name: str, authority: str, subject: str, alternatives: list[str]) -> None:
    """Of a server or a client."""
    lines = [
        "basicConstraints=CA:FALSE",
        "keyUsage=digitalSignature,keyEncipherment",
        "extendedKeyUsage=serverAuth,clientAuth",
    ]
    if alternatives:
        lines.append("subjectAltName=" + ",".join(alternatives))
    (folder / f"{name}.ext").write_text("\n".join(lines) + "\n")
    _openssl(folder, "req", *_new_key(name), "-out", f"{name}.csr", "-subj", subject)
    signer = ["-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-CAcreateserial"]
    _openssl(folder, "x509", "-req", "-in", f"{name}.csr", *signer, "-days", "30", "-extfile", f"{name}.ext", "-out", f"{name}.crt")


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")
