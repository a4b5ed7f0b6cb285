package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	yamldocuments "k8s.io/apimachinery/pkg/util/yaml"
	kwok "sigs.k8s.io/karpenter/kwok/cloudprovider"
	kwokoptions "sigs.k8s.io/karpenter/kwok/options"
	v1 "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/cloudprovider"
	nodepools "sigs.k8s.io/karpenter/pkg/utils/nodepool"
	"sigs.k8s.io/yaml"
)

// inputFiles are the paths of what is to be scheduled.
type inputFiles struct {
	pods, nodeTypes, nodePools string
}

// inputs are what Karpenter would read from the cluster and from its cloud provider.
type inputs struct {
	pods      []*corev1.Pod
	nodeTypes []*cloudprovider.InstanceType
	// In the order in which Karpenter tries them.
	nodePools []*v1.NodePool
}

func (files inputFiles) read(ctx context.Context) (*inputs, error) {
	pods, err := readPods(files.pods)
	if err != nil {
		return nil, fmt.Errorf("pods: %w", err)
	}
	nodeTypes, err := readNodeTypes(ctx, files.nodeTypes)
	if err != nil {
		return nil, fmt.Errorf("node types: %w", err)
	}
	nodePools, err := readNodePools(ctx, files.nodePools)
	if err != nil {
		return nil, fmt.Errorf("NodePools: %w", err)
	}
	return &inputs{pods, nodeTypes, nodePools}, nil
}

func readPods(path string) ([]*corev1.Pod, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list corev1.PodList
	if err := yaml.UnmarshalStrict(text, &list); err != nil {
		return nil, err
	}
	pods := make([]*corev1.Pod, 0, len(list.Items))
	for i := range list.Items {
		pod := &list.Items[i]
		// Karpenter keeps what it knows of a pod under its UID, which in a cluster the API server gives it. It is also
		// what Karpenter orders equal pods by.
		if pod.UID == "" {
			pod.UID = types.UID(pod.Namespace + "/" + pod.Name)
		}
		pods = append(pods, pod)
	}
	return pods, nil
}

func readNodeTypes(ctx context.Context, path string) ([]*cloudprovider.InstanceType, error) {
	// Without a path the provider would take the types that are built into it.
	if path == "" {
		return nil, errors.New("no file given")
	}
	ctx = kwokoptions.ToContext(ctx, &kwokoptions.Options{InstanceTypesFilePath: path})
	return kwok.ConstructInstanceTypes(ctx)
}

func readNodePools(ctx context.Context, path string) ([]*v1.NodePool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var pools []*v1.NodePool
	documents := yamldocuments.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		pool, err := readNodePool(ctx, document)
		if err != nil {
			return nil, err
		}
		pools = append(pools, pool)
	}
	nodepools.OrderByWeight(pools)
	return pools, nil
}

// readNodePool refuses what Karpenter would ignore, since the answer would then be about other NodePools than the given.
func readNodePool(ctx context.Context, document []byte) (*v1.NodePool, error) {
	pool := &v1.NodePool{}
	if err := yaml.UnmarshalStrict(document, pool); err != nil {
		return nil, err
	}
	switch {
	case pool.Kind != "NodePool" || pool.Name == "":
		return nil, fmt.Errorf("kind %q with name %q is no NodePool", pool.Kind, pool.Name)
	case nodepools.IsStatic(pool):
		return nil, fmt.Errorf("%s has replicas: nothing is scheduled to it", pool.Name)
	case !nodepools.IsManaged(pool, &kwok.CloudProvider{}):
		return nil, fmt.Errorf("%s is not of the KWOK provider", pool.Name)
	}
	if err := pool.RuntimeValidate(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", pool.Name, err)
	}
	return pool, nil
}
