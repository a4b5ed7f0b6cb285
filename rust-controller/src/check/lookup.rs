//! Selectors of pods by namespace and label, so that a pod is held against few of them.

use crate::model::{LabelSelector, Labels, Operator};
use crate::units::FastMap;

/// Positions of selectors. Most select pods of some namespaces by the one value of a label.
#[derive(Debug, Default)]
pub(super) struct Lookup<'a> {
    /// By namespace, label key and value.
    by_value: FastMap<(&'a str, &'a str, &'a str), Vec<usize>>,
    /// By namespace, where the selector asks for no one value.
    by_namespace: FastMap<&'a str, Vec<usize>>,
    /// Whatever the namespace.
    others: Vec<usize>,
}

impl<'a> Lookup<'a> {
    /// A selector for pods of these namespaces.
    pub(super) fn add(
        &mut self,
        namespaces: impl IntoIterator<Item = &'a str>,
        selector: &'a LabelSelector,
        position: usize,
    ) {
        let value = the_value(selector);
        for namespace in namespaces {
            let positions = match value {
                Some((key, value)) => self.by_value.entry((namespace, key, value)).or_default(),
                None => self.by_namespace.entry(namespace).or_default(),
            };
            positions.push(position);
        }
    }

    /// A selector for pods of any namespace.
    pub(super) fn add_anywhere(&mut self, position: usize) {
        self.others.push(position);
    }

    /// Every selector that may select such a pod, and others, in the order of their positions.
    pub(super) fn candidates(&self, namespace: &str, labels: &Labels) -> Vec<usize> {
        let by_value = labels.iter().filter_map(|(key, value)| self.by_value.get(&(namespace, key, value)));
        let by_namespace = self.by_namespace.get(namespace);
        let mut found: Vec<usize> = by_value.chain(by_namespace).flatten().chain(&self.others).copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// A label that every selected pod has, with its value.
fn the_value(selector: &LabelSelector) -> Option<(&str, &str)> {
    let LabelSelector::Matching(requirements) = selector else { return None };
    requirements.iter().find_map(|requirement| match requirement.values.as_slice() {
        [value] if requirement.operator == Operator::In => Some((requirement.key.as_str(), value.as_str())),
        _ => None,
    })
}
