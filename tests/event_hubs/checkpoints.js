// Writes checkpoints and claims partitions by Microsoft's own checkpoint store for JavaScript, as its processor does.
//
// Usage: NODE_PATH=.tools/node/node_modules node checkpoints.js STORAGE_CONNECTION CONTAINER NAMESPACE HUB GROUP < WRITES
// WRITES is JSON: {"checkpoints": {partition: [sequenceNumber, offset]}, "owners": {partition: owner}}

const { BlobCheckpointStore } = require("@azure/eventhubs-checkpointstore-blob");
const { ContainerClient } = require("@azure/storage-blob");

async function main() {
  const [connectionString, container, fullyQualifiedNamespace, eventHubName, consumerGroup] = process.argv.slice(2);
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const { checkpoints, owners } = JSON.parse(Buffer.concat(chunks).toString());
  const store = new BlobCheckpointStore(new ContainerClient(connectionString, container));
  const place = { fullyQualifiedNamespace, eventHubName, consumerGroup };
  const claims = Object.entries(owners).map(([partitionId, ownerId]) => ({ ...place, partitionId, ownerId }));
  await store.claimOwnership(claims);
  for (const [partitionId, [sequenceNumber, offset]] of Object.entries(checkpoints)) {
    await store.updateCheckpoint({ ...place, partitionId, sequenceNumber, offset });
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
