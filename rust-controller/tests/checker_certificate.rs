//! The judge of lower bounds: a good certificate passes, and each way to spoil one is noticed.

#![expect(clippy::unwrap_used, reason = "what fails, fails the test")]

use mini_karpenter::check::check_plan;
use mini_karpenter::model::{Catalog, PodName};
use mini_karpenter::provision::{Certificate, LowerBound, Options, Plan, plan};
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::{catalog, lower};

const CATALOG: &str = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- {name: small, arch: amd64, allocatable: {cpu: 2, memory: 4Gi, pods: 10}, zones: [a], pricePerHour: {on-demand: 0.1}}
- {name: large, arch: amd64, allocatable: {cpu: 8, memory: 17Gi, pods: 20}, zones: [a], pricePerHour: {on-demand: 0.41}}
- {name: other, arch: arm64, allocatable: {cpu: 8, memory: 16Gi, pods: 20}, zones: [a], pricePerHour: {on-demand: 0.01}}
";

/// Four replicas that keep off each other's host, one of them too large for a small node; a port; and plain ones.
const PODS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: apart}
spec:
  replicas: 4
  selector: {matchLabels: {app: apart}}
  template:
    metadata: {labels: {app: apart}}
    spec:
      affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [
        {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: apart}}}]}}
      containers: [{name: c, resources: {requests: {cpu: 1200m, memory: 1Gi}}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: plain}
spec:
  replicas: 5
  selector: {matchLabels: {app: plain}}
  template:
    metadata: {labels: {app: plain}}
    spec: {containers: [{name: c, resources: {requests: {cpu: 500m, memory: 3Gi}}}]}
";

fn snapshot() -> Snapshot {
    lower::parse_manifest(PODS).unwrap().into_snapshot()
}

fn priced() -> Catalog {
    catalog::parse("test", CATALOG).unwrap()
}

fn planned() -> Plan {
    plan(&snapshot(), &priced(), &Options::default())
}

/// What the judge says once the bound is spoilt.
fn complaints(spoil: impl FnOnce(&mut LowerBound)) -> Vec<String> {
    let mut plan = planned();
    spoil(plan.bound.as_mut().unwrap());
    let found = check_plan(&snapshot(), &priced(), &Options::default(), &plan);
    found.iter().map(ToString::to_string).collect()
}

fn is_noticed(what: &str, spoil: impl FnOnce(&mut Certificate)) {
    let found = complaints(|bound| spoil(&mut bound.certificate));
    assert!(found.iter().any(|complaint| complaint.contains(what)), "{what}: {found:?}");
}

#[test]
fn a_good_certificate_passes_and_says_how_many_nodes_are_needed() {
    assert_eq!(complaints(|_| {}), Vec::<String>::new());
    let Certificate { fewest_nodes, apart_like, node_types, .. } = planned().bound.unwrap().certificate;
    assert_eq!(
        (fewest_nodes, node_types.into_iter().collect::<Vec<_>>()),
        (4, vec!["large".to_owned(), "small".to_owned()])
    );
    assert!(apart_like.unwrap().name.starts_with("apart-"));
}

#[test]
fn a_bound_that_its_prices_do_not_make_is_noticed() {
    let found = complaints(|bound| bound.per_hour *= 1.01);
    assert!(found.iter().any(|complaint| complaint.contains("its prices make")), "{found:?}");
    let found = complaints(|bound| bound.per_hour = 100.0);
    assert!(found.iter().any(|complaint| complaint.contains("the plan itself costs")), "{found:?}");
}

#[test]
fn prices_at_which_a_node_offers_more_than_it_costs_are_noticed() {
    is_noticed("offers", |certificate| certificate.per_node += 0.1);
    is_noticed("offers", |certificate| certificate.per_resource = [("memory".to_owned(), 1.0)].into());
    is_noticed("has the price -0.1", |certificate| certificate.per_node = -0.1);
    is_noticed("has the price NaN", |certificate| certificate.per_node = f64::NAN);
}

#[test]
fn counts_that_are_not_so_are_noticed() {
    is_noticed("5 nodes are needed; 4 are", |certificate| certificate.fewest_nodes = 5);
    is_noticed("nodes are needed; 1 are", |certificate| certificate.apart_like = None);
    let plain = PodName { namespace: "default".to_owned(), name: "plain-deployment-0".to_owned() };
    is_noticed("4 nodes are needed; 0 are", |certificate| certificate.apart_like = Some(plain));
    let surcharges = planned().bound.unwrap().certificate.surcharges;
    assert!(!surcharges.is_empty(), "the case says nothing of large pods");
    is_noticed("counts", |certificate| certificate.surcharges[0].pods += 9);
    is_noticed("counts", |certificate| certificate.surcharges[0].at_least.clear());
    let nothing = |least: &mut u64| *least = 0;
    is_noticed("counts", |certificate| certificate.surcharges[0].at_least.values_mut().for_each(nothing));
    is_noticed("counts", |certificate| certificate.surcharges[0].at_least.values_mut().for_each(|least| *least *= 100));
}

#[test]
fn a_type_that_may_hold_a_pod_and_is_left_out_is_noticed() {
    is_noticed("leaves out small", |certificate| certificate.node_types = ["large".to_owned()].into());
}
