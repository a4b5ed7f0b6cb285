//! Node types that could be bought, and the catalogs that list them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{AttachCounts, Labels, Resources, key};
use crate::units::Money;

/// The node types of one provider with their prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// `generic`, `aws`, …, or the path of the file it came from.
    pub name: String,
    /// ISO 4217 code of all its prices.
    pub currency: String,
    /// Where and when the prices held, for a person: `us-east-1, 2026-07-20`. Empty where nobody said.
    pub price_source: String,
    /// What a `NodePool` of this provider refers to.
    pub node_class: NodeClassRef,
    /// Sorted by name, no name twice.
    pub types: Vec<NodeType>,
}

/// Reference to the provider's node class object, as in a `NodePool`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeClassRef {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Object name.
    pub name: String,
}

/// One kind of machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeType {
    /// The provider's name: the value of `node.kubernetes.io/instance-type`.
    pub name: String,
    /// What pods, daemon pods included, may request of such a node.
    pub allocatable: Resources,
    /// Labels that such a node joins with, except those of an offering (zone, capacity type), its type's name and its
    /// host name.
    pub labels: Labels,
    /// How many volumes of each CSI driver it can attach, as live nodes of the type say; no catalog does.
    pub attach_limits: Arc<AttachCounts>,
    /// Where and how it can be had. Sorted by zone, then capacity type.
    pub offerings: Vec<Offering>,
}

/// One way to have a node type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offering {
    /// Availability zone; empty where the provider has none.
    pub zone: String,
    /// `on-demand`, `spot` or `reserved`.
    pub capacity_type: String,
    /// Per hour; `None` where it is not known, which is not the same as free.
    pub price_per_hour: Option<Money>,
}

impl NodeType {
    /// The labels that a node of this type joins with when it is launched as `offering`; its host name and the name of
    /// its `NodePool` are there with [`key::UNKNOWN_VALUE`], and the other keys under which kubelets and clouds repeat
    /// them, too.
    #[must_use]
    pub fn labels_as(&self, offering: &Offering) -> Labels {
        let mut labels = self.labels.clone();
        labels.insert(key::INSTANCE_TYPE.to_owned(), self.name.clone());
        if !offering.zone.is_empty() {
            labels.insert(key::ZONE.to_owned(), offering.zone.clone());
        }
        labels.insert(key::CAPACITY_TYPE.to_owned(), offering.capacity_type.clone());
        labels.extend(key::UNKNOWN_BEFOREHAND.map(|key| (key.to_owned(), key::UNKNOWN_VALUE.to_owned())));
        for (alias, stable) in key::ALIASES {
            if let Some(value) = labels.get(stable).cloned() {
                labels.insert(alias.to_owned(), value);
            }
        }
        labels
    }
}

impl Catalog {
    /// The type of this name.
    #[must_use]
    pub fn node_type(&self, name: &str) -> Option<&NodeType> {
        let found = self.types.binary_search_by(|kind| kind.name.as_str().cmp(name)).ok()?;
        self.types.get(found)
    }

    /// The price per hour of a live node with these labels; `None` where its type or capacity type is not in the
    /// catalog or has no price. A node that does not say its capacity type is taken as on-demand; one in a zone that
    /// the catalog does not list, at the lowest price of the others.
    #[must_use]
    pub fn price_per_hour(&self, labels: &Labels) -> Option<Money> {
        let label = |key: &str| labels.get(key).map(String::as_str);
        let node_type = self.node_type(label(key::INSTANCE_TYPE)?)?;
        let capacity_type = label(key::CAPACITY_TYPE).unwrap_or("on-demand");
        let offerings = node_type.offerings.iter().filter(|offering| offering.capacity_type == capacity_type);
        let ranked = offerings.filter_map(|offering| {
            let other_zone = label(key::ZONE) != Some(&offering.zone);
            Some((other_zone, offering.price_per_hour?))
        });
        ranked.min().map(|(_, price)| price)
    }
}
