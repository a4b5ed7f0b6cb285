//! What the planner may choose from.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{Catalog, NodeType, Offering, Operator, Requirement, Resources, key};
use crate::snapshot::Snapshot;
use crate::units::{Cpu, Memory};

/// Options of a plan.
#[derive(Clone, Debug)]
pub struct Options {
    /// Capacity types that may be planned: `on-demand`, `spot`, `reserved`.
    pub capacity_types: BTreeSet<String>,
    /// Architecture of the nodes for pods that do not ask for one, since most images run on one alone; empty for that
    /// of most existing nodes, or amd64 where there are none. A list means that their images run on all of these.
    pub arch: BTreeSet<String>,
    /// Node types that may not be planned.
    pub exclude_types: TypeFilter,
    /// Node types with more allocatable CPU may not be planned: the larger a node, the more goes with it.
    pub max_node_cpu: Option<Cpu>,
    /// Share of the CPU, memory and storage of each new node that is left free, in millionths.
    pub headroom: u64,
    /// So many nodes are planned in each zone at least, as far as there are pods for them.
    pub min_nodes_per_zone: usize,
    /// What names of the plan's NodePools begin with.
    pub pool_prefix: &'static str,
    /// How long better plans are looked for, in steps that take about as long; see [`plan_within_budget`](super::plan_within_budget).
    pub budget: Duration,
}

/// What names of NodePools begin with, where nobody says otherwise.
pub const POOL_PREFIX: &str = "planned";

/// Node types that are left out unless somebody asks for them: those whose CPU is shared or throttled, so that requests
/// promise more than there is (AWS' t families, Azure's B series, GCP's shared-core types), and whole machines, which take
/// many minutes to come and cost as much as the largest virtual ones.
pub const UNSUITED_TYPES: &str = r"^t\d[a-z]*\.|\.metal|^Standard_B|^(f1|g1)-|^e2-(micro|small|medium)$";

/// Node types left out by name.
#[derive(Clone, Debug, Default)]
pub struct TypeFilter(Option<regex::Regex>);

impl TypeFilter {
    /// Leaves out the types whose name the regular expression matches anywhere; an empty one leaves out none.
    ///
    /// # Errors
    /// Where the expression does not parse.
    pub fn new(expression: &str) -> Result<Self, regex::Error> {
        let compiled = (!expression.is_empty()).then(|| regex::Regex::new(expression)).transpose()?;
        Ok(Self(compiled))
    }

    /// The expression; empty where none is left out.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", regex::Regex::as_str)
    }
}

impl Options {
    /// The node types and offerings that may be planned, in the catalog's order.
    pub fn allowed<'a>(&self, catalog: &'a Catalog) -> impl Iterator<Item = (&'a NodeType, &'a Offering)> {
        let excluded = |kind: &NodeType| self.exclude_types.0.as_ref().is_some_and(|regex| regex.is_match(&kind.name));
        let too_large = |kind: &NodeType| self.max_node_cpu.is_some_and(|most| kind.allocatable.cpu > most);
        let types = catalog.types.iter().filter(move |kind| !excluded(kind) && !too_large(kind));
        types
            .flat_map(|kind| kind.offerings.iter().map(move |offering| (kind, offering)))
            .filter(|(_, offering)| self.capacity_types.contains(&offering.capacity_type))
    }
}

impl Options {
    /// What pods, daemon pods included, may be planned to request of a node that offers so much: all but the headroom.
    #[must_use]
    pub fn usable(&self, allocatable: &Resources) -> Resources {
        let left_free = |amount: u64| {
            let share = u128::from(amount) * u128::from(self.headroom.min(1_000_000));
            u64::try_from(share.div_ceil(1_000_000)).unwrap_or(amount)
        };
        let Resources { cpu, memory, ephemeral_storage, .. } = allocatable;
        let free = Resources {
            cpu: Cpu::millicores(left_free(cpu.get())),
            memory: Memory::bytes(left_free(memory.get())),
            ephemeral_storage: Memory::bytes(left_free(ephemeral_storage.get())),
            ..Resources::default()
        };
        allocatable.less(&free)
    }
}

/// What a new node must be unless the pod itself says something about it: a Linux machine of the options'
/// architecture.
#[must_use]
pub fn default_requirements(options: &Options, snapshot: &Snapshot) -> Vec<Requirement> {
    let arch = if options.arch.is_empty() {
        vec![most_frequent_arch(snapshot)]
    } else {
        options.arch.iter().cloned().collect()
    };
    let requirement = |key: &str, values| Requirement { key: key.to_owned(), operator: Operator::In, values };
    vec![requirement(key::ARCH, arch), requirement(key::OS, vec!["linux".to_owned()])]
}

fn most_frequent_arch(snapshot: &Snapshot) -> String {
    let mut nodes_of: BTreeMap<&str, usize> = BTreeMap::new();
    for arch in snapshot.nodes().iter().filter_map(|node| node.labels.get(key::ARCH)) {
        *nodes_of.entry(arch).or_default() += 1;
    }
    let most_frequent = nodes_of.into_iter().max_by_key(|(arch, count)| (*count, Reverse(*arch)));
    most_frequent.map_or("amd64", |(arch, _)| arch).to_owned()
}

impl Default for Options {
    /// On-demand capacity of any type and size.
    fn default() -> Self {
        Self {
            capacity_types: BTreeSet::from(["on-demand".to_owned()]),
            arch: BTreeSet::new(),
            exclude_types: TypeFilter::default(),
            max_node_cpu: None,
            headroom: 0,
            min_nodes_per_zone: 0,
            pool_prefix: POOL_PREFIX,
            budget: Duration::from_secs(1),
        }
    }
}
