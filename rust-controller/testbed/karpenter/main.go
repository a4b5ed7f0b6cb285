// Command karpenter-scheduler says what Karpenter would launch for pods that wait in an empty cluster: it gives them, the
// node types and the NodePools to Karpenter's own scheduler once, without a cluster and without launching anything.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	var files inputFiles
	flag.StringVar(&files.pods, "pods", "", "file with a PodList, as JSON or YAML")
	flag.StringVar(&files.nodeTypes, "node-types", "", "file with instance types, as Karpenter's KWOK provider reads them")
	flag.StringVar(&files.nodePools, "node-pools", "", "file with NodePools, as YAML")
	flag.Parse()

	// What Karpenter logs of each pod is in the answer.
	log.SetLogger(logr.Discard())

	if err := run(context.Background(), files); err != nil {
		fmt.Fprintln(os.Stderr, "karpenter-scheduler:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, files inputFiles) error {
	ctx = withDefaults(ctx)
	inputs, err := files.read(ctx)
	if err != nil {
		return err
	}
	launch, err := inputs.launch(ctx)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(launch)
}
