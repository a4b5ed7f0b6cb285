//! Built-in catalogs of cloud providers: machine types from a table, and what a provider makes of them.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use crate::catalog::zones::offerings;
use crate::model::{Catalog, NodeClassRef, NodeType, Resources, key};
use crate::units::{Cpu, Memory, Money};

/// Bytes in a MiB.
pub(super) const MIB: u64 = 1 << 20;

/// Bytes in a GiB.
pub(super) const GIB: u64 = 1 << 30;

/// A machine type as the provider sells it; nothing is subtracted yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine<'t> {
    pub(super) name: &'t str,
    pub(super) arch: &'t str,
    pub(super) cores: u64,
    pub(super) memory_mib: u64,
    /// Pods that the addresses of its network interfaces allow, on Amazon.
    pub(super) eni_pods: u64,
    /// Resource name and number of its accelerators.
    pub(super) accelerators: Option<(&'t str, u64)>,
    pub(super) on_demand: Option<Money>,
    pub(super) spot: Option<Money>,
}

/// What tells one provider from another.
pub(super) struct Provider {
    pub(super) name: &'static str,
    /// The table of machines, see [`machines`].
    pub(super) table: &'static str,
    pub(super) region: &'static str,
    pub(super) zones: &'static [&'static str],
    /// Day of the prices.
    pub(super) prices_of: &'static str,
    /// Which prices are of an earlier day, for a person; empty where none is.
    pub(super) older_prices: &'static str,
    /// API group of the node class and of the provider's labels, and kind of the node class.
    pub(super) node_class: (&'static str, &'static str),
    /// CPU, memory, storage and pods that a machine leaves for pods.
    pub(super) allocatable: fn(&Machine<'_>) -> Resources,
    /// The provider's own labels.
    pub(super) labels: fn(&Machine<'_>) -> Vec<(&'static str, String)>,
}

impl Provider {
    pub(super) fn catalog(&self) -> Catalog {
        let (group, kind) = self.node_class;
        let mut types: Vec<NodeType> = machines(self.table).map(|machine| self.node_type(&machine)).collect();
        types.sort_by(|one, other| one.name.cmp(&other.name));
        Catalog {
            name: self.name.to_owned(),
            currency: "USD".to_owned(),
            price_source: self.price_source(),
            node_class: NodeClassRef { group: group.to_owned(), kind: kind.to_owned(), name: "default".to_owned() },
            types,
        }
    }

    /// Region and day of the prices.
    fn price_source(&self) -> String {
        let Self { region, prices_of, older_prices, .. } = self;
        let older = if older_prices.is_empty() { String::new() } else { format!(" ({older_prices})") };
        format!("{region}, {prices_of}{older}")
    }

    fn node_type(&self, machine: &Machine<'_>) -> NodeType {
        let accelerators = machine.accelerators.map(|(resource, count)| (resource.to_owned(), count));
        let extended = accelerators.into_iter().collect();
        let common = [(key::ARCH, machine.arch), (key::OS, "linux"), (key::REGION, self.region)];
        let common = common.map(|(key, value)| (key, value.to_owned()));
        let labels = common.into_iter().chain((self.labels)(machine));
        let zones = self.zones.iter().map(|zone| (*zone).to_owned()).collect();
        NodeType {
            name: machine.name.to_owned(),
            allocatable: Resources { extended, ..(self.allocatable)(machine) },
            labels: labels.map(|(key, value)| (key.to_owned(), value)).collect(),
            attach_limits: Arc::default(),
            offerings: offerings(&zones, &machine.prices()),
        }
    }
}

impl Machine<'_> {
    /// The capacity types with a price, or on demand without one.
    fn prices(&self) -> BTreeMap<String, Option<Money>> {
        let on_demand = (self.on_demand.is_some() || self.spot.is_none()).then_some(("on-demand", self.on_demand));
        let spot = self.spot.map(|price| ("spot", Some(price)));
        on_demand.into_iter().chain(spot).map(|(capacity_type, price)| (capacity_type.to_owned(), price)).collect()
    }
}

/// Milli-cores, bytes, bytes and pods, without accelerators.
pub(super) fn resources(millicores: u64, memory: u64, ephemeral_storage: u64, pods: u64) -> Resources {
    Resources {
        cpu: Cpu::millicores(millicores),
        memory: Memory::bytes(memory),
        ephemeral_storage: Memory::bytes(ephemeral_storage),
        pods,
        extended: BTreeMap::new(),
    }
}

/// The machines of a table: comments after `#`, a line of column names, then one line for each machine.
pub(super) fn machines(table: &str) -> impl Iterator<Item = Machine<'_>> {
    table.lines().filter(|line| !line.starts_with('#')).skip(1).filter_map(machine)
}

/// A line `name,arch,cpu,memory_mib,eni_pods,accelerator,accelerators,on_demand,spot`; `None` where it is not one.
fn machine(line: &str) -> Option<Machine<'_>> {
    let mut columns = line.split(',');
    let mut next = || columns.next();
    let machine = Machine {
        name: next()?,
        arch: next()?,
        cores: next()?.parse().ok()?,
        memory_mib: next()?.parse().ok()?,
        eni_pods: optional(next()?).ok()?.unwrap_or_default(),
        accelerators: match (next()?, optional(next()?).ok()?) {
            ("", None) => None,
            (resource, count) => Some((resource, count?)),
        },
        on_demand: optional(next()?).ok()?,
        spot: optional(next()?).ok()?,
    };
    columns.next().is_none().then_some(machine)
}

/// A column that may be empty.
fn optional<T: FromStr>(column: &str) -> Result<Option<T>, T::Err> {
    if column.is_empty() { Ok(None) } else { column.parse().map(Some) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The machine of this name.
    pub(in crate::catalog) fn machine_named<'t>(provider: &'t Provider, name: &str) -> Machine<'t> {
        machines(provider.table).find(|machine| machine.name == name).expect(name)
    }

    /// What holds for the table and the formulas of every provider.
    pub(in crate::catalog) fn check(provider: &Provider) {
        let lines: Vec<&str> = provider.table.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines[0], "name,arch,cpu,memory_mib,eni_pods,accelerator,accelerators,on_demand,spot");
        assert_eq!(machines(provider.table).count(), lines.len() - 1, "every line is a machine");
        let comments: String = provider.table.lines().filter(|line| line.starts_with('#')).collect();
        assert!(comments.contains(&format!("Region {}, prices of {}", provider.region, provider.prices_of)));
        for machine in machines(provider.table) {
            check_machine(provider, &machine);
        }
    }

    fn check_machine(provider: &Provider, machine: &Machine<'_>) {
        let left = (provider.allocatable)(machine);
        let raw = resources(machine.cores * 1000, machine.memory_mib * MIB, u64::MAX, u64::MAX);
        assert!(left.cpu < raw.cpu && left.memory < raw.memory, "{} keeps something", machine.name);
        assert!(
            ["cpu", "memory", "pods", "ephemeral-storage"].iter().all(|name| left.amount(name) > 0),
            "{}",
            machine.name
        );
        let wider = Machine { cores: machine.cores + 1, ..*machine };
        let larger = Machine { memory_mib: machine.memory_mib + 1024, ..*machine };
        assert!((provider.allocatable)(&wider).cpu > left.cpu, "{}: more cores leave more", machine.name);
        assert!((provider.allocatable)(&larger).memory > left.memory, "{}: more memory leaves more", machine.name);
    }

    #[test]
    fn a_line_of_another_shape_is_no_machine() {
        assert!(machine("a,amd64,2,4096,,,,0.1,").is_some());
        for line in [
            "",
            "a",
            "a,amd64,2,4096,,,,0.1",
            "a,amd64,x,4096,,,,0.1,",
            "a,amd64,2,4096,,gpu,,0.1,",
            "a,amd64,2,4096,,,,-1,",
            "a,amd64,2,4096,,,,0.1,,",
        ] {
            assert!(machine(line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_machine_without_any_price_is_offered_on_demand_at_a_price_that_is_not_known() {
        let prices = |line| machine(line).map(|machine| machine.prices().into_iter().collect::<Vec<_>>());
        let price = |nanos| Some(Money::nanos(nanos));
        assert_eq!(prices("a,amd64,2,4096,,,,,"), Some(vec![("on-demand".to_owned(), None)]));
        assert_eq!(prices("a,amd64,2,4096,,,,,0.1"), Some(vec![("spot".to_owned(), price(100_000_000))]));
        let both = vec![("on-demand".to_owned(), price(200_000_000)), ("spot".to_owned(), price(100_000_000))];
        assert_eq!(prices("a,amd64,2,4096,,,,0.2,0.1"), Some(both));
    }
}
