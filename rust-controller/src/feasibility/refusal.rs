//! Why a node refuses a pod.

use std::fmt;

use super::Rule;
use crate::model::{AffinityTerm, HostPort, LabelSelector, ObjectName, Requirement, Shortfall, Taint};

/// Why a node refuses a pod: one rule, and by how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The node is cordoned.
    Cordoned,
    /// The pod names another node in its spec.
    AnotherNode(String),
    /// A taint that the pod does not tolerate.
    UntoleratedTaint(Taint),
    /// A requirement on the node's labels or name, and what the node has.
    Unmatched {
        /// The first requirement that does not hold; of several alternatives, the first one's.
        requirement: Requirement,
        /// The node's value at its key.
        found: Option<String>,
    },
    /// A required node affinity without any term or requirement, which matches no node.
    EmptyAffinity,
    /// A port that another pod has taken.
    PortTaken(HostPort),
    /// Too little room, by resource.
    TooSmall(Vec<Shortfall>),
    /// A disk that a pod on the node has mounted, and that they cannot share.
    DiskInUse(String),
    /// A claim that only one pod may use, and another does.
    ClaimInUse(ObjectName),
    /// More volumes than the node can attach.
    TooManyVolumes {
        /// CSI driver.
        driver: String,
        /// Volumes of the pod that would have to be attached.
        needed: u32,
        /// How many more the node can attach.
        free: u32,
    },
    /// A claim of an ephemeral volume of a pod on the node that was made for yet another pod: the scheduler gives up on
    /// counting what is attached there.
    NotItsClaim(ObjectName),
    /// A claim that cannot be used anywhere as it is.
    UnusableClaim {
        /// The plugin that looks at it.
        rule: Rule,
        /// The claim.
        claim: ObjectName,
        /// What is wrong with it.
        problem: ClaimProblem,
    },
    /// A volume that cannot be attached here: a requirement of it on the node's labels, and what the node has.
    VolumeElsewhere {
        /// The first requirement that does not hold; of several alternatives, the first one's.
        requirement: Requirement,
        /// The node's value at its key.
        found: Option<String>,
    },
    /// A volume whose node affinity is empty, which matches no node.
    VolumeNowhere,
    /// A claim of this storage class for which no volume is here, and none can be made here.
    NoVolume(String),
    /// A volume that is being made for this other node.
    VolumeForAnotherNode(String),
    /// A volume in another zone or region than the node.
    VolumeInAnotherZone {
        /// Label key of the zone or region.
        key: String,
        /// Where the volume is.
        zones: Vec<String>,
    },
    /// A node without the label over whose values the pods must spread.
    NoSpreadDomain(String),
    /// One more pod here would leave the pods too uneven.
    Skewed(Box<Skew>),
    /// A node without the label that an affinity term speaks of.
    NoAffinityDomain(String),
    /// No pod that the term asks for is near.
    NotNear(Box<AffinityTerm>),
    /// A pod near which this one must not run.
    TooNear(Box<AffinityTerm>),
    /// A pod near, that must not run near this one.
    KeptAway(Box<AffinityTerm>),
    /// The pod claims devices, which nothing here can judge.
    Devices,
}

/// How uneven the pods of a spread constraint would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skew {
    /// The node label whose values are the domains.
    pub topology_key: String,
    /// The node's domain.
    pub domain: String,
    /// The pods that count.
    pub selector: LabelSelector,
    /// How many of them the domain would have.
    pub would_be: u32,
    /// How many the emptiest domain has.
    pub fewest: u32,
    /// How many domains the constraint asks for, where there are fewer: then the fewest counts as none.
    pub missing_domains: Option<u32>,
    /// By how many a domain may exceed it.
    pub max_skew: u32,
}

/// Why a claim cannot be used anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimProblem {
    /// There is none of that name.
    Missing,
    /// Its volume is gone.
    Lost,
    /// Being deleted.
    Deleting,
    /// It was made for another pod.
    OfAnotherPod,
    /// It waits for its volume, and no pod can change that.
    Unbound,
    /// The volume that it is bound to does not exist.
    VolumeMissing,
    /// Its storage class does not exist, or it names none.
    NoStorageClass,
}

impl Refusal {
    /// The rule that refuses.
    #[must_use]
    pub fn rule(&self) -> Rule {
        match self {
            Self::Cordoned => Rule::NodeUnschedulable,
            Self::AnotherNode(_) => Rule::NodeName,
            Self::UntoleratedTaint(_) => Rule::TaintToleration,
            Self::Unmatched { .. } | Self::EmptyAffinity => Rule::NodeAffinity,
            Self::PortTaken(_) => Rule::NodePorts,
            Self::TooSmall(_) => Rule::NodeResourcesFit,
            Self::DiskInUse(_) | Self::ClaimInUse(_) => Rule::VolumeRestrictions,
            Self::TooManyVolumes { .. } | Self::NotItsClaim(_) => Rule::NodeVolumeLimits,
            Self::UnusableClaim { rule, .. } => *rule,
            Self::VolumeElsewhere { .. } | Self::VolumeNowhere | Self::NoVolume(_) | Self::VolumeForAnotherNode(_) => {
                Rule::VolumeBinding
            }
            Self::VolumeInAnotherZone { .. } => Rule::VolumeZone,
            Self::NoSpreadDomain(_) | Self::Skewed(_) => Rule::PodTopologySpread,
            Self::NoAffinityDomain(_) | Self::NotNear(_) | Self::TooNear(_) | Self::KeptAway(_) => {
                Rule::InterPodAffinity
            }
            Self::Devices => Rule::DynamicResources,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cordoned => out.write_str("the node is cordoned"),
            Self::AnotherNode(name) => write!(out, "its spec names the node {name}"),
            Self::UntoleratedTaint(taint) => write!(out, "does not tolerate the taint {taint}"),
            Self::Unmatched { requirement, found } => write!(out, "asks for {requirement}, {}", Has(found.as_deref())),
            Self::EmptyAffinity => out.write_str("its required node affinity is empty, which matches no node"),
            Self::PortTaken(HostPort { protocol, port, ip }) => {
                write!(out, "needs port {port}/{protocol} of the node on {ip}, which is taken")
            }
            Self::TooSmall(short) => {
                let short: Vec<String> = short.iter().map(Shortfall::to_string).collect();
                out.write_str(&short.join("; "))
            }
            Self::DiskInUse(disk) => write!(out, "mounts the disk {disk}, which a pod on the node has mounted"),
            Self::ClaimInUse(claim) => write!(out, "claim {claim} is for one pod only, and another uses it"),
            Self::TooManyVolumes { driver, needed, free } => {
                let volumes = if *needed == 1 { "volume" } else { "volumes" };
                write!(out, "needs {needed} more {volumes} of {driver}, the node can attach {free}")
            }
            Self::NotItsClaim(claim) => {
                write!(out, "a pod on the node mounts claim {claim}, which was made for another pod")
            }
            Self::UnusableClaim { claim, problem, .. } => write!(out, "claim {claim} {problem}"),
            Self::VolumeElsewhere { requirement, found } => {
                write!(out, "its volume asks for {requirement}, {}", Has(found.as_deref()))
            }
            Self::VolumeNowhere => out.write_str("the node affinity of its volume is empty, which matches no node"),
            Self::NoVolume(class) => {
                write!(out, "claims a volume of storage class {class}: none is here, and none can be made here")
            }
            Self::VolumeForAnotherNode(node) => write!(out, "its volume is being made for node {node}"),
            Self::VolumeInAnotherZone { key, zones } => {
                write!(out, "its volume has {key} {}, the node has not", zones.join(" or "))
            }
            Self::NoSpreadDomain(key) => write!(out, "spreads over {key}, the node has none"),
            Self::Skewed(skew) => skew.fmt(out),
            Self::NoAffinityDomain(key) => write!(out, "must run near other pods by {key}, the node has none"),
            Self::NotNear(term) => {
                write!(out, "must run near {} by {}, and none is near", Who(term), term.topology_key)
            }
            Self::TooNear(term) => {
                write!(out, "must not run near {} by {}, and one is near", Who(term), term.topology_key)
            }
            Self::KeptAway(term) => {
                write!(out, "a pod near must not run near {} by {}", Who(term), term.topology_key)
            }
            Self::Devices => out.write_str("claims devices: DRA not supported"),
        }
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topology_key, domain, selector, would_be, fewest, missing_domains, max_skew } = self;
        write!(out, "spreads {selector} over {topology_key}: {domain:?} would have {would_be}, the fewest ")?;
        match missing_domains {
            Some(asked) => write!(out, "counts as 0, since there are fewer than {asked} domains")?,
            None => write!(out, "is {fewest}")?,
        }
        write!(out, ", at most {max_skew} more {} allowed", if *max_skew == 1 { "is" } else { "are" })
    }
}

impl fmt::Display for ClaimProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Missing => "does not exist",
            Self::Lost => "has lost its volume",
            Self::Deleting => "is being deleted",
            Self::OfAnotherPod => "was made for another pod",
            Self::Unbound => "waits for its volume, which comes without a pod",
            Self::VolumeMissing => "is bound to a volume that does not exist",
            Self::NoStorageClass => "names no storage class that exists",
        })
    }
}

/// What the node has at a label, as a part of a sentence.
struct Has<'a>(Option<&'a str>);

impl fmt::Display for Has<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => write!(out, "the node has {value:?}"),
            None => out.write_str("the node has none"),
        }
    }
}

/// The pods of an affinity term, as a part of a sentence.
struct Who<'a>(&'a AffinityTerm);

impl fmt::Display for Who<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AffinityTerm { selector, namespaces, namespace_selector, .. } = self.0;
        let named: Vec<&str> = namespaces.iter().map(String::as_str).collect();
        write!(out, "{selector}")?;
        match namespace_selector {
            everything if everything.is_everything() => out.write_str(" in all namespaces"),
            LabelSelector::Nothing => write!(out, " in {}", named.join(", ")),
            LabelSelector::Matching(requirements) => {
                let labels: Vec<String> = requirements.iter().map(Requirement::to_string).collect();
                let also = if named.is_empty() { String::new() } else { format!("{} and ", named.join(", ")) };
                write!(out, " in {also}namespaces with {}", labels.join(" and "))
            }
        }
    }
}
