//! The least that nodes for the pods of a tiny case can cost: every plan is tried.
//!
//! Pods come one after the other, each to any node that is there or that could be bought in any zone; what a bought node
//! costs is the price of the cheapest type that holds its pods and is what they ask for. Of equal nodes and equal pods only one order is tried, and
//! what costs as much as the best so far is given up.

use crate::tiny::{Amount, Existing, Label, Pin, Rule, Tiny};

/// The pods that share a host.
struct Host {
    zone: usize,
    /// By workload.
    pods: Vec<usize>,
    requests: Amount,
    /// What it has, of one that is there; the bought ones are of whatever type holds their pods.
    existing: Option<Amount>,
    price: u64,
}

struct Search<'c> {
    case: &'c Tiny,
    /// The workload of each pod.
    pods: Vec<usize>,
    hosts: Vec<Host>,
    cost: u64,
    best: u64,
}

/// The least cost below this one, in thousandths per hour; this one, if there is none. Some pods, given by the numbers of
/// their workload and of an existing node, are there already.
pub(crate) fn least_cost(case: &Tiny, there: &[(usize, usize)], known: u64) -> u64 {
    let existing = |Existing { allocatable, zone }: &Existing| {
        let host = empty(*zone, case);
        Host { existing: Some(*allocatable), ..host }
    };
    let mut hosts: Vec<Host> = case.existing.iter().map(existing).collect();
    let mut missing: Vec<usize> = case.workloads.iter().map(|workload| workload.replicas).collect();
    for (workload, node) in there {
        missing[*workload] -= 1;
        hosts[*node].pods[*workload] += 1;
        hosts[*node].requests = hosts[*node].requests.plus(case.workloads[*workload].requests);
    }
    let of_workload = |(number, missing): (usize, usize)| std::iter::repeat_n(number, missing);
    let pods = missing.into_iter().enumerate().flat_map(of_workload).collect();
    let mut search = Search { case, pods, hosts, cost: 0, best: known };
    search.place(0, 0);
    search.best
}

fn empty(zone: usize, case: &Tiny) -> Host {
    let nothing = Amount { cpu: 0, memory: 0, gpus: 0 };
    Host { zone, pods: vec![0; case.workloads.len()], requests: nothing, existing: None, price: 0 }
}

impl Search<'_> {
    /// Tries all places of the pods from this one on; equal pods come to no host before that of the last one.
    fn place(&mut self, pod: usize, from: usize) {
        if self.cost >= self.best {
            return;
        }
        let Some(&workload) = self.pods.get(pod) else {
            if self.is_allowed() {
                self.best = self.cost;
            }
            return;
        };
        let next_is_equal = self.pods.get(pod + 1) == Some(&workload);
        let next_from = |host: usize| if next_is_equal { host } else { 0 };
        for host in from..self.hosts.len() {
            self.try_on(host, workload, |search| search.place(pod + 1, next_from(host)));
        }
        let host = self.hosts.len();
        for zone in 0..self.case.zones {
            self.hosts.push(empty(zone, self.case));
            self.try_on(host, workload, |search| search.place(pod + 1, next_from(host)));
            self.hosts.pop();
        }
    }

    /// Goes on with a pod of the workload on a host, if there is room, and takes it back.
    fn try_on(&mut self, host: usize, workload: usize, go_on: impl FnOnce(&mut Self)) {
        let asked = self.case.workloads[workload].requests;
        let Host { requests: before, price, .. } = self.hosts[host];
        let requests = before.plus(asked);
        self.hosts[host].pods[workload] += 1;
        self.hosts[host].requests = requests;
        if let Some(new_price) = self.price(host).filter(|_| !self.crowds(host, workload)) {
            self.hosts[host].price = new_price;
            self.cost = self.cost + new_price - price;
            go_on(self);
            self.cost = self.cost + price - new_price;
        }
        self.hosts[host].pods[workload] -= 1;
        self.hosts[host].requests = before;
        self.hosts[host].price = price;
    }

    /// What a host with these pods costs; none where no type holds them, or is what they ask for.
    fn price(&self, host: usize) -> Option<u64> {
        let Host { zone, requests, pods, existing, .. } = &self.hosts[host];
        let there = || self.case.workloads.iter().zip(pods).filter(|(_, pods)| **pods > 0);
        let pins: Vec<Pin> = there().map(|(workload, _)| workload.pin).collect();
        if pins.iter().any(|pin| matches!(pin, Pin::Zone(other) if other != zone)) {
            return None;
        }
        if let Some(allocatable) = existing {
            let of_no_type = !pins.iter().any(|pin| matches!(pin, Pin::Kind(_)));
            let without_labels = there().all(|(workload, _)| workload.label.is_met_by_none());
            return allocatable.less(*requests).filter(|_| of_no_type && without_labels).map(|_| 0);
        }
        let values = || std::iter::once(None).chain((0..Label::VALUES).map(Some));
        let meets_all = |team, tier| there().all(|(workload, _)| workload.label.admits(team, tier));
        if !values().any(|team| values().any(|tier| meets_all(team, tier))) {
            return None;
        }
        let pods: usize = pods.iter().sum();
        let holds = |number: usize| {
            let kind = &self.case.kinds[number];
            kind.pods >= pods
                && kind.allocatable.less(*requests).is_some()
                && pins.iter().all(|pin| !matches!(pin, Pin::Kind(other) if *other != number))
        };
        (0..self.case.kinds.len()).filter(|number| holds(*number)).map(|number| self.case.kinds[number].price).min()
    }

    /// Whether a host has more pods of the workload than share one.
    fn crowds(&self, host: usize, workload: usize) -> bool {
        let alone = matches!(self.case.workloads[workload].rule, Rule::HostSpread | Rule::HostApart);
        alone && self.hosts[host].pods[workload] > 1
    }

    /// Whether all pods are where they may be, as far as others are concerned. Any order that goes round the zones, and in
    /// which a workload comes after the one that it must be near, leads there.
    fn is_allowed(&self) -> bool {
        let in_zones = |workload: usize| {
            let mut in_zone = vec![0; self.case.zones];
            self.hosts.iter().for_each(|host| in_zone[host.zone] += host.pods[workload]);
            in_zone
        };
        self.case.workloads.iter().enumerate().all(|(number, workload)| {
            let in_zone = in_zones(number);
            let (most, least) = (in_zone.iter().max(), in_zone.iter().min());
            match workload.rule {
                // Only the zones count that the pods ask for.
                Rule::ZoneSpread if matches!(workload.pin, Pin::Zone(_)) => true,
                Rule::ZoneSpread => most.zip(least).is_some_and(|(most, least)| most - least <= 1),
                Rule::ZoneTogether => in_zone.iter().filter(|pods| **pods > 0).count() <= 1,
                Rule::ZoneApart => most.is_some_and(|most| *most <= 1),
                Rule::ZoneNear(other) => {
                    in_zone.iter().zip(in_zones(other)).all(|(pods, others)| *pods == 0 || others > 0)
                }
                Rule::HostNear(other) => self.hosts.iter().all(|host| host.pods[number] == 0 || host.pods[other] > 0),
                Rule::Nothing | Rule::HostSpread | Rule::HostApart => true,
            }
        })
    }
}
