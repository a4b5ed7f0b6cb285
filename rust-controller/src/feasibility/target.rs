//! The rules that look at one node by itself: its cordon, its name, its taints and its labels.

use super::{Refusal, Rule, node_selector};
use crate::model::{Labels, Node, Placement, Taint, TaintEffect, Toleration, TolerationMatch};

/// What these rules look at on a node, existing or new.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// `None` for a new node: no pod can ask for it by name.
    pub name: Option<&'a str>,
    /// The node's labels.
    pub labels: &'a Labels,
    /// Labels that the `NodePool` of a new node adds; they win over its others.
    pub template_labels: &'a Labels,
    /// The node's taints.
    pub taints: &'a [Taint],
    /// Whether the node is cordoned.
    pub unschedulable: bool,
}

impl<'a> Target<'a> {
    /// An existing node.
    #[must_use]
    pub fn existing(node: &'a Node) -> Self {
        Self {
            name: Some(&node.name),
            labels: &node.labels,
            template_labels: &NO_LABELS,
            taints: &node.taints,
            unschedulable: node.unschedulable,
        }
    }

    /// A new node with these labels, and without taints.
    #[must_use]
    pub fn new(labels: &'a Labels) -> Self {
        Self { name: None, labels, template_labels: &NO_LABELS, taints: &[], unschedulable: false }
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&'a str> {
        self.template_labels.get(key).or_else(|| self.labels.get(key)).map(String::as_str)
    }
}

/// Labels of nobody.
static NO_LABELS: Labels = Labels::new();

/// Why the node refuses the pod whatever runs there: the first of these rules that does, in the scheduler's order.
#[must_use]
pub fn placement_refusal(placement: &Placement, target: &Target<'_>) -> Option<Refusal> {
    RULES.iter().find_map(|(_, rule)| rule(placement, target))
}

/// The same as that there is no [`placement_refusal`], and quicker.
#[must_use]
pub fn placement_admits(placement: &Placement, target: &Target<'_>) -> bool {
    node_selector::admits(placement, target)
        && [cordon, name, taints].iter().all(|rule| rule(placement, target).is_none())
}

/// One rule about one node.
pub(super) type PlacementRule = fn(&Placement, &Target<'_>) -> Option<Refusal>;

/// The rules of this file, in the scheduler's order.
pub(super) const RULES: [(Rule, PlacementRule); 4] = [
    (Rule::NodeUnschedulable, cordon),
    (Rule::NodeName, name),
    (Rule::TaintToleration, taints),
    (Rule::NodeAffinity, node_selector::refusal),
];

/// Where in [`RULES`] the taints are.
pub(super) const TAINTS: usize = 2;
/// Where in [`RULES`] node selector and affinity are.
pub(super) const AFFINITY: usize = 3;

/// A cordon is a taint in another form, so a pod that tolerates the taint ignores the cordon.
fn cordon(placement: &Placement, target: &Target<'_>) -> Option<Refusal> {
    (target.unschedulable && !tolerates(&placement.tolerations, &cordon_taint())).then_some(Refusal::Cordoned)
}

/// The taint that stands for a cordon.
pub(super) fn cordon_taint() -> Taint {
    let key = "node.kubernetes.io/unschedulable".to_owned();
    Taint { key, value: String::new(), effect: TaintEffect::NoSchedule }
}

fn name(placement: &Placement, target: &Target<'_>) -> Option<Refusal> {
    let named = placement.node_name.as_ref()?;
    (target.name != Some(named)).then(|| Refusal::AnotherNode(named.clone()))
}

fn taints(placement: &Placement, target: &Target<'_>) -> Option<Refusal> {
    let untolerated =
        |taint: &&Taint| taint.effect != TaintEffect::PreferNoSchedule && !tolerates(&placement.tolerations, taint);
    target.taints.iter().find(untolerated).map(|taint| Refusal::UntoleratedTaint(taint.clone()))
}

/// Whether one of the tolerations is for the taint.
#[must_use]
pub fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| {
        toleration.effect.is_none_or(|effect| effect == taint.effect)
            && (toleration.key.is_empty() || toleration.key == taint.key)
            && match &toleration.value {
                TolerationMatch::Exists => true,
                TolerationMatch::Equal(value) => *value == taint.value,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(key: &str, value: &str, effect: TaintEffect) -> Taint {
        Taint { key: key.to_owned(), value: value.to_owned(), effect }
    }

    fn toleration(key: &str, value: TolerationMatch, effect: Option<TaintEffect>) -> Toleration {
        Toleration { key: key.to_owned(), value, effect }
    }

    fn refused(tolerations: Vec<Toleration>, taints: &[Taint], unschedulable: bool) -> Option<Refusal> {
        let placement = Placement { tolerations, ..Placement::default() };
        placement_refusal(&placement, &Target { name: Some("n"), taints, unschedulable, ..Target::new(&NO_LABELS) })
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
    fn a_pod_that_names_its_node_runs_on_no_other() {
        let placement = Placement { node_name: Some("n1".to_owned()), ..Placement::default() };
        let on = |name| placement_refusal(&placement, &Target { name, ..Target::new(&NO_LABELS) });
        assert_eq!(on(Some("n1")), None);
        assert_eq!(on(Some("n2")), Some(Refusal::AnotherNode("n1".to_owned())));
        assert_eq!(on(None).unwrap().to_string(), "its spec names the node n1");
    }
}
