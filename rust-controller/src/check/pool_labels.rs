//! What a pod asks of a new node, with the labels that a `NodePool` may add for its sake.

use std::collections::BTreeSet;

use super::certificate::with_defaults;
use crate::model::{Catalog, Labels, NodeSelectorTerm, Operator, Placement, Requirement};

/// One way for a new node to be what a pod asks for: its node selector, with one term of its node affinity.
#[derive(Clone, Debug)]
pub(super) struct Alternative {
    /// With what is asked for the pod where it says nothing of that.
    pub(super) placement: Placement,
    /// Labels that a `NodePool` may add beyond doubt, of those that are asked for here.
    pub(super) labels: Labels,
}

/// All alternatives of a placement. No pool gives a label on one of the `type_keys`: types of the catalog have it, and a node
/// then has that of its type, or none.
pub(super) fn alternatives(
    placement: &Placement,
    type_keys: &BTreeSet<&str>,
    defaults: &[Requirement],
) -> Vec<Alternative> {
    let alternative = |term: Option<&NodeSelectorTerm>| {
        let own = Placement { node_affinity: term.map(|term| vec![term.clone()]), ..placement.clone() };
        let in_term = term.into_iter().flat_map(|term| &term.labels);
        Alternative {
            placement: with_defaults(&own, defaults),
            labels: pool_labels(in_term, &placement.node_selector, type_keys),
        }
    };
    match placement.node_affinity.as_deref() {
        None => vec![alternative(None)],
        Some(terms) => terms.iter().map(|term| alternative(Some(term))).collect(),
    }
}

/// Keys without a domain on which node types have labels, be they allowed or not.
pub(super) fn type_keys(catalog: &Catalog) -> BTreeSet<&str> {
    let keys = catalog.types.iter().flat_map(|kind| kind.labels.keys()).map(String::as_str);
    keys.filter(|key| !key.contains('/')).collect()
}

/// On keys without a domain that no node type has, with the first value that will do.
fn pool_labels<'a>(
    in_term: impl Iterator<Item = &'a Requirement>,
    selector: &'a Labels,
    type_keys: &BTreeSet<&str>,
) -> Labels {
    let asked = in_term.filter(|asked| asked.operator == Operator::In);
    let asked = asked.filter_map(|Requirement { key, values, .. }| Some((key, values.first()?)));
    let all = asked.chain(selector).filter(|(key, _)| !key.contains('/') && !type_keys.contains(key.as_str()));
    all.map(|(key, value)| (key.clone(), value.clone())).collect()
}
