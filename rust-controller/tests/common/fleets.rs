//! Small fleets of nodes with pods, the same in every run, and what could be saved of them, by trying everything.

use std::cmp::Reverse;
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
    pub(crate) deleting: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Guest {
    /// Tells it from every other.
    pub(crate) number: u64,
    /// None for a pod that waits.
    pub(crate) host: Option<usize>,
    pub(crate) asked: [u64; 3],
    pub(crate) zone: Option<&'static str>,
    /// A workload of which no two pods share a host.
    pub(crate) apart: Option<usize>,
}

/// So many nodes, at least and at most, with so many pods on them.
pub(crate) fn fleet(random: &mut Random, hosts: [u64; 2], guests: [u64; 2]) -> (Vec<Host>, Vec<Guest>) {
    let mut hosts: Vec<Host> = (0..random.between(hosts[0], hosts[1])).map(|_| host(random)).collect();
    let count = random.between(guests[0], guests[1]);
    let guests = (0..count).filter_map(|number| guest(random, number, &mut hosts)).collect();
    (hosts, guests)
}

/// A node without pods.
pub(crate) fn host(random: &mut Random) -> Host {
    let size = random.below(SIZES.len());
    Host { size, zone: ["a", "b"][random.below(2)], left: SIZES[size].1, apart: Vec::new(), deleting: false }
}

/// A pod of this number on one of the nodes, if that takes it.
pub(crate) fn guest(random: &mut Random, number: u64, hosts: &mut [Host]) -> Option<Guest> {
    let asked = [*random.pick(&[100, 300, 500, 900, 1500]), random.between(0, 2), 1];
    let host = random.below(hosts.len());
    let zone = random.chance(15).then_some(hosts[host].zone);
    let apart = random.chance(20).then(|| random.below(2));
    let guest = Guest { number, host: Some(host), asked, zone, apart };
    takes(&hosts[host], &guest).then(|| {
        come(&mut hosts[host], &guest);
        guest
    })
}

/// A pod goes.
pub(crate) fn leave(hosts: &mut [Host], guest: &Guest) {
    let Some(host) = guest.host else { return };
    let Host { left, apart, .. } = &mut hosts[host];
    left.iter_mut().zip(guest.asked).for_each(|(left, asked)| *left += asked);
    if let Some(at) = guest.apart.and_then(|workload| apart.iter().position(|other| *other == workload)) {
        apart.remove(at);
    }
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

/// Whether all of these find a place, by trying everything.
fn fit(hosts: &mut [Host], removed: u32, guests: &[Guest]) -> bool {
    let Some((guest, rest)) = guests.split_first() else { return true };
    for at in (0..hosts.len()).filter(|at| removed >> at & 1 == 0) {
        if takes(&hosts[at], guest) {
            let before = hosts[at].clone();
            come(&mut hosts[at], guest);
            if fit(hosts, removed, rest) {
                return true;
            }
            hosts[at] = before;
        }
    }
    false
}

/// The most that could be saved, in thousandths; and how many of these nodes can be among those that then go.
pub(crate) fn most_savings(hosts: &[Host], guests: &[Guest], preferred: u32) -> (u64, u32) {
    most_removed(hosts, guests, preferred, |size| SIZES[size].2)
}

/// The same of whatever nodes of a size count.
pub(crate) fn most_removed(
    hosts: &[Host],
    guests: &[Guest],
    preferred: u32,
    weight: impl Fn(usize) -> u64,
) -> (u64, u32) {
    let mut most = (0, 0);
    let leaving: u32 = (0..hosts.len()).filter(|at| hosts[*at].deleting).map(|at| 1 << at).sum();
    for removed in 1..(1_u32 << hosts.len()) - 1 {
        if removed & leaving != leaving || removed == (1 << hosts.len()) - 1 {
            continue;
        }
        let gone = |at: &usize| removed >> at & 1 == 1;
        let saved =
            (0..hosts.len()).filter(|at| gone(at) && !hosts[*at].deleting).map(|at| weight(hosts[at].size)).sum();
        let found = (saved, (removed & preferred).count_ones());
        let comes = |guest: &Guest| guest.host.is_none_or(|host| gone(&host));
        let mut moving: Vec<Guest> = guests.iter().copied().filter(comes).collect();
        moving.sort_by_key(|guest| Reverse(guest.asked));
        if found > most && fit(&mut hosts.to_vec(), removed, &moving) {
            most = found;
        }
    }
    most
}

/// The fleet as Kubernetes objects.
pub(crate) fn manifest(hosts: &[Host], guests: &[Guest]) -> String {
    let mut text = String::new();
    for (at, host) in hosts.iter().enumerate() {
        let (name, [cpu, memory, pods], _) = SIZES[host.size];
        let deletion = if host.deleting { "deletionTimestamp: 2026-01-01T00:00:00Z, " } else { "" };
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: n{at}, {deletion}labels: {{kubernetes.io/hostname: n{at}, topology.kubernetes.io/zone: {}, \
             node.kubernetes.io/instance-type: {name}}}}}\nstatus: {{allocatable: {{cpu: {cpu}m, memory: {memory}Gi, pods: {pods}}}}}\n",
            host.zone
        );
    }
    for Guest { number, host, asked: [cpu, memory, _], zone, apart } in guests {
        let zone =
            zone.map_or_else(String::new, |zone| format!("nodeSelector: {{topology.kubernetes.io/zone: {zone}}}, "));
        let app = apart.map_or_else(|| "none".to_owned(), |apart| format!("apart-{apart}"));
        let keeps_off = format!(
            "affinity: {{podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: kubernetes.io/hostname, \
             labelSelector: {{matchLabels: {{app: {app}}}}}}}]}}}}, "
        );
        let keeps_off = if apart.is_some() { keeps_off.as_str() } else { "" };
        let (node, status) = match host {
            Some(host) => (format!("nodeName: n{host}, "), "phase: Running"),
            None => (
                String::new(),
                "phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]",
            ),
        };
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}, labels: {{app: {app}}}, ownerReferences: [{{apiVersion: apps/v1, kind: \
             ReplicaSet, name: r, uid: u, controller: true}}]}}\nspec: {{{node}{zone}{keeps_off}containers: [{{name: c, \
             resources: {{requests: {{cpu: {cpu}m, memory: {memory}Gi}}}}}}]}}\nstatus: {{{status}}}\n"
        );
    }
    text
}
