//! May this pod run on that node? The answers of kube-scheduler's filter plugins, with the reason.
//!
//! Checked here: `NodeUnschedulable`, `TaintToleration`, `NodeAffinity`, `NodeResourcesFit`, in the scheduler's
//! order. The rules that are not are named in [`crate::model::Pod::unchecked_rules`].

mod selector;

use std::fmt;

pub use selector::requirement_matches;

use crate::model::{
    Labels, Node, Placement, Pod, Requirement, Resources, Shortfall, Taint, TaintEffect, Toleration, TolerationMatch,
};

/// What the rules look at on a node, existing or planned.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// `None` for a planned node: no pod can ask for it by name.
    pub name: Option<&'a str>,
    /// The node's labels.
    pub labels: &'a Labels,
    /// Labels that a planned node gets on top of those of its type.
    pub extra_labels: Option<&'a Labels>,
    /// The node's taints.
    pub taints: &'a [Taint],
    /// Whether the node is cordoned.
    pub unschedulable: bool,
}

/// Why a node refuses a pod: the first rule that does, in the scheduler's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The node is cordoned.
    Cordoned,
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
    /// Too little room, by resource.
    TooSmall(Vec<Shortfall>),
}

impl<'a> Target<'a> {
    /// An existing node.
    #[must_use]
    pub fn existing(node: &'a Node) -> Self {
        Self {
            name: Some(&node.name),
            labels: &node.labels,
            extra_labels: None,
            taints: &node.taints,
            unschedulable: node.unschedulable,
        }
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&'a str> {
        self.extra_labels.and_then(|labels| labels.get(key)).or_else(|| self.labels.get(key)).map(String::as_str)
    }
}

/// Whether `pod` may run on the node, of whose allocatable `free` is left. Faster than asking for the reason.
#[must_use]
pub fn may_run(pod: &Pod, target: &Target<'_>, free: &Resources) -> bool {
    pod.requests.fits(free) && placement_refusal(&pod.placement, target).is_none()
}

/// Why `pod` may not run on the node, of whose allocatable `free` is left; `None` where it may.
#[must_use]
pub fn refusal(pod: &Pod, target: &Target<'_>, free: &Resources) -> Option<Refusal> {
    placement_refusal(&pod.placement, target).or_else(|| resource_refusal(&pod.requests, free))
}

/// Why the node's taints, labels or name refuse the pod.
#[must_use]
pub fn placement_refusal(placement: &Placement, target: &Target<'_>) -> Option<Refusal> {
    if target.unschedulable && !tolerates(&placement.tolerations, &cordon_taint()) {
        return Some(Refusal::Cordoned);
    }
    let untolerated = target
        .taints
        .iter()
        .find(|taint| taint.effect != TaintEffect::PreferNoSchedule && !tolerates(&placement.tolerations, taint));
    if let Some(taint) = untolerated {
        return Some(Refusal::UntoleratedTaint(taint.clone()));
    }
    selector::refusal(placement, target)
}

/// Why the room that is left refuses the pod.
#[must_use]
pub fn resource_refusal(requests: &Resources, free: &Resources) -> Option<Refusal> {
    let short: Vec<Shortfall> = requests.shortfalls(free).collect();
    (!short.is_empty()).then_some(Refusal::TooSmall(short))
}

/// A cordon is this taint in another form, so a pod that tolerates the taint ignores the cordon.
fn cordon_taint() -> Taint {
    Taint { key: "node.kubernetes.io/unschedulable".to_owned(), value: String::new(), effect: TaintEffect::NoSchedule }
}

fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| {
        toleration.effect.is_none_or(|effect| effect == taint.effect)
            && (toleration.key.is_empty() || toleration.key == taint.key)
            && match &toleration.value {
                TolerationMatch::Exists => true,
                TolerationMatch::Equal(value) => *value == taint.value,
            }
    })
}

impl Refusal {
    /// The scheduler plugin whose rule it is.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Cordoned => "NodeUnschedulable",
            Self::UntoleratedTaint(_) => "TaintToleration",
            Self::Unmatched { .. } | Self::EmptyAffinity => "NodeAffinity",
            Self::TooSmall(_) => "NodeResourcesFit",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cordoned => out.write_str("the node is cordoned"),
            Self::UntoleratedTaint(taint) => write!(out, "does not tolerate the taint {taint}"),
            Self::Unmatched { requirement, found: Some(found) } => {
                write!(out, "asks for {requirement}, the node has {found:?}")
            }
            Self::Unmatched { requirement, found: None } => write!(out, "asks for {requirement}, the node has none"),
            Self::EmptyAffinity => out.write_str("its required node affinity is empty, which matches no node"),
            Self::TooSmall(short) => {
                let short: Vec<String> = short.iter().map(Shortfall::to_string).collect();
                out.write_str(&short.join("; "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Cpu;

    fn taint(key: &str, value: &str, effect: TaintEffect) -> Taint {
        Taint { key: key.to_owned(), value: value.to_owned(), effect }
    }

    fn toleration(key: &str, value: TolerationMatch, effect: Option<TaintEffect>) -> Toleration {
        Toleration { key: key.to_owned(), value, effect }
    }

    fn refused(tolerations: Vec<Toleration>, taints: &[Taint], unschedulable: bool) -> Option<Refusal> {
        let placement = Placement { tolerations, ..Placement::default() };
        let labels = Labels::new();
        let target = Target { name: Some("n"), labels: &labels, extra_labels: None, taints, unschedulable };
        placement_refusal(&placement, &target)
    }

    #[test]
    fn a_taint_is_tolerated_by_key_value_and_effect_and_wishes_never_refuse() {
        let gpu = taint("gpu", "a100", TaintEffect::NoSchedule);
        let exactly = toleration("gpu", TolerationMatch::Equal("a100".to_owned()), Some(TaintEffect::NoSchedule));
        let other_effect = toleration("gpu", TolerationMatch::Exists, Some(TaintEffect::NoExecute));
        let everything = toleration("", TolerationMatch::Exists, None);
        assert_eq!(refused(vec![exactly], std::slice::from_ref(&gpu), false), None);
        assert_eq!(refused(vec![everything], std::slice::from_ref(&gpu), true), None);
        let refusal = refused(vec![other_effect], std::slice::from_ref(&gpu), false).unwrap();
        assert_eq!(refusal.to_string(), "does not tolerate the taint gpu=a100:NoSchedule");
        assert_eq!(refused(vec![], &[taint("soft", "", TaintEffect::PreferNoSchedule)], false), None);
    }

    #[test]
    fn a_cordon_refuses_who_does_not_tolerate_its_taint() {
        let key = "node.kubernetes.io/unschedulable";
        let tolerant = toleration(key, TolerationMatch::Exists, Some(TaintEffect::NoSchedule));
        assert_eq!(refused(vec![], &[], true), Some(Refusal::Cordoned));
        assert_eq!(refused(vec![tolerant], &[], true), None);
    }

    #[test]
    fn too_little_room_names_every_short_resource() {
        let needs = Resources { cpu: Cpu::millicores(2000), pods: 1, ..Resources::default() };
        let free = Resources { cpu: Cpu::millicores(1400), ..Resources::default() };
        let refusal = resource_refusal(&needs, &free).unwrap();
        assert_eq!(refusal.to_string(), "needs 2 cpu, 1400m free; needs 1 pods, 0 free");
    }
}
