"""Prepares a storage account by Microsoft's own clients, step by step.

Usage: checkpoints.py STORAGE_CONNECTION_STRING [CA_FILE] < STEPS
STEPS is a JSON list of lists: the name of a function below and its arguments. Prints a JSON list of what they return.
"""

import json
import sys
from datetime import datetime, timedelta, timezone

from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore
from azure.eventhub.extensions.checkpointstoreblob._vendor.storage import blob as storage

CONNECTION_STRING = sys.argv[1]
TLS = {"connection_verify": sys.argv[2]} if len(sys.argv) > 2 else {}
SERVICE = storage.BlobServiceClient.from_connection_string(CONNECTION_STRING, **TLS)


def store(container):
    return BlobCheckpointStore.from_connection_string(CONNECTION_STRING, container, **TLS)


def create(container):
    SERVICE.create_container(container)


def delete(container, name):
    SERVICE.get_blob_client(container, name).delete_blob()


def checkpoint(container, namespace, hub, group, partition, sequence, offset):
    """As an EventHubConsumerClient does in update_checkpoint."""
    store(container).update_checkpoint(
        {
            "fully_qualified_namespace": namespace,
            "eventhub_name": hub,
            "consumer_group": group,
            "partition_id": partition,
            "sequence_number": sequence,
            "offset": offset,
        }
    )


def own(container, namespace, hub, group, owners):
    """As an EventProcessor does: claims what is not its own yet; an empty owner releases."""
    known = {o["partition_id"]: o for o in store(container).list_ownership(namespace, hub, group)}
    wanted = []
    for partition, owner in owners.items():
        ownership = known.get(partition) or {
            "fully_qualified_namespace": namespace,
            "eventhub_name": hub,
            "consumer_group": group,
            "partition_id": partition,
        }
        wanted.append({**ownership, "owner_id": owner})
    return len(list(store(container).claim_ownership(wanted)))


def write(container, name, content, metadata=None):
    client = SERVICE.get_blob_client(container, name)
    client.upload_blob(content, overwrite=True, metadata=metadata)


def lease(container, name):
    SERVICE.get_blob_client(container, name).acquire_lease(lease_duration=-1)


def release(container, name):
    storage.BlobLeaseClient(SERVICE.get_blob_client(container, name)).break_lease(lease_break_period=0)


def account_signature(permissions):
    return storage.generate_account_sas(
        SERVICE.account_name,
        SERVICE.credential.account_key,
        storage.ResourceTypes(container=True, object=True),
        storage.AccountSasPermissions.from_string(permissions),
        datetime.now(timezone.utc) + timedelta(hours=1),
    )


def container_signature(container, permissions, hours=1):
    return storage.generate_container_sas(
        SERVICE.account_name,
        container,
        account_key=SERVICE.credential.account_key,
        permission=storage.ContainerSasPermissions.from_string(permissions),
        expiry=datetime.now(timezone.utc) + timedelta(hours=hours),
    )


STEPS = (create, delete, checkpoint, own, write, lease, release, account_signature, container_signature)
STEPS = {step.__name__: step for step in STEPS}
print(json.dumps([STEPS[name](*arguments) for name, *arguments in json.load(sys.stdin)]))
