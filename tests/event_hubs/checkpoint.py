"""Writes one checkpoint by Microsoft's own store, or reads it back.

Usage: checkpoint.py write|read STORAGE_CONNECTION_STRING
"""

import sys

from azure.eventhub.extensions.checkpointstoreblob import BlobCheckpointStore
from azure.eventhub.extensions.checkpointstoreblob._vendor.storage.blob import ContainerClient

NAMESPACE, HUB, GROUP, CONTAINER = "ns.servicebus.windows.net", "orders", "$Default", "checkpoints"


def main():
    action, connection_string = sys.argv[1:3]
    if action == "write":
        ContainerClient.from_connection_string(connection_string, CONTAINER).create_container()
    store = BlobCheckpointStore.from_connection_string(connection_string, CONTAINER)
    if action == "write":
        store.update_checkpoint(
            {
                "fully_qualified_namespace": NAMESPACE,
                "eventhub_name": HUB,
                "consumer_group": GROUP,
                "partition_id": "0",
                "sequence_number": 42,
                "offset": "4200",
            }
        )
        print("written")
    else:
        (found,) = store.list_checkpoints(NAMESPACE, HUB, GROUP)
        print(f"offset {found['offset']} sequence {found['sequence_number']}")


main()
