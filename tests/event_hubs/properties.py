"""Reads the properties of a hub and of all its partitions by Microsoft's client; prints them as JSON.

Usage: properties.py CONNECTION_STRING HUB ADDRESS CA_FILE
The client takes the port from the address only, not from the connection string.
"""

import json
import sys

from azure.eventhub import EventHubConsumerClient, TransportType


def millis(time):
    return round(time.timestamp() * 1000)


def main():
    connection_string, hub, address, ca = sys.argv[1:]
    client = EventHubConsumerClient.from_connection_string(
        connection_string,
        "$Default",
        eventhub_name=hub,
        custom_endpoint_address=address,
        transport_type=TransportType.Amqp,
        connection_verify=ca,
        retry_total=0,
    )
    with client:
        found = client.get_eventhub_properties()
        partitions = [client.get_partition_properties(id) for id in found["partition_ids"]]
    print(
        json.dumps(
            {
                "name": found["eventhub_name"],
                "created": millis(found["created_at"]),
                "ids": found["partition_ids"],
                "partitions": [
                    {
                        "id": it["id"],
                        "begin": it["beginning_sequence_number"],
                        "last": it["last_enqueued_sequence_number"],
                        "offset": it["last_enqueued_offset"],
                        "time": millis(it["last_enqueued_time_utc"]),
                        "empty": it["is_empty"],
                    }
                    for it in partitions
                ],
            }
        )
    )


main()
