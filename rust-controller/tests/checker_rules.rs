//! The judge of plans, judged by the rules about other pods, ports and volumes: it lets each pod come where it may, and
//! nowhere else.

#![expect(clippy::unwrap_used, reason = "what fails, fails the test")]

use std::sync::Arc;

use mini_karpenter::check::check_plan;
use mini_karpenter::model::{Catalog, PodName};
use mini_karpenter::provision::{Options, Plan, PodPlan, Unplaceable, Verdict};
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::{catalog, lower};

/// One node in each of two zones, and one in none.
const NODES: &str = "
apiVersion: v1
kind: Node
metadata: {name: n-a, labels: {topology.kubernetes.io/zone: a, kubernetes.io/hostname: n-a}}
status: {allocatable: {cpu: 8, memory: 8Gi, pods: 20}}
---
apiVersion: v1
kind: Node
metadata: {name: n-b, labels: {topology.kubernetes.io/zone: b, kubernetes.io/hostname: n-b}}
status: {allocatable: {cpu: 8, memory: 8Gi, pods: 20}}
---
apiVersion: v1
kind: Node
metadata: {name: n-x}
status: {allocatable: {cpu: 8, memory: 8Gi, pods: 20}}
";

/// A pod that waits, with these labels and more of a spec.
fn waits(name: &str, labels: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{{labels}}}}}\nspec: {{containers: [{{name: c}}], {spec}}}\n"
    )
}

/// A pod that runs on a node.
fn runs(name: &str, node: &str, labels: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{{labels}}}}}\nspec: {{nodeName: {node}, containers: [{{name: \
         c}}], {spec}}}\nstatus: {{phase: Running}}\n"
    )
}

fn spread(selector: &str, more: &str) -> String {
    format!(
        "topologySpreadConstraints: [{{topologyKey: topology.kubernetes.io/zone, maxSkew: 1, whenUnsatisfiable: \
         DoNotSchedule, labelSelector: {{{selector}}}, {more}}}]"
    )
}

/// A required term of `podAffinity` or `podAntiAffinity`, by zone.
fn terms(kind: &str, selectors: &[&str], more: &str) -> String {
    let term = |labels: &&str| {
        format!("{{topologyKey: topology.kubernetes.io/zone, labelSelector: {{matchLabels: {{{labels}}}}}, {more}}}")
    };
    let terms: Vec<String> = selectors.iter().map(term).collect();
    format!("affinity: {{{kind}: {{requiredDuringSchedulingIgnoredDuringExecution: [{}]}}}}", terms.join(", "))
}

fn uses(claim: &str) -> String {
    format!("volumes: [{{name: v, persistentVolumeClaim: {{claimName: {claim}}}}}]")
}

fn snapshot(text: &str) -> Snapshot {
    let manifest = lower::parse_manifest(text).unwrap();
    assert!(manifest.skipped.is_empty() && manifest.unread_kinds.is_empty(), "{:?}", manifest.skipped);
    manifest.into_snapshot()
}

/// What the judge says if the pods come to existing nodes in this order, and the others that wait nowhere.
fn complaints(text: &str, comings: &[(&str, &str)]) -> Vec<String> {
    let snapshot = snapshot(text);
    let waiting = snapshot.pods().iter().filter(|pod| pod.occupied_node().is_none());
    let planned = waiting.map(|pod| {
        let node = comings.iter().find(|(name, _)| *name == pod.name.name).map(|(_, node)| (*node).to_owned());
        let nowhere = || Verdict::Unplaceable(Arc::new(Unplaceable::NoTypes));
        let verdict = node.map_or_else(nowhere, |node| Verdict::FitsExisting { node });
        PodPlan { pod: Arc::clone(pod), verdict, existing: None, unchecked_rules: Vec::new() }
    });
    let pods: Vec<PodPlan> = planned.collect();
    let position = |name: &str| {
        let name = PodName { namespace: "default".to_owned(), name: name.to_owned() };
        pods.iter().position(|planned| planned.pod.name == name).unwrap()
    };
    let placements = comings.iter().map(|(name, _)| position(name)).collect();
    let catalog = Catalog { types: Vec::new(), ..catalog::builtin("generic").unwrap() };
    let plan = Plan { pods, placements, ..Plan::default() };
    let found = check_plan(&snapshot, &catalog, &Options::default(), &plan);
    // Those that wait nowhere are there to be looked at by the rules of others.
    let of_comings = found.iter().filter(|violation| !violation.problem.starts_with("gets no node"));
    of_comings.map(ToString::to_string).collect()
}

#[track_caller]
fn allowed(objects: &[&str], comings: &[(&str, &str)]) {
    assert_eq!(complaints(&[&[NODES], objects].concat().concat(), comings), Vec::<String>::new());
}

/// The last pod is refused by that rule, and no other pod by any.
#[track_caller]
fn refused(objects: &[&str], comings: &[(&str, &str)], rule: &str) {
    let found = complaints(&[&[NODES], objects].concat().concat(), comings);
    let (pod, node) = comings.last().unwrap();
    let expected = format!("default/{pod}: on {node}: {rule}: ");
    assert!(!found.is_empty(), "{pod} may come to {node}");
    assert!(found.iter().all(|found| found.starts_with(&expected)), "{found:?} is not {expected}");
}

#[test]
fn two_pods_share_no_port_of_an_address() {
    let port = |ports: &str| format!("initContainers: [{{name: s, restartPolicy: Always, ports: [{ports}]}}]");
    let everywhere = runs("r", "n-a", "", &port("{containerPort: 1, hostPort: 80}"));
    let one_address = runs("r", "n-a", "", &port("{containerPort: 1, hostPort: 80, hostIP: 10.0.0.1}"));
    for (pod, collides_everywhere, collides_at_one) in [
        ("{containerPort: 1, hostPort: 80}", true, true),
        ("{containerPort: 1, hostPort: 80, hostIP: 10.0.0.1}", true, true),
        ("{containerPort: 1, hostPort: 80, hostIP: 10.0.0.2}", true, false),
        ("{containerPort: 1, hostPort: 80, protocol: UDP}", false, false),
        ("{containerPort: 1, hostPort: 81}", false, false),
    ] {
        let pod = waits("p", "", &port(pod));
        for (running, collides) in [(&everywhere, collides_everywhere), (&one_address, collides_at_one)] {
            allowed(&[running, &pod], &[("p", "n-b")]);
            if collides {
                refused(&[running, &pod], &[("p", "n-a")], "NodePorts");
            } else {
                allowed(&[running, &pod], &[("p", "n-a")]);
            }
        }
    }
    let twins = [
        waits("p", "", &port("{containerPort: 1, hostPort: 80}")),
        waits("q", "", &port("{containerPort: 1, hostPort: 80}")),
    ];
    refused(&[&twins[0], &twins[1]], &[("p", "n-b"), ("q", "n-b")], "NodePorts");
}

#[test]
fn pods_come_one_by_one_to_the_emptiest_domain() {
    let web = spread("matchLabels: {app: w}", "");
    let running = runs("r", "n-a", "app: w", "");
    let pods = [waits("p", "app: w", &web), waits("q", "app: w", &web)];
    let all = [running.as_str(), &pods[0], &pods[1]];
    allowed(&all, &[("p", "n-b"), ("q", "n-a")]);
    refused(&all, &[("p", "n-a")], "PodTopologySpread");
    refused(&all, &[("p", "n-x")], "PodTopologySpread");
    allowed(&all, &[("p", "n-b"), ("q", "n-b")]);
    let third = waits("s", "app: w", &web);
    let all = [running.as_str(), &pods[0], &pods[1], &third];
    refused(&all, &[("p", "n-b"), ("q", "n-b"), ("s", "n-b")], "PodTopologySpread");
    // It need not find itself.
    allowed(&[&running, &waits("p", "", &web)], &[("p", "n-a")]);
}

#[test]
fn spread_counts_living_pods_of_the_namespace_on_nodes_that_count() {
    let web = spread("matchLabels: {app: w}", "");
    let pod = waits("p", "app: w", &web);
    let elsewhere = runs("r", "n-a", "app: w", "").replace("name: r,", "name: r, namespace: other,");
    allowed(&[&elsewhere, &pod], &[("p", "n-a")]);
    let ending =
        runs("r", "n-a", "app: w", "").replace("name: r,", "name: r, deletionTimestamp: '2026-01-01T00:00:00Z',");
    allowed(&[&ending, &pod], &[("p", "n-a")]);
    let unlike = runs("r", "n-a", "app: v", "");
    allowed(&[&unlike, &pod], &[("p", "n-a")]);
    // An empty selector counts no pod that is there, but the pod itself.
    let everybody = waits("p", "app: w", &spread("", ""));
    allowed(&[&runs("r", "n-a", "app: w", ""), &everybody], &[("p", "n-a")]);
}

#[test]
fn domains_are_those_of_nodes_that_would_let_the_pod_in() {
    let running = [runs("r", "n-a", "app: w", ""), runs("t", "n-b", "app: w", "")];
    let empty_zone = "---\napiVersion: v1\nkind: Node\nmetadata: {name: n-c, labels: {topology.kubernetes.io/zone: c}}\nspec: {taints: [{key: t, \
                      effect: NoSchedule}]}\nstatus: {allocatable: {cpu: 8, memory: 8Gi, pods: 20}}\n";
    let with =
        |more: &str, spec: &str| waits("p", "app: w", &format!("{}, {spec}", spread("matchLabels: {app: w}", more)));
    let all = |pod: &str, rule: Option<&str>| {
        let objects = [running[0].as_str(), &running[1], empty_zone, pod];
        match rule {
            None => allowed(&objects, &[("p", "n-a")]),
            Some(rule) => refused(&objects, &[("p", "n-a")], rule),
        }
    };
    all(&with("", ""), Some("PodTopologySpread"));
    all(&with("nodeTaintsPolicy: Honor", ""), None);
    all(&with("nodeTaintsPolicy: Honor", "tolerations: [{key: t, operator: Exists}]"), Some("PodTopologySpread"));
    let not_c = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: \
                 [{matchExpressions: [{key: topology.kubernetes.io/zone, operator: NotIn, values: [c]}]}]}}}";
    all(&with("", not_c), None);
    all(&with("nodeAffinityPolicy: Ignore", not_c), Some("PodTopologySpread"));
    // With too few domains, the emptiest counts as empty.
    all(&with("nodeTaintsPolicy: Honor, minDomains: 2", ""), None);
    all(&with("nodeTaintsPolicy: Honor, minDomains: 3", ""), Some("PodTopologySpread"));
}

#[test]
fn nodes_without_a_key_of_any_constraint_do_not_count() {
    // `n-b` has no rack, so that its empty zone is no domain.
    let both = "topologySpreadConstraints: [&s {topologyKey: topology.kubernetes.io/zone, maxSkew: 1, whenUnsatisfiable: \
                DoNotSchedule, labelSelector: {matchLabels: {app: w}}}, {topologyKey: rack, maxSkew: 9, whenUnsatisfiable: \
                DoNotSchedule, labelSelector: {matchLabels: {app: w}}}]";
    let nodes = NODES.replace("kubernetes.io/hostname: n-a", "rack: r1");
    let text = [nodes.as_str(), &runs("r", "n-a", "app: w", ""), &waits("p", "app: w", both)].concat();
    assert_eq!(complaints(&text, &[("p", "n-a")]), Vec::<String>::new());
    assert_eq!(complaints(&text, &[("p", "n-b")]).len(), 1);
}

#[test]
fn affinity_holds_for_all_terms_at_once() {
    let near = |labels: &[&str]| waits("p", "app: w", &terms("podAffinity", labels, ""));
    let running = runs("r", "n-a", "app: db, tier: old", "");
    let one = near(&["app: db"]);
    allowed(&[&running, &one], &[("p", "n-a")]);
    refused(&[&running, &one], &[("p", "n-b")], "InterPodAffinity");
    refused(&[&running, &one], &[("p", "n-x")], "InterPodAffinity");
    let two = near(&["app: db", "tier: old"]);
    allowed(&[&running, &two], &[("p", "n-a")]);
    let apart = [runs("r", "n-a", "app: db", ""), runs("t", "n-a", "tier: old", "")];
    refused(&[&apart[0], &apart[1], &two], &[("p", "n-a")], "InterPodAffinity");
}

#[test]
fn the_first_of_a_group_may_be_alone_and_the_others_may_not() {
    let like_itself = terms("podAffinity", &["app: w"], "");
    let pods = [waits("p", "app: w", &like_itself), waits("q", "app: w", &like_itself)];
    let all = [pods[0].as_str(), &pods[1]];
    allowed(&all, &[("p", "n-b"), ("q", "n-b")]);
    refused(&all, &[("p", "n-b"), ("q", "n-a")], "InterPodAffinity");
    refused(&all, &[("p", "n-x")], "InterPodAffinity");
    refused(&[&waits("p", "app: v", &like_itself)], &[("p", "n-a")], "InterPodAffinity");
    // In the other order the second one waits for the first.
    let leader = waits("q", "app: w", "");
    refused(&[&waits("p", "app: v", &like_itself), &leader], &[("p", "n-a")], "InterPodAffinity");
    allowed(&[&waits("p", "app: v", &like_itself), &leader], &[("q", "n-a"), ("p", "n-a")]);
}

#[test]
fn anti_affinity_works_in_both_directions() {
    let away = terms("podAntiAffinity", &["app: db"], "");
    let pod = waits("p", "app: w", &away);
    let running = runs("r", "n-a", "app: db", "");
    refused(&[&running, &pod], &[("p", "n-a")], "InterPodAffinity");
    allowed(&[&running, &pod], &[("p", "n-b")]);
    allowed(&[&running, &pod], &[("p", "n-x")]);
    let holder = runs("r", "n-a", "app: w", &away);
    refused(&[&holder, &waits("p", "app: db", "")], &[("p", "n-a")], "InterPodAffinity");
    allowed(&[&holder, &waits("p", "app: db", "")], &[("p", "n-b")]);
    let newcomers = [waits("p", "app: w", &away), waits("q", "app: db", "")];
    refused(&[&newcomers[0], &newcomers[1]], &[("p", "n-a"), ("q", "n-a")], "InterPodAffinity");
}

#[test]
fn terms_look_into_the_namespaces_that_they_name() {
    let running = runs("r", "n-a", "app: db", "").replace("name: r,", "name: r, namespace: other,");
    let namespaces = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: other, labels: {team: x}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: \
                      {name: default}\n";
    let away = |more: &str| waits("p", "", &terms("podAntiAffinity", &["app: db"], more));
    let selector = |team: &str| away(&format!("namespaceSelector: {{matchLabels: {{team: {team}}}}}"));
    allowed(&[&running, &away("")], &[("p", "n-a")]);
    for pod in [away("namespaces: [other]"), away("namespaceSelector: {}"), selector("x")] {
        refused(&[&running, namespaces, &pod], &[("p", "n-a")], "InterPodAffinity");
    }
    allowed(&[&running, namespaces, &selector("y")], &[("p", "n-a")]);
    // Labels of namespaces that nobody could read decide nothing, in neither direction.
    refused(&[&running, &selector("y")], &[("p", "n-b")], "InterPodAffinity");
    let holder =
        runs("r", "n-a", "", &terms("podAntiAffinity", &["app: db"], "namespaceSelector: {matchLabels: {team: x}}"));
    refused(&[&holder, &waits("p", "app: db", "")], &[("p", "n-a")], "InterPodAffinity");
    allowed(&[&holder, &waits("p", "app: db", "")], &[("p", "n-b")]);
    allowed(&[&holder, namespaces, &waits("p", "app: db", "")], &[("p", "n-a")]);
}

#[test]
fn disks_are_shared_where_all_only_read() {
    let mounts = |source: &str| format!("volumes: [{{name: v, {source}}}]");
    let gce = |more: &str| mounts(&format!("gcePersistentDisk: {{pdName: d, {more}}}"));
    let rbd = |monitor: &str| mounts(&format!("rbd: {{image: i, monitors: [{monitor}]}}"));
    let aws = mounts("awsElasticBlockStore: {volumeID: d, readOnly: true}");
    let both = |running: &str, coming: &str| [runs("r", "n-a", "", running), waits("p", "", coming)].concat();
    for text in [both(&gce(""), &gce("readOnly: true")), both(&aws, &aws), both(&rbd("m"), &rbd("n, m"))] {
        refused(&[&text], &[("p", "n-a")], "VolumeRestrictions");
        allowed(&[&text], &[("p", "n-b")]);
    }
    for text in [both(&gce("readOnly: true"), &gce("readOnly: true")), both(&rbd("m"), &rbd("n")), both(&gce(""), &aws)]
    {
        allowed(&[&text], &[("p", "n-a")]);
    }
}

/// Storage classes, what nodes can attach, and a volume that is nobody's in zone `b`.
const STORAGE: &str = "
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: made}
provisioner: d.example.com
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: made-in-a}
provisioner: d.example.com
volumeBindingMode: WaitForFirstConsumer
allowedTopologies: [{matchLabelExpressions: [{key: topology.kubernetes.io/zone, values: [a]}]}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: by-hand}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: at-once}
provisioner: d.example.com
---
apiVersion: storage.k8s.io/v1
kind: CSINode
metadata: {name: n-a}
spec: {drivers: [{name: d.example.com, nodeID: x, allocatable: {count: 1}}]}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: local}
spec:
  capacity: {storage: 5Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: by-hand
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/zone, operator: In, values: [b]}]}]}}
status: {phase: Available}
";

/// A claim of a class; and one that is bound to the volume of its own name.
fn claim(name: &str, class: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: {name}}}\nspec: {{storageClassName: {class}, accessModes: \
         [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}, {more}}}\n"
    )
}

fn bound(name: &str, labels: &str, more: &str) -> String {
    let claim = claim(name, "made", &format!("volumeName: {name}"));
    let claim = claim.replace("metadata: {", "metadata: {annotations: {pv.kubernetes.io/bind-completed: 'yes'}, ");
    format!(
        "{claim}---\napiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: {name}, labels: {{{labels}}}}}\nspec: {{capacity: {{storage: \
         1Gi}}, storageClassName: made, claimRef: {{namespace: default, name: {name}}}, {more}}}\nstatus: {{phase: Bound}}\n"
    )
}

const IN_B: &str = "nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/zone, \
                    operator: In, values: [b]}]}]}}";

#[test]
fn a_bound_claim_is_used_where_its_volume_is() {
    let pod = waits("p", "", &uses("data"));
    let by_affinity = bound("data", "", IN_B);
    allowed(&[STORAGE, &by_affinity, &pod], &[("p", "n-b")]);
    refused(&[STORAGE, &by_affinity, &pod], &[("p", "n-a")], "VolumeBinding");
    let by_label = bound("data", "topology.kubernetes.io/zone: b__c", "");
    allowed(&[STORAGE, &by_label, &pod], &[("p", "n-b")]);
    allowed(&[STORAGE, &by_label, &pod], &[("p", "n-x")]);
    refused(&[STORAGE, &by_label, &pod], &[("p", "n-a")], "VolumeZone");
    // An older key says the same.
    let older = bound("data", "failure-domain.beta.kubernetes.io/zone: b", "");
    refused(&[STORAGE, &older, &pod], &[("p", "n-a")], "VolumeZone");
    allowed(&[STORAGE, &older, &pod], &[("p", "n-b")]);
}

#[test]
fn an_open_claim_takes_a_free_volume_or_has_one_made() {
    let pod = waits("p", "", &uses("data"));
    let by_hand = claim("data", "by-hand", "");
    allowed(&[STORAGE, &by_hand, &pod], &[("p", "n-b")]);
    refused(&[STORAGE, &by_hand, &pod], &[("p", "n-a")], "VolumeBinding");
    for unmet in ["volumeMode: Block", "selector: {matchLabels: {fast: 'yes'}}"] {
        refused(&[STORAGE, &claim("data", "by-hand", unmet), &pod], &[("p", "n-b")], "VolumeBinding");
    }
    let large = by_hand.replace("storage: 1Gi", "storage: 6Gi");
    refused(&[STORAGE, &large, &pod], &[("p", "n-b")], "VolumeBinding");
    let shared = by_hand.replace("ReadWriteOnce", "ReadWriteMany");
    refused(&[STORAGE, &shared, &pod], &[("p", "n-b")], "VolumeBinding");
    // The volume is taken by the first that comes.
    let second = [claim("more", "by-hand", ""), waits("q", "", &uses("more"))].concat();
    refused(&[STORAGE, &by_hand, &pod, &second], &[("p", "n-b"), ("q", "n-b")], "VolumeBinding");
    let made = claim("data", "made-in-a", "");
    allowed(&[STORAGE, &made, &pod], &[("p", "n-a")]);
    refused(&[STORAGE, &made, &pod], &[("p", "n-b")], "VolumeBinding");
}

#[test]
fn the_volume_of_a_shared_claim_is_made_once() {
    let pods = [waits("p", "", &uses("data")), waits("q", "", &uses("data"))].concat();
    let open = claim("data", "made", "");
    allowed(&[STORAGE, &open, &pods], &[("p", "n-b"), ("q", "n-b")]);
    refused(&[STORAGE, &open, &pods], &[("p", "n-b"), ("q", "n-x")], "VolumeBinding");
    let chosen = open.replace("metadata: {", "metadata: {annotations: {volume.kubernetes.io/selected-node: n-x}, ");
    allowed(&[STORAGE, &chosen, &pods], &[("p", "n-x")]);
    refused(&[STORAGE, &chosen, &pods], &[("p", "n-b")], "VolumeBinding");
    let found = claim("data", "by-hand", "");
    allowed(&[STORAGE, &found, &pods], &[("p", "n-b"), ("q", "n-b")]);
    refused(&[STORAGE, &found, &pods], &[("p", "n-b"), ("q", "n-x")], "VolumeBinding");
}

const EPHEMERAL: &str = "volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: {}}}}]";

#[test]
fn a_claim_that_cannot_be_used_is_used_nowhere() {
    let pod = waits("p", "", &uses("data"));
    let made = claim("data", "made", "");
    let nobodys = bound("data", "", "").replace("name: data, labels", "name: other, labels");
    let refused_by = |data: &str, pod: &str, rules: &[&str]| {
        let found = complaints(&[NODES, STORAGE, data, pod].concat(), &[("p", "n-b")]);
        let mut expected: Vec<String> = rules.iter().map(|rule| format!("default/p: on n-b: {rule}: ")).collect();
        expected.sort();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        assert!(found.iter().zip(&expected).all(|(found, expected)| found.starts_with(expected)), "{found:?}");
    };
    for (data, rules) in [
        (claim("other", "made", ""), &["VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone"][..]),
        (claim("data", "at-once", ""), &["VolumeBinding", "VolumeZone"]),
        (claim("data", "unknown", ""), &["VolumeBinding", "VolumeZone"]),
        (claim("data", "''", ""), &["VolumeBinding", "VolumeZone"]),
        (nobodys, &["VolumeBinding", "VolumeZone"]),
        (format!("{made}status: {{phase: Lost}}\n"), &["VolumeBinding"]),
        (made.replace("name: data", "name: data, deletionTimestamp: '2026-01-01T00:00:00Z'"), &["VolumeBinding"]),
    ] {
        refused_by(&data, &pod, rules);
    }
    let ephemeral = waits("p", "", EPHEMERAL);
    refused_by("", &ephemeral, &["NodeVolumeLimits", "VolumeBinding"]);
    let strangers = claim("p-v", "made", "");
    refused_by(&strangers, &ephemeral, &["NodeVolumeLimits", "VolumeBinding"]);
    let owner = "metadata: {ownerReferences: [{apiVersion: v1, kind: Pod, name: p, uid: u, controller: true}], ";
    let own = strangers.replace("metadata: {", owner);
    allowed(&[STORAGE, &own, &ephemeral], &[("p", "n-b")]);
}

/// The scheduler, which counts what is attached to a node that has a limit, ends with an error there.
#[test]
fn no_volume_is_attached_beside_a_strangers_claim() {
    let limits = STORAGE.replace("count: 1", "count: 9");
    let there = [claim("r-v", "made", ""), runs("r", "n-a", "", EPHEMERAL)].concat();
    let pod = waits("p", "", &uses("data"));
    refused(&[&limits, &there, &claim("data", "made", ""), &pod], &[("p", "n-a")], "NodeVolumeLimits");
    let unlimited = limits.replace(", allocatable: {count: 9}", "");
    allowed(&[&unlimited, &there, &claim("data", "made", ""), &pod], &[("p", "n-a")]);
    // What no driver attaches is not counted.
    allowed(&[&limits, &there, &bound("data", "", ""), &pod], &[("p", "n-a")]);
}

#[test]
fn a_claim_for_one_pod_is_used_by_one() {
    let claim = claim("data", "made", "").replace("ReadWriteOnce", "ReadWriteOncePod");
    let pods = [waits("p", "", &uses("data")), waits("q", "", &uses("data"))].concat();
    allowed(&[STORAGE, &claim, &pods], &[("p", "n-b")]);
    refused(&[STORAGE, &claim, &pods], &[("p", "n-b"), ("q", "n-b")], "VolumeRestrictions");
    let running = runs("r", "n-a", "", &uses("data"));
    refused(&[STORAGE, &claim, &running, &pods], &[("p", "n-b")], "VolumeRestrictions");
}

#[test]
fn a_node_attaches_no_more_volumes_than_it_can() {
    let csi = |handle: &str| format!("csi: {{driver: d.example.com, volumeHandle: {handle}}}");
    let volumes = [bound("one", "", &csi("h1")), bound("two", "", &csi("h2"))].concat();
    let running = runs("r", "n-a", "", &uses("one"));
    let same = waits("p", "", &uses("one"));
    allowed(&[STORAGE, &volumes, &running, &same], &[("p", "n-a")]);
    let other = waits("p", "", &uses("two"));
    refused(&[STORAGE, &volumes, &running, &other], &[("p", "n-a")], "NodeVolumeLimits");
    allowed(&[STORAGE, &volumes, &running, &other], &[("p", "n-b")]);
    let another_driver = volumes.replacen("d.example.com", "e.example.com", 1);
    allowed(&[STORAGE, &another_driver, &running, &other], &[("p", "n-a")]);
    // A volume that is still to be made is one more, too.
    let made = claim("three", "made", "");
    refused(
        &[STORAGE, &volumes, &running, &made, &waits("p", "", &uses("three"))],
        &[("p", "n-a")],
        "NodeVolumeLimits",
    );
}

#[test]
fn what_nobody_could_read_keeps_a_pod_from_fitting() {
    let pod = waits("p", "", &uses("data"));
    let data = bound("data", "", "csi: {driver: d.example.com, volumeHandle: h}");
    allowed(&[STORAGE, &data, &pod], &[("p", "n-b")]);
    let without = |kind: &str| {
        let documents = [STORAGE, &data].concat();
        let kept = documents.split("---\n").filter(|text| !text.contains(&format!("kind: {kind}\n")));
        let kept: Vec<&str> = kept.filter(|text| !text.trim().is_empty()).collect();
        format!("---\n{}", kept.join("---\n"))
    };
    refused(&[&without("CSINode"), &pod], &[("p", "n-b")], "NodeVolumeLimits");
    for kind in ["PersistentVolume", "PersistentVolumeClaim"] {
        let found = complaints(&[NODES, &without(kind), &pod].concat(), &[("p", "n-b")]);
        assert!(found.len() >= 3 && found.iter().all(|found| found.contains("nobody can tell")), "{found:?}");
    }
}

#[test]
fn devices_are_nowhere() {
    let claims = waits("p", "", "resourceClaims: [{name: gpu, resourceClaimName: g}]");
    refused(&[&claims], &[("p", "n-a")], "DynamicResources");
}
