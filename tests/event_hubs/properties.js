// Reads the properties of a hub and of all its partitions by Microsoft's client; prints them as JSON.
//
// Usage: NODE_PATH=.tools/node/node_modules node properties.js CONNECTION_STRING HUB
// With TLS, NODE_EXTRA_CA_CERTS names the authority.

const { EventHubConsumerClient } = require("@azure/event-hubs");

async function main() {
  const [connectionString, hub] = process.argv.slice(2);
  const client = new EventHubConsumerClient("$Default", connectionString, hub, {
    retryOptions: { maxRetries: 0, timeoutInMs: 10_000 },
  });
  const found = await client.getEventHubProperties();
  // All at once: the client puts them on one link.
  const partitions = await Promise.all(found.partitionIds.map((id) => client.getPartitionProperties(id)));
  await client.close();
  console.log(
    JSON.stringify({
      name: found.name,
      created: found.createdOn.getTime(),
      ids: found.partitionIds,
      partitions: partitions.map((it) => ({
        id: it.partitionId,
        begin: it.beginningSequenceNumber,
        last: it.lastEnqueuedSequenceNumber,
        offset: it.lastEnqueuedOffset,
        time: it.lastEnqueuedOnUtc.getTime(),
        empty: it.isEmpty,
      })),
    }),
  );
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
