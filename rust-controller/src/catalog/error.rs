//! What can be wrong with a catalog file.

use crate::units::{MoneyError, QuantityError};

/// Something wrong with a catalog file, and where:
/// `catalog prices.yaml: type "c6a.large": allocatable.cpu: "2x" is not a quantity (examples: 250m, 1.5, 512Mi)`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("catalog {catalog}: {}{problem}", place(.node_type.as_deref(), .field))]
pub struct CatalogError {
    /// Name of the catalog: the path of its file.
    pub catalog: String,
    /// Name of the node type, where it has one.
    pub node_type: Option<String>,
    /// Path of the field within the type, or within the file; empty for the whole of it.
    pub field: String,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Neither YAML nor JSON; the parser's message, with line and column.
    #[error("not readable: {0}")]
    Syntax(String),
    /// Another kind of value is expected.
    #[error("must be {0}")]
    Shape(&'static str),
    /// A required field is not there.
    #[error("is missing")]
    Missing,
    /// A field that the format does not have; the fields that it has.
    #[error("is not a field of the format (known here: {0})")]
    UnknownField(String),
    /// A format version that this program does not read.
    #[error("{0} is not a known version (known: 1)")]
    UnknownVersion(String),
    /// A catalog without node types.
    #[error("lists no node type")]
    NoTypes,
    /// A file of KWOK's of which every type is left out.
    #[error("lists no node type that runs Linux, has an offering, and leaves something for pods")]
    NoUsableTypes,
    /// Text where there must be some.
    #[error("is empty")]
    Empty,
    /// Text that would not stay in its line.
    #[error("must be one line of at most 100 characters")]
    NotALine,
    /// Two types share a name.
    #[error("two node types have this name")]
    DuplicateType,
    /// Not a quantity.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    /// Not a price.
    #[error(transparent)]
    Price(#[from] MoneyError),
    /// A resource of which pods could have nothing.
    #[error("leaves nothing for pods")]
    NothingForPods,
    /// Neither one of Kubernetes' resources nor an extended one.
    #[error("is not a resource (known: cpu, memory, pods, ephemeral-storage, hugepages-… and example.com/device)")]
    UnknownResource,
    /// Not a processor architecture of Kubernetes.
    #[error("{0:?} is not an architecture (known: 386, amd64, arm, arm64, ppc64le, riscv64, s390x)")]
    UnknownArch(String),
    /// Not a capacity type of Karpenter.
    #[error("{0:?} is not a capacity type (known: on-demand, reserved, spot)")]
    UnknownCapacityType(String),
    /// An empty list of zones, so the type could never be had.
    #[error("lists no zone (leave it out for any zone)")]
    NoZones,
    /// The same zone again in one list.
    #[error("{0} stands in the list already")]
    ZoneTwice(String),
    /// A part of a device or of a place for a pod, which are had whole or not at all.
    #[error("must be a whole number")]
    Fraction,
    /// Not a label key.
    #[error("is not a label key")]
    LabelKey,
    /// Not a label value, which names of types and zones have to be as well.
    #[error("{0:?} is not a label value (at most 63 letters, digits, '-', '_' and '.')")]
    LabelValue(String),
    /// A label that differs from node to node of one type.
    #[error("differs from node to node and cannot be a label of a type")]
    PerNodeLabel,
    /// A label that another field of the type says otherwise.
    #[error("{found:?} contradicts {other:?}")]
    Contradiction {
        /// The value here.
        found: String,
        /// The value elsewhere.
        other: String,
    },
    /// A currency that is not an ISO 4217 code.
    #[error("{0:?} is not a currency code of three capital letters")]
    Currency(String),
}

fn place(node_type: Option<&str>, field: &str) -> String {
    let node_type = node_type.map(|name| format!("type {name:?}: ")).unwrap_or_default();
    let separator = if field.is_empty() { "" } else { ": " };
    format!("{node_type}{field}{separator}")
}
