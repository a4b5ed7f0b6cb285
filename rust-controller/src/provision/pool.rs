//! Kinds of nodes: what one Karpenter `NodePool` makes.

use std::collections::BTreeSet;

use super::least_waste::Fit;
use crate::model::{Catalog, Labels, NodeClassRef, Operator, Requirement, key};

/// One kind of node. Pods that need the same kind share it, so that applying its `NodePool` once serves them all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pool {
    /// The provider's node class.
    pub node_class: NodeClassRef,
    /// On well-known keys, sorted.
    pub requirements: Vec<Requirement>,
    /// Labels that its nodes get.
    pub labels: Labels,
    /// The node type.
    pub instance_type: String,
}

impl Pool {
    /// The kind of node that a choice needs: what the pod asks for, narrowed to the chosen node type.
    pub(super) fn of(fit: &Fit, catalog: &Catalog) -> Self {
        let mut requirements: BTreeSet<Requirement> = fit.shape.requirements.iter().cloned().collect();
        let chosen = [
            (key::ARCH, fit.type_labels.get(key::ARCH)),
            (key::OS, fit.type_labels.get(key::OS)),
            (key::CAPACITY_TYPE, Some(&fit.capacity_type)),
            (key::INSTANCE_TYPE, Some(&fit.instance_type)),
        ];
        for (key, value) in chosen {
            requirements.extend(value.map(|value| Requirement {
                key: key.to_owned(),
                operator: Operator::In,
                values: vec![value.clone()],
            }));
        }
        Self {
            node_class: catalog.node_class.clone(),
            requirements: requirements.into_iter().collect(),
            labels: fit.shape.template_labels.clone(),
            instance_type: fit.instance_type.clone(),
        }
    }

    /// A name that is the same for the same kind of node and fits a label value: `planned-c6a.large-0a1b2c3d`.
    #[must_use]
    pub fn name(&self) -> String {
        let readable = |character: char| match character.to_ascii_lowercase() {
            plain @ ('a'..='z' | '0'..='9' | '.' | '-') => plain,
            _ => '-',
        };
        let instance_type: String = self.instance_type.chars().map(readable).take(40).collect();
        let instance_type = instance_type.trim_matches(['.', '-']);
        format!("planned-{instance_type}-{:08x}", crate::units::stable_hash(format!("{self:?}").as_bytes()))
    }
}
