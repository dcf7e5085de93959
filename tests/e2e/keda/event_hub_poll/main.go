// KEDA's own azure-eventhub scaler, polled once for each line on standard input: the other side of `cargo bench --bench
// event_hub_poll`. Answers each with a line: the nanoseconds that the poll took and the value that KEDA gives the HPA.
//
//	event_hub_poll EVENT_HUB_CONNECTION STORAGE_CONNECTION CONTAINER CONSUMER_GROUP
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 4 {
		return fmt.Errorf("event_hub_poll EVENT_HUB_CONNECTION STORAGE_CONNECTION CONTAINER CONSUMER_GROUP")
	}
	// As the operator logs: nothing of a poll at its usual level.
	log.SetLogger(zap.New())
	scaler, err := scalers.NewAzureEventHubScaler(config(arguments[0], arguments[1], arguments[2], arguments[3]))
	if err != nil {
		return err
	}
	ctx := context.Background()
	defer scaler.Close(ctx)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		started := time.Now()
		metrics, _, err := scaler.GetMetricsAndActivity(ctx, "backlog")
		took := time.Since(started)
		if err != nil {
			return err
		}
		fmt.Println(took.Nanoseconds(), metrics[0].Value.Value())
	}
	return lines.Err()
}

// As the operator builds it from a ScaledObject and its TriggerAuthentication. The threshold is so high that KEDA's cap at the
// number of partitions hides nothing.
func config(hub, store, container, group string) *scalersconfig.ScalerConfig {
	return &scalersconfig.ScalerConfig{
		ScalableObjectName:      "bench",
		ScalableObjectNamespace: "bench",
		ScalableObjectType:      "ScaledObject",
		// KEDA_HTTP_DEFAULT_TIMEOUT's default.
		GlobalHTTPTimeout: 3 * time.Second,
		TriggerType:       "azure-eventhub",
		TriggerMetadata: map[string]string{
			"consumerGroup":             group,
			"blobContainer":             container,
			"checkpointStrategy":        "blobMetadata",
			"unprocessedEventThreshold": "1000000",
		},
		AuthParams: map[string]string{"connection": hub, "storageConnection": store},
	}
}
