//! Small fleets of three node types, with pods that mind zones and each other.

use std::fmt::Write;

use crate::random::Random;

pub(crate) const TYPES: &str = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- {name: small, arch: amd64, allocatable: {cpu: 2, memory: 4Gi, pods: 8}, zones: [a, b], pricePerHour: {on-demand: 0.1}}
- {name: medium, arch: amd64, allocatable: {cpu: 4, memory: 8Gi, pods: 10}, zones: [a, b], pricePerHour: {on-demand: 0.21}}
- {name: lean, arch: amd64, allocatable: {cpu: 4, memory: 4Gi, pods: 10}, zones: [a, b], pricePerHour: {on-demand: 0.16}}
";

/// Name, millicores, GiB, pods and price in thousandths.
pub(crate) const SIZES: [(&str, [u64; 3], u64); 3] =
    [("small", [2000, 4, 8], 100), ("medium", [4000, 8, 10], 210), ("lean", [4000, 4, 10], 160)];

#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) size: usize,
    pub(crate) zone: &'static str,
    /// What is free.
    pub(crate) left: [u64; 3],
    /// Workloads that keep apart, of which one pod is here.
    pub(crate) apart: Vec<usize>,
}

#[derive(Clone, Copy)]
pub(crate) struct Guest {
    pub(crate) host: usize,
    pub(crate) asked: [u64; 3],
    pub(crate) zone: Option<&'static str>,
    /// A workload of which no two pods share a host.
    pub(crate) apart: Option<usize>,
}

/// Three nodes or more with pods on them, at most so many of each.
pub(crate) fn fleet(random: &mut Random, most_nodes: u64, most_pods: u64) -> (Vec<Host>, Vec<Guest>) {
    let mut hosts: Vec<Host> = (0..random.between(3, most_nodes))
        .map(|_| {
            let size = random.below(SIZES.len());
            Host { size, zone: ["a", "b"][random.below(2)], left: SIZES[size].1, apart: Vec::new() }
        })
        .collect();
    let mut guests = Vec::new();
    for _ in 0..random.between(3, most_pods) {
        let asked = [*random.pick(&[100, 300, 500, 900, 1500]), random.between(0, 2), 1];
        let host = random.below(hosts.len());
        let zone = random.chance(15).then_some(hosts[host].zone);
        let apart = random.chance(20).then(|| random.below(2));
        let guest = Guest { host, asked, zone, apart };
        if takes(&hosts[host], &guest) {
            come(&mut hosts[host], &guest);
            guests.push(guest);
        }
    }
    (hosts, guests)
}

pub(crate) fn takes(host: &Host, guest: &Guest) -> bool {
    guest.asked.iter().zip(&host.left).all(|(asked, left)| asked <= left)
        && guest.zone.is_none_or(|zone| zone == host.zone)
        && guest.apart.is_none_or(|apart| !host.apart.contains(&apart))
}

pub(crate) fn come(host: &mut Host, guest: &Guest) {
    host.left.iter_mut().zip(guest.asked).for_each(|(left, asked)| *left -= asked);
    host.apart.extend(guest.apart);
}

/// The fleet as Kubernetes objects.
pub(crate) fn manifest(hosts: &[Host], guests: &[Guest]) -> String {
    let mut text = String::new();
    for (at, host) in hosts.iter().enumerate() {
        let (name, [cpu, memory, pods], _) = SIZES[host.size];
        let _ = write!(
            text,
            "---\nkind: Node\nmetadata: {{name: n{at}, labels: {{kubernetes.io/hostname: n{at}, topology.kubernetes.io/zone: {}, \
             node.kubernetes.io/instance-type: {name}}}}}\nstatus: {{allocatable: {{cpu: {cpu}m, memory: {memory}Gi, pods: {pods}}}}}\n",
            host.zone
        );
    }
    for (number, Guest { host, asked: [cpu, memory, _], zone, apart }) in guests.iter().enumerate() {
        let zone =
            zone.map_or_else(String::new, |zone| format!("nodeSelector: {{topology.kubernetes.io/zone: {zone}}}, "));
        let app = apart.map_or_else(|| "none".to_owned(), |apart| format!("apart-{apart}"));
        let keeps_off = format!(
            "affinity: {{podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: kubernetes.io/hostname, \
             labelSelector: {{matchLabels: {{app: {app}}}}}}}]}}}}, "
        );
        let keeps_off = if apart.is_some() { keeps_off.as_str() } else { "" };
        let _ = write!(
            text,
            "---\nkind: Pod\nmetadata: {{name: p{number}, labels: {{app: {app}}}, ownerReferences: [{{apiVersion: apps/v1, kind: \
             ReplicaSet, name: r, uid: u, controller: true}}]}}\nspec: {{nodeName: n{host}, {zone}{keeps_off}containers: [{{name: c, \
             resources: {{requests: {{cpu: {cpu}m, memory: {memory}Gi}}}}}}]}}\nstatus: {{phase: Running}}\n"
        );
    }
    text
}
