//! Kinds of nodes: what one Karpenter `NodePool` makes.

use std::collections::{BTreeMap, btree_map::Entry};

use super::least_waste::Fit;
use crate::model::{Catalog, Labels, NodeClassRef, Operator, Requirement, key};
use crate::units::stable_hash;

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
        let mut requirements = merged(&fit.shape.requirements);
        let chosen = [
            (key::ARCH, fit.type_labels.get(key::ARCH)),
            (key::OS, fit.type_labels.get(key::OS)),
            (key::CAPACITY_TYPE, Some(&fit.capacity_type)),
            (key::INSTANCE_TYPE, Some(&fit.instance_type)),
        ];
        for (key, value) in chosen {
            let Some(value) = value else { continue };
            requirements.retain(|each| each.key != key || each.operator != Operator::In);
            requirements.push(Requirement { key: key.to_owned(), operator: Operator::In, values: vec![value.clone()] });
        }
        requirements.sort();
        Self {
            node_class: catalog.node_class.clone(),
            requirements,
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
        format!("planned-{instance_type}-{:08x}", stable_hash(self.identity().as_bytes()))
    }

    /// Everything that tells this kind from others, in a form that stays the same from one version of this program to
    /// the next.
    fn identity(&self) -> String {
        let Self { node_class, requirements, labels, instance_type } = self;
        let requirements: Vec<String> = requirements.iter().map(Requirement::to_string).collect();
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
        let NodeClassRef { group, kind, name } = node_class;
        format!("{group}/{kind}/{name};{instance_type};{};{}", requirements.join(";"), labels.join(";"))
    }
}

/// At most one requirement of each operator on a key: a `NodePool` takes a hundred requirements, and a pod may have more
/// of them that say the same together.
fn merged(requirements: &[Requirement]) -> Vec<Requirement> {
    let mut merged: BTreeMap<(&str, Operator), Vec<String>> = BTreeMap::new();
    for Requirement { key, operator, values } in requirements {
        match merged.entry((key, *operator)) {
            Entry::Vacant(entry) => drop(entry.insert(values.clone())),
            Entry::Occupied(mut entry) => match operator {
                Operator::In => entry.get_mut().retain(|value| values.contains(value)),
                Operator::NotIn => entry.get_mut().extend(values.iter().cloned()),
                Operator::Gt | Operator::Lt => {
                    let stricter = |value: &String| value.parse::<i64>().ok();
                    let bounds = entry.get().iter().chain(values).filter_map(stricter);
                    let bound = if *operator == Operator::Gt { bounds.max() } else { bounds.min() };
                    *entry.get_mut() = bound.map(|bound| bound.to_string()).into_iter().collect();
                }
                Operator::Exists | Operator::DoesNotExist => {}
            },
        }
    }
    let requirement = |((key, operator), mut values): ((&str, Operator), Vec<String>)| {
        values.sort();
        values.dedup();
        Requirement { key: key.to_owned(), operator, values }
    };
    merged.into_iter().map(requirement).collect()
}
