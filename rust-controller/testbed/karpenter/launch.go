package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	kwok "sigs.k8s.io/karpenter/kwok/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/controllers/provisioning/scheduling"
	"sigs.k8s.io/karpenter/pkg/controllers/state"
	"sigs.k8s.io/karpenter/pkg/events"
	"sigs.k8s.io/karpenter/pkg/operator/options"
)

// launch is what Karpenter would launch, and for which pods it would launch nothing.
type launch struct {
	CostPerHour float64 `json:"costPerHour"`
	// By the type that would be launched.
	Nodes map[string]int `json:"nodes"`
	// How long the scheduler took, once everything was read.
	Seconds float64 `json:"seconds"`
	// Why, by namespace/name.
	Unscheduled map[string]string `json:"unscheduled"`
}

// withDefaults gives the options that Karpenter has when it is started without any, as far as its scheduler reads them.
func withDefaults(ctx context.Context) context.Context {
	return options.ToContext(ctx, &options.Options{
		PreferencePolicy:  options.PreferencePolicyRespect,
		MinValuesPolicy:   options.MinValuesPolicyStrict,
		IgnoreDRARequests: true,
		FeatureGates:      options.DefaultFeatureGates(),
	})
}

// launch runs one round of scheduling, as Karpenter's provisioner does, but without its limit of a minute: it would
// leave pods over for the next round, and there is none.
func (in *inputs) launch(ctx context.Context) (*launch, error) {
	start := time.Now()
	scheduler, err := in.scheduler(ctx)
	if err != nil {
		return nil, err
	}
	results, err := scheduler.Solve(ctx, in.pods)
	if err != nil {
		return nil, err
	}
	results = results.TruncateInstanceTypes(ctx, scheduling.MaxInstanceTypes)
	seconds := time.Since(start).Seconds()
	summary, err := in.summarize(results)
	if err != nil {
		return nil, err
	}
	summary.Seconds = seconds
	return summary, nil
}

// scheduler is made as Karpenter's provisioner makes it in a cluster without nodes, DaemonSets and volumes.
func (in *inputs) scheduler(ctx context.Context) (*scheduling.Scheduler, error) {
	client := fake.NewClientBuilder().Build()
	now := clock.RealClock{}
	cluster := state.NewCluster(now, client, kwok.NewCloudProvider(ctx, client, in.nodeTypes))
	nodeTypes := make(map[string][]*cloudprovider.InstanceType, len(in.nodePools))
	for _, pool := range in.nodePools {
		nodeTypes[pool.Name] = in.nodeTypes
	}
	settings := []scheduling.Options{
		scheduling.DisableReservedCapacityFallback,
		scheduling.NumConcurrentReconciles(1),
		scheduling.MinValuesPolicy(options.FromContext(ctx).MinValuesPolicy),
	}
	topology, err := scheduling.NewTopology(ctx, client, cluster, nil, in.nodePools, nodeTypes, in.pods, settings...)
	if err != nil {
		return nil, err
	}
	recorder := events.NewRecorder(&record.FakeRecorder{})
	return scheduling.NewScheduler(
		ctx, client, in.nodePools, cluster, nil, topology, nodeTypes, nil, recorder, now, nil, nil, settings...,
	), nil
}

func (in *inputs) summarize(results scheduling.Results) (*launch, error) {
	summary := &launch{Nodes: map[string]int{}, Unscheduled: map[string]string{}}
	scheduled := 0
	for _, claim := range results.NewNodeClaims {
		nodeType, price, err := cheapest(claim)
		if err != nil {
			return nil, err
		}
		summary.CostPerHour += price
		summary.Nodes[nodeType]++
		scheduled += len(claim.Pods)
	}
	for pod, reason := range results.PodErrors {
		summary.Unscheduled[pod.Namespace+"/"+pod.Name] = reason.Error()
	}
	// A pod of which nothing is said must not pass for one that has a node.
	if said := scheduled + len(summary.Unscheduled); said != len(in.pods) {
		return nil, fmt.Errorf("%d pods were given, and of %d it is said what becomes of them", len(in.pods), said)
	}
	return summary, nil
}

// cheapest is what the provider launches of all that the scheduler leaves to its choice.
func cheapest(claim *scheduling.NodeClaim) (string, float64, error) {
	var nodeType string
	var offering *cloudprovider.Offering
	for _, option := range claim.InstanceTypeOptions {
		offerings := option.Offerings.Available().Compatible(claim.Requirements)
		if len(offerings) == 0 {
			continue
		}
		if least := offerings.Cheapest(); offering == nil || least.Price < offering.Price {
			nodeType, offering = option.Name, least
		}
	}
	if offering == nil {
		return "", 0, fmt.Errorf("a node of %s has no offering: %s", claim.NodePoolName, claim.Requirements)
	}
	return nodeType, offering.Price, nil
}
