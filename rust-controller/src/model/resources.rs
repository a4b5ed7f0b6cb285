//! Amounts of every resource at once.

use std::collections::BTreeMap;
use std::fmt;

use crate::units::{Cpu, Memory};

/// What a pod requests, a node offers, or is left of either.
///
/// `pods` counts pod slots: one for each pod, the kubelet's limit for a node. `extended` holds every other resource
/// (`nvidia.com/gpu`, `hugepages-2Mi`) in whole units, without entries of zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resources {
    /// CPU.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// Node-local storage.
    pub ephemeral_storage: Memory,
    /// Pod slots.
    pub pods: u64,
    /// Everything else, by resource name.
    pub extended: BTreeMap<String, u64>,
}

/// A resource of which more is needed than is free. Amounts print as Kubernetes prints them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shortfall {
    /// Resource name: `cpu`, `memory`, `nvidia.com/gpu` …
    pub resource: String,
    /// What is needed, in milli-cores, bytes or whole units.
    pub needed: u64,
    /// What is free, in the same unit.
    pub free: u64,
}

impl Resources {
    /// All of them together.
    pub fn sum<'a>(each: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut total = Self::default();
        each.into_iter().for_each(|resources| total.add(resources));
        total
    }

    /// The larger amount of each resource.
    #[must_use]
    pub fn largest(&self, other: &Self) -> Self {
        let mut extended = self.extended.clone();
        for (name, amount) in &other.extended {
            let largest = extended.entry(name.clone()).or_default();
            *largest = (*largest).max(*amount);
        }
        Self {
            cpu: self.cpu.max(other.cpu),
            memory: self.memory.max(other.memory),
            ephemeral_storage: self.ephemeral_storage.max(other.ephemeral_storage),
            pods: self.pods.max(other.pods),
            extended,
        }
    }

    /// Takes `other` on top.
    pub fn add(&mut self, other: &Self) {
        self.cpu = self.cpu.saturating_add(other.cpu);
        self.memory = self.memory.saturating_add(other.memory);
        self.ephemeral_storage = self.ephemeral_storage.saturating_add(other.ephemeral_storage);
        self.pods = self.pods.saturating_add(other.pods);
        for (name, amount) in &other.extended {
            let sum = self.extended.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }

    /// What is left of each resource once `used` is taken; nothing where more is used than there is.
    #[must_use]
    pub fn less(&self, used: &Self) -> Self {
        let left = |(name, amount): (&String, &u64)| {
            (name.clone(), amount.saturating_sub(used.extended.get(name).copied().unwrap_or(0)))
        };
        Self {
            cpu: self.cpu.saturating_sub(used.cpu),
            memory: self.memory.saturating_sub(used.memory),
            ephemeral_storage: self.ephemeral_storage.saturating_sub(used.ephemeral_storage),
            pods: self.pods.saturating_sub(used.pods),
            extended: self.extended.iter().map(left).collect(),
        }
    }

    /// Name and amount of each resource in a fixed order, in milli-cores, bytes and whole units.
    pub fn amounts(&self) -> impl Iterator<Item = (&str, u64)> {
        let fixed = [
            ("cpu", self.cpu.get()),
            ("memory", self.memory.get()),
            ("ephemeral-storage", self.ephemeral_storage.get()),
            ("pods", self.pods),
        ];
        fixed.into_iter().chain(self.extended.iter().map(|(name, amount)| (name.as_str(), *amount)))
    }

    /// The amount of one resource, in milli-cores, bytes or whole units.
    #[must_use]
    pub fn amount(&self, resource: &str) -> u64 {
        match resource {
            "cpu" => self.cpu.get(),
            "memory" => self.memory.get(),
            "ephemeral-storage" => self.ephemeral_storage.get(),
            "pods" => self.pods,
            extended => self.extended.get(extended).copied().unwrap_or(0),
        }
    }

    /// Whether there is a device of this name; there is some of what every node has, such as CPU.
    #[must_use]
    pub fn has_some(&self, resource: &str) -> bool {
        let every_node_has = ["cpu", "memory", "ephemeral-storage", "pods"].contains(&resource);
        every_node_has || self.extended.get(resource).is_some_and(|amount| *amount > 0)
    }

    /// The resources of which `self`, a request, needs more than `free` has. A resource that is not requested is
    /// never short, even on a node that is already overcommitted: the scheduler does not look at it either.
    pub fn shortfalls(&self, free: &Self) -> impl Iterator<Item = Shortfall> {
        self.amounts().filter_map(|(resource, needed)| {
            let free = free.amount(resource);
            (needed > free).then(|| Shortfall { resource: resource.to_owned(), needed, free })
        })
    }

    /// CPU and memory in one number, in milli-cores: a core counts as much as 4 GiB.
    #[must_use]
    pub fn size(&self) -> u64 {
        const BYTES_PER_CORE: u128 = 4 << 30;
        let memory = u128::from(self.memory.get()) * 1000 / BYTES_PER_CORE;
        self.cpu.get().saturating_add(u64::try_from(memory).unwrap_or(u64::MAX))
    }

    /// Whether all of `self`, a request, is within `free`.
    #[must_use]
    pub fn fits(&self, free: &Self) -> bool {
        self.cpu <= free.cpu
            && self.memory <= free.memory
            && self.ephemeral_storage <= free.ephemeral_storage
            && self.pods <= free.pods
            && self.extended.iter().all(|(name, amount)| *amount <= free.extended.get(name).copied().unwrap_or(0))
    }
}

/// An amount in cores, bytes or whole units: what prices in certificates are of.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "amounts are far below 2^53; bounds are rounded to the safe side")]
pub fn in_units(resource: &str, amount: u64) -> f64 {
    if resource == "cpu" { amount as f64 / 1000.0 } else { amount as f64 }
}

/// An amount of a resource in the unit of [`Resources::amounts`], as Kubernetes prints it.
#[must_use]
pub fn printed_amount(resource: &str, amount: u64) -> String {
    match resource {
        "cpu" => Cpu::millicores(amount).to_string(),
        "memory" | "ephemeral-storage" => Memory::bytes(amount).to_string(),
        hugepages if hugepages.starts_with("hugepages-") => Memory::bytes(amount).to_string(),
        _ => amount.to_string(),
    }
}

/// Amounts of a resource that are to be compared: of CPU all in milli-cores where one of them is no whole number of cores.
#[must_use]
pub fn printed_alike<const N: usize>(resource: &str, amounts: [u64; N]) -> [String; N] {
    if resource == "cpu" && amounts.iter().any(|amount| !amount.is_multiple_of(1000)) {
        return amounts.map(|amount| if amount == 0 { "0".to_owned() } else { format!("{amount}m") });
    }
    amounts.map(|amount| printed_amount(resource, amount))
}

impl fmt::Display for Shortfall {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printed = |amount| printed_amount(&self.resource, amount);
        let (needed, free) = (printed(self.needed), printed(self.free));
        match (self.resource.as_str(), self.needed) {
            ("pods", 1) => write!(out, "needs room for 1 pod, {free} free"),
            ("pods", _) => write!(out, "needs room for {needed} pods, {free} free"),
            (resource, _) => write!(out, "needs {needed} {resource}, {free} free"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_that_are_compared_have_one_unit() {
        assert_eq!(printed_alike("cpu", [14_950, 15_000, 0]), ["14950m", "15000m", "0"]);
        assert_eq!(printed_alike("cpu", [1000, 16_000]), ["1", "16"]);
        assert_eq!(printed_alike("memory", [1 << 30, 1 << 29]), ["1Gi", "512Mi"]);
    }

    fn resources(millicores: u64, gpus: u64) -> Resources {
        let extended = [("nvidia.com/gpu".to_owned(), gpus)].into_iter().filter(|(_, amount)| *amount > 0).collect();
        Resources { cpu: Cpu::millicores(millicores), extended, ..Resources::default() }
    }

    #[test]
    fn a_shortfall_names_the_resource_and_both_amounts() {
        let short: Vec<String> =
            resources(2000, 1).shortfalls(&resources(1400, 0)).map(|short| short.to_string()).collect();
        assert_eq!(short, ["needs 2 cpu, 1400m free", "needs 1 nvidia.com/gpu, 0 free"]);
        let full = |pods| Resources { pods, ..Resources::default() };
        let short: Vec<String> = full(1).shortfalls(&full(0)).map(|short| short.to_string()).collect();
        assert_eq!(short, ["needs room for 1 pod, 0 free"]);
        let short: Vec<String> = full(3).shortfalls(&full(2)).map(|short| short.to_string()).collect();
        assert_eq!(short, ["needs room for 3 pods, 2 free"]);
        assert!(!resources(2000, 1).fits(&resources(1400, 0)));
    }

    #[test]
    fn what_is_not_requested_is_never_short() {
        let overcommitted = resources(1000, 0).less(&resources(3000, 0));
        assert!(resources(0, 0).fits(&overcommitted));
        assert_eq!(resources(0, 0).shortfalls(&overcommitted).count(), 0);
    }
}
