//! Consolidations of small fleets against an exhaustive search over every set of nodes and every place of their pods.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/random.rs"]
#[expect(dead_code, reason = "tests that show the smallest bad case use the rest")]
mod random;

use std::cmp::Reverse;
use std::fmt::Write;

use mini_karpenter::check::check_consolidation;
use mini_karpenter::consolidate::{Options, consolidate};
use mini_karpenter::units::Money;
use mini_karpenter::{catalog, lower};
use random::Random;

const CASES: u64 = 400;

const TYPES: &str = "
version: 1
nodeClassRef: {group: g.example.com, kind: Class, name: default}
types:
- {name: small, arch: amd64, allocatable: {cpu: 2, memory: 4Gi, pods: 8}, zones: [a, b], pricePerHour: {on-demand: 0.1}}
- {name: medium, arch: amd64, allocatable: {cpu: 4, memory: 8Gi, pods: 10}, zones: [a, b], pricePerHour: {on-demand: 0.21}}
- {name: lean, arch: amd64, allocatable: {cpu: 4, memory: 4Gi, pods: 10}, zones: [a, b], pricePerHour: {on-demand: 0.16}}
";

/// Name, millicores, GiB, pods and price in thousandths.
const SIZES: [(&str, [u64; 3], u64); 3] =
    [("small", [2000, 4, 8], 100), ("medium", [4000, 8, 10], 210), ("lean", [4000, 4, 10], 160)];

#[derive(Clone)]
struct Host {
    size: usize,
    zone: &'static str,
    /// What is free.
    left: [u64; 3],
    /// Workloads that keep apart, of which one pod is here.
    apart: Vec<usize>,
}

#[derive(Clone, Copy)]
struct Guest {
    host: usize,
    asked: [u64; 3],
    zone: Option<&'static str>,
    /// A workload of which no two pods share a host.
    apart: Option<usize>,
}

/// Three to eight nodes with pods on them.
fn fleet(random: &mut Random) -> (Vec<Host>, Vec<Guest>) {
    let mut hosts: Vec<Host> = (0..random.between(3, 8))
        .map(|_| {
            let size = random.below(SIZES.len());
            Host { size, zone: ["a", "b"][random.below(2)], left: SIZES[size].1, apart: Vec::new() }
        })
        .collect();
    let mut guests = Vec::new();
    for _ in 0..random.between(3, 16) {
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

fn takes(host: &Host, guest: &Guest) -> bool {
    guest.asked.iter().zip(&host.left).all(|(asked, left)| asked <= left)
        && guest.zone.is_none_or(|zone| zone == host.zone)
        && guest.apart.is_none_or(|apart| !host.apart.contains(&apart))
}

fn come(host: &mut Host, guest: &Guest) {
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

/// The most that could be saved, in thousandths.
fn most_savings(hosts: &[Host], guests: &[Guest]) -> u64 {
    let mut most = 0;
    for removed in 1..(1_u32 << hosts.len()) - 1 {
        let gone = |at: &usize| removed >> at & 1 == 1;
        let saved = (0..hosts.len()).filter(gone).map(|at| SIZES[hosts[at].size].2).sum();
        let mut moving: Vec<Guest> = guests.iter().copied().filter(|guest| gone(&guest.host)).collect();
        moving.sort_by_key(|guest| Reverse(guest.asked));
        if saved > most && fit(&mut hosts.to_vec(), removed, &moving) {
            most = saved;
        }
    }
    most
}

/// The fleet as Kubernetes objects.
fn manifest(hosts: &[Host], guests: &[Guest]) -> String {
    let mut text = String::new();
    for (at, host) in hosts.iter().enumerate() {
        let (name, [cpu, memory, pods], _) = SIZES[host.size];
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: n{at}, labels: {{kubernetes.io/hostname: n{at}, topology.kubernetes.io/zone: {}, \
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
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}, labels: {{app: {app}}}, ownerReferences: [{{apiVersion: apps/v1, kind: \
             ReplicaSet, name: r, uid: u, controller: true}}]}}\nspec: {{nodeName: n{host}, {zone}{keeps_off}containers: [{{name: c, \
             resources: {{requests: {{cpu: {cpu}m, memory: {memory}Gi}}}}}}]}}\nstatus: {{phase: Running}}\n"
        );
    }
    text
}

#[test]
fn small_fleets_shrink_as_far_as_exhaustive_search_finds() {
    let catalog = catalog::parse("test", TYPES).unwrap();
    let (mut optimal, mut removals) = (0, 0);
    for seed in 0..CASES {
        let (hosts, guests) = fleet(&mut Random::new(seed));
        let snapshot = lower::parse_manifest(&manifest(&hosts, &guests)).unwrap().into_snapshot();
        let decided = consolidate(&snapshot, &catalog, &Options::default());
        let wrong = check_consolidation(&snapshot, &catalog, &decided);
        assert!(wrong.is_empty(), "seed {seed}: {}", wrong[0]);
        let most = most_savings(&hosts, &guests);
        let saved = decided.savings_per_hour().map(Money::get).unwrap_or_default() / 1_000_000;
        assert!(saved <= most, "seed {seed}: saves {saved} of at most {most}");
        let bound = decided.bound.as_ref().map_or(0.0, |bound| bound.per_hour);
        let after = decided.costs_per_hour().1.unwrap().units();
        assert!(bound <= after, "seed {seed}: costs {after}, and no less than {bound} is possible");
        optimal += u64::from(saved == most);
        removals += decided.removals.len();
    }
    println!("{optimal} of {CASES} fleets are at the optimum; {removals} removals");
    assert!(optimal * 100 >= CASES * 99, "{optimal} of {CASES} are at the optimum");
    assert!(removals > 500, "the cases say little: {removals} removals");
}
