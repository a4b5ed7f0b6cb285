//! Clusters so small that every plan can be tried: a few pods, a few node types, one to three zones.

use std::fmt::Write;

use mini_karpenter::model::Catalog;
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::{catalog, lower};

use crate::random::Random;

/// What pods of a workload must keep to, as far as other pods are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    Nothing,
    /// Evenly spread over zones, by one pod at most.
    ZoneSpread,
    /// Evenly spread over hosts: since more may come, one on each.
    HostSpread,
    /// All in one zone.
    ZoneTogether,
    /// No two on a host.
    HostApart,
    /// No two in a zone.
    ZoneApart,
    /// Each in a zone with a pod of this other workload.
    ZoneNear(usize),
    /// Each on a host with a pod of this other workload.
    HostNear(usize),
}

impl Rule {
    pub(crate) const ALL: [Self; 5] =
        [Self::Nothing, Self::ZoneSpread, Self::HostSpread, Self::ZoneTogether, Self::HostApart];

    /// In the specification of a pod that is of a workload and asks for this label.
    fn spec(self, workload: usize, label: Label) -> String {
        let selector = format!("labelSelector: {{matchLabels: {{app: w{workload}}}}}");
        let spread = |topology: &str| {
            format!(
                "topologySpreadConstraints: [{{maxSkew: 1, topologyKey: {topology}, whenUnsatisfiable: DoNotSchedule, \
                 {selector}}}], "
            )
        };
        let affinity = |kind: &str, topology: &str| {
            let to = if let Self::ZoneNear(other) | Self::HostNear(other) = self { other } else { workload };
            let term = format!("{{topologyKey: {topology}, labelSelector: {{matchLabels: {{app: w{to}}}}}}}");
            format!("{kind}: {{requiredDuringSchedulingIgnoredDuringExecution: [{term}]}}")
        };
        let spread_over = match self {
            Self::ZoneSpread => spread("topology.kubernetes.io/zone"),
            Self::HostSpread => spread("kubernetes.io/hostname"),
            _ => String::new(),
        };
        let of_pods = match self {
            Self::Nothing | Self::ZoneSpread | Self::HostSpread => String::new(),
            Self::ZoneTogether | Self::ZoneNear(_) => affinity("podAffinity", "topology.kubernetes.io/zone"),
            Self::HostNear(_) => affinity("podAffinity", "kubernetes.io/hostname"),
            Self::HostApart => affinity("podAntiAffinity", "kubernetes.io/hostname"),
            Self::ZoneApart => affinity("podAntiAffinity", "topology.kubernetes.io/zone"),
        };
        let of_node = match label.spec() {
            asked if asked.is_empty() => asked,
            asked => format!(
                "nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{{matchExpressions: \
                 [{asked}]}}]}}}}"
            ),
        };
        let affinities: Vec<String> = [of_pods, of_node].into_iter().filter(|each| !each.is_empty()).collect();
        if affinities.is_empty() {
            spread_over
        } else {
            format!("{spread_over}affinity: {{{}}}, ", affinities.join(", "))
        }
    }
}

/// Which node a pod asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pin {
    Nothing,
    /// In this zone.
    Zone(usize),
    /// Of this type, by number.
    Kind(usize),
}

/// Which labels a pod asks for that only a `NodePool` gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// None, and any will do.
    Nothing,
    /// `team` of this value.
    Team(usize),
    /// `team` of this value or the next.
    TeamOf(usize),
    /// Some `team`.
    AnyTeam,
    /// Not `team` of this value.
    NotTeam(usize),
    /// `tier` of this value.
    Tier(usize),
    /// `rank` above this.
    RankAbove(usize),
}

impl Label {
    /// Of the values that are asked for, no more are told apart.
    pub(crate) const VALUES: usize = 4;

    fn random(random: &mut Random) -> Self {
        let value = random.below(Self::VALUES - 1);
        match random.below(8) {
            0 | 1 => Self::Team(value),
            2 => Self::TeamOf(value),
            3 => Self::AnyTeam,
            4 => Self::NotTeam(value),
            5 => Self::Tier(value),
            6 => Self::RankAbove(value),
            _ => Self::Nothing,
        }
    }

    /// Whether a node with this `team` and `tier`, if any, and any `rank` that is high enough is what it asks for.
    pub(crate) fn admits(self, team: Option<usize>, tier: Option<usize>) -> bool {
        match self {
            Self::Nothing | Self::RankAbove(_) => true,
            Self::Team(value) => team == Some(value),
            Self::TeamOf(value) => team.is_some_and(|team| team == value || team == value + 1),
            Self::AnyTeam => team.is_some(),
            Self::NotTeam(value) => team != Some(value),
            Self::Tier(value) => tier == Some(value),
        }
    }

    /// Whether a node without labels will do.
    pub(crate) fn is_met_by_none(self) -> bool {
        matches!(self, Self::Nothing | Self::NotTeam(_))
    }

    /// In the specification of a pod that has no other node affinity.
    fn spec(self) -> String {
        let (key, operator, values) = match self {
            Self::Nothing => return String::new(),
            Self::Team(value) => ("team", "In", format!("v{value}")),
            Self::TeamOf(value) => ("team", "In", format!("v{value}, v{}", value + 1)),
            Self::AnyTeam => ("team", "Exists", String::new()),
            Self::NotTeam(value) => ("team", "NotIn", format!("v{value}")),
            Self::Tier(value) => ("tier", "In", format!("v{value}")),
            Self::RankAbove(value) => ("rank", "Gt", format!("'{value}'")),
        };
        format!("{{key: {key}, operator: {operator}, values: [{values}]}}")
    }
}

/// Milli-cores, mebibytes and devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) cpu: u64,
    pub(crate) memory: u64,
    pub(crate) gpus: u64,
}

impl Amount {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, memory: self.memory + other.memory, gpus: self.gpus + other.gpus }
    }

    /// What is left of it, if there is so much.
    pub(crate) fn less(self, other: Self) -> Option<Self> {
        Some(Self {
            cpu: self.cpu.checked_sub(other.cpu)?,
            memory: self.memory.checked_sub(other.memory)?,
            gpus: self.gpus.checked_sub(other.gpus)?,
        })
    }

    fn text(self) -> String {
        let gpus = if self.gpus > 0 { format!(", nvidia.com/gpu: {}", self.gpus) } else { String::new() };
        format!("cpu: {}m, memory: {}Mi{gpus}", self.cpu, self.memory)
    }
}

/// Equal pods.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) rule: Rule,
    pub(crate) pin: Pin,
    pub(crate) label: Label,
    pub(crate) replicas: usize,
    pub(crate) requests: Amount,
}

/// To be had in every zone.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) allocatable: Amount,
    pub(crate) pods: usize,
    /// In thousandths per hour.
    pub(crate) price: u64,
}

/// A node that runs no pod yet.
#[derive(Clone, Debug)]
pub(crate) struct Existing {
    pub(crate) allocatable: Amount,
    pub(crate) zone: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Tiny {
    pub(crate) zones: usize,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) existing: Vec<Existing>,
    pub(crate) workloads: Vec<Workload>,
}

impl Tiny {
    /// As many pods at most, in some of the cases with rules, and in some with nodes that are there.
    pub(crate) fn random(random: &mut Random, most_pods: u64) -> Self {
        let ruled = random.chance(60);
        let mut left = random.between(1, most_pods);
        let mut workloads = Vec::new();
        while left > 0 {
            let replicas = random.between(1, left);
            left -= replicas;
            let rule = if ruled { *random.pick(&Rule::ALL) } else { Rule::Nothing };
            let cpu = *random.pick(&[250, 500, 1000, 1500, 2000, 3000]);
            let requests = Amount { cpu, memory: 512 * random.between(1, 15), gpus: 0 };
            let replicas = usize::try_from(replicas).unwrap();
            workloads.push(Workload { rule, pin: Pin::Nothing, label: Label::Nothing, replicas, requests });
        }
        let zones = 1 + random.below(3);
        let existing = if random.chance(25) { 1 + random.below(2) } else { 0 };
        let existing = (0..existing).map(|_| Existing {
            allocatable: Amount { cpu: 500 * random.between(1, 4), memory: 1024 * random.between(1, 6), gpus: 0 },
            zone: random.below(zones),
        });
        let existing = existing.collect();
        let mut case = Self { zones, kinds: kinds(random), existing, workloads };
        if random.chance(40) {
            case.single_out(random);
        }
        if random.chance(30) {
            case.workloads.iter_mut().for_each(|workload| workload.label = Label::random(random));
        }
        case
    }

    /// Some of the pods ask for a zone or a type, for devices, or for a place near others or apart from their own kind.
    fn single_out(&mut self, random: &mut Random) {
        let with_gpus = random.below(self.kinds.len());
        let Kind { allocatable, price, .. } = &mut self.kinds[with_gpus];
        allocatable.gpus = random.between(1, 4);
        *price += 100 * allocatable.gpus;
        for number in 0..self.workloads.len() {
            let workload = &mut self.workloads[number];
            if random.chance(25) {
                workload.requests.gpus = random.between(1, 2);
            }
            workload.pin = match random.below(6) {
                0 | 1 => Pin::Zone(random.below(self.zones)),
                2 => Pin::Kind(random.below(self.kinds.len())),
                _ => Pin::Nothing,
            };
            match random.below(6) {
                0 => {
                    workload.rule = Rule::ZoneApart;
                    workload.replicas = workload.replicas.min(self.zones);
                }
                1 if number > 0 => workload.rule = Rule::ZoneNear(random.below(number)),
                2 if number > 0 => workload.rule = Rule::HostNear(random.below(number)),
                _ => {}
            }
        }
    }

    pub(crate) fn catalog(&self) -> Catalog {
        let mut text =
            "version: 1\nnodeClassRef: {group: g.example.com, kind: Class, name: default}\ntypes:\n".to_owned();
        let zones: Vec<String> = (0..self.zones).map(zone).collect();
        for (number, Kind { allocatable, pods, price }) in self.kinds.iter().enumerate() {
            let (allocatable, zones) = (allocatable.text(), zones.join(", "));
            writeln!(
                text,
                "- {{name: t{number}, arch: amd64, allocatable: {{{allocatable}, pods: {pods}}}, zones: [{zones}], \
                 pricePerHour: {{on-demand: {}.{:03}}}}}",
                price / 1000,
                price % 1000
            )
            .unwrap();
        }
        catalog::parse("tiny", &text).unwrap()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let nodes = self.existing.iter().enumerate().map(|(number, node)| {
            let (zone, resources) = (zone(node.zone), format!("{{{}, pods: 110}}", node.allocatable.text()));
            format!(
                "---\napiVersion: v1\nkind: Node\nmetadata: {{name: n{number}, labels: {{kubernetes.io/hostname: n{number}, \
                 kubernetes.io/arch: amd64, kubernetes.io/os: linux, topology.kubernetes.io/zone: {zone}}}}}\nstatus: \
                 {{capacity: {resources}, allocatable: {resources}, conditions: [{{type: Ready, status: 'True'}}]}}\n"
            )
        });
        let workloads = self.workloads.iter().enumerate().map(|(number, Workload { rule, pin, label, replicas, requests })| {
            format!(
                "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: w{number}}}\nspec:\n  replicas: {replicas}\n  \
                 selector: {{matchLabels: {{app: w{number}}}}}\n  template:\n    metadata: {{labels: {{app: w{number}}}}}\n    \
                 spec: {{{}{}containers: [{{name: c, resources: {{requests: {{{}}}}}}}]}}\n",
                rule.spec(number, *label),
                pin.spec(),
                requests.text()
            )
        });
        let text: String = nodes.chain(workloads).collect();
        lower::parse_manifest(&text).unwrap().into_snapshot()
    }
}

impl Pin {
    /// In the specification of a pod.
    fn spec(self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Zone(number) => format!("nodeSelector: {{topology.kubernetes.io/zone: {}}}, ", zone(number)),
            Self::Kind(number) => format!("nodeSelector: {{node.kubernetes.io/instance-type: t{number}}}, "),
        }
    }
}

fn zone(number: usize) -> String {
    format!("z{number}")
}

/// Two to five node types whose prices follow their sizes more or less. The last one holds any pod without devices.
fn kinds(random: &mut Random) -> Vec<Kind> {
    let smaller = 1 + random.below(4);
    let mut kinds = Vec::new();
    for _ in 0..smaller {
        let cores = *random.pick(&[1, 2, 4, 8]);
        let gibibytes = cores * *random.pick(&[1, 2, 4, 8]);
        kinds.push(kind(random, cores, gibibytes));
    }
    let cores = random.between(4, 12);
    let gibibytes = random.between(8, 48);
    kinds.push(kind(random, cores, gibibytes));
    kinds
}

fn kind(random: &mut Random, cores: u64, gibibytes: u64) -> Kind {
    let price = (20 * cores + 3 * gibibytes) * random.between(80, 120) / 100;
    let pods = if random.chance(20) { random.between(2, 5) } else { 50 };
    // What the system takes is not for pods.
    let allocatable = Amount { cpu: cores * 1000 - 100, memory: gibibytes * 1024 - 100, gpus: 0 };
    Kind { allocatable, pods: usize::try_from(pods).unwrap(), price }
}
