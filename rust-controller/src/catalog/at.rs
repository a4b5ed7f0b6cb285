//! Reading fields out of a [`Tree`] while keeping track of where, for error messages.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::error::{CatalogError, Problem};
use crate::catalog::labels::arch;
use crate::catalog::tree::Tree;
use crate::model::{Catalog, NodeClassRef, NodeType, is_label_value};
use crate::units::{Money, Quantity};

/// A place in a catalog file.
#[derive(Clone)]
pub(super) struct At {
    catalog: String,
    node_type: Option<String>,
    field: String,
}

impl At {
    /// The whole file.
    pub(super) fn file(catalog: &str) -> Self {
        Self { catalog: catalog.to_owned(), node_type: None, field: String::new() }
    }

    /// The node type of this name.
    pub(super) fn node_type(&self, name: &str) -> Self {
        Self { catalog: self.catalog.clone(), node_type: Some(name.to_owned()), field: String::new() }
    }

    /// A field of the map here.
    pub(super) fn field(&self, name: &str) -> Self {
        let dot = if self.field.is_empty() { "" } else { "." };
        Self { field: format!("{}{dot}{name}", self.field), ..self.clone() }
    }

    /// An element of the list here.
    pub(super) fn element(&self, index: usize) -> Self {
        Self { field: format!("{}[{index}]", self.field), ..self.clone() }
    }

    /// An error about this place.
    pub(super) fn fail(&self, problem: impl Into<Problem>) -> CatalogError {
        let Self { catalog, node_type, field } = self.clone();
        CatalogError { catalog, node_type, field, problem: problem.into() }
    }

    /// A catalog of these types, once they are sorted and found to have names of their own.
    pub(super) fn catalog(
        &self,
        (currency, price_source): (String, String),
        node_class: NodeClassRef,
        mut types: Vec<NodeType>,
    ) -> Result<Catalog, CatalogError> {
        types.sort_by(|one, other| one.name.cmp(&other.name));
        if let Some((twin, _)) = types.iter().zip(types.iter().skip(1)).find(|(one, other)| one.name == other.name) {
            return Err(self.node_type(&twin.name).field("name").fail(Problem::DuplicateType));
        }
        Ok(Catalog { name: self.catalog.clone(), currency, price_source, node_class, types })
    }
}

/// A value and its place.
#[derive(Clone)]
pub(super) struct Node<'t> {
    pub(super) at: At,
    pub(super) tree: &'t Tree,
}

/// The fields of a map, and its place.
pub(super) struct Fields<'t> {
    pub(super) at: At,
    map: &'t BTreeMap<String, Tree>,
}

impl<'t> Fields<'t> {
    pub(super) fn new(at: At, map: &'t BTreeMap<String, Tree>) -> Self {
        Self { at, map }
    }

    /// The field of this name, unless it is absent or null.
    pub(super) fn optional(&self, name: &str) -> Option<Node<'t>> {
        let tree = self.map.get(name).filter(|tree| **tree != Tree::Null)?;
        Some(Node { at: self.at.field(name), tree })
    }

    /// The field of this name.
    pub(super) fn required(&self, name: &str) -> Result<Node<'t>, CatalogError> {
        self.optional(name).ok_or_else(|| self.at.field(name).fail(Problem::Missing))
    }

    /// The field of this name in capital or small letters, as Go reads JSON, unless it is absent or null.
    pub(super) fn any_case(&self, name: &str) -> Option<Node<'t>> {
        let spelling = self.map.keys().find(|spelling| spelling.eq_ignore_ascii_case(name))?;
        self.optional(spelling)
    }

    /// Refuses every field but these.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), CatalogError> {
        let unknown = self.map.keys().find(|name| !known.contains(&name.as_str()));
        unknown.map_or(Ok(()), |name| Err(self.at.field(name).fail(Problem::UnknownField(known.join(", ")))))
    }

    /// Every field with its name, nulls included, sorted by name.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'t str, Node<'t>)> {
        self.map.iter().map(|(name, tree)| (name.as_str(), Node { at: self.at.field(name), tree }))
    }
}

impl<'t> Node<'t> {
    /// An error about this value.
    pub(super) fn fail(&self, problem: impl Into<Problem>) -> CatalogError {
        self.at.fail(problem)
    }

    pub(super) fn map(&self) -> Result<Fields<'t>, CatalogError> {
        match self.tree {
            Tree::Map(map) => Ok(Fields { at: self.at.clone(), map }),
            _ => Err(self.fail(Problem::Shape("a map"))),
        }
    }

    pub(super) fn list(&self) -> Result<impl Iterator<Item = Node<'t>> + use<'t>, CatalogError> {
        let Tree::List(list) = self.tree else { return Err(self.fail(Problem::Shape("a list"))) };
        let at = self.at.clone();
        Ok(list.iter().enumerate().map(move |(index, tree)| Node { at: at.element(index), tree }))
    }

    pub(super) fn text(&self) -> Result<&'t str, CatalogError> {
        match self.tree {
            Tree::Text(text) => Ok(text),
            Tree::Number(_) | Tree::Bool(_) => Err(self.fail(Problem::Shape("text: put it in quotes"))),
            _ => Err(self.fail(Problem::Shape("text"))),
        }
    }

    /// Text that may be the value of a label.
    pub(super) fn label_value(&self) -> Result<&'t str, CatalogError> {
        let text = self.text()?;
        if is_label_value(text) { Ok(text) } else { Err(self.fail(Problem::LabelValue(text.to_owned()))) }
    }

    /// Text that may be the value of a label, and not empty: a name.
    pub(super) fn name(&self) -> Result<&'t str, CatalogError> {
        let text = self.label_value()?;
        if text.is_empty() { Err(self.fail(Problem::LabelValue(String::new()))) } else { Ok(text) }
    }

    /// The text of a number, or text that holds one.
    pub(super) fn scalar(&self, expected: &'static str) -> Result<&'t str, CatalogError> {
        match self.tree {
            Tree::Text(text) | Tree::Number(text) => Ok(text),
            _ => Err(self.fail(Problem::Shape(expected))),
        }
    }

    pub(super) fn quantity(&self) -> Result<Quantity, CatalogError> {
        let text = self.scalar("a quantity (examples: 250m, 1.5, 512Mi)")?;
        text.parse().map_err(|error: crate::units::QuantityError| self.fail(error))
    }

    /// A price per hour.
    pub(super) fn price(&self) -> Result<Money, CatalogError> {
        let text = self.scalar("a price (a number of 0 or more)")?;
        text.parse().map_err(|error: crate::units::MoneyError| self.fail(error))
    }

    /// A processor architecture by the name that Kubernetes gives it.
    pub(super) fn arch(&self) -> Result<&'t str, CatalogError> {
        let text = self.text()?;
        arch(text).ok_or_else(|| self.fail(Problem::UnknownArch(text.to_owned())))
    }

    /// Names of zones.
    pub(super) fn zones(&self) -> Result<BTreeSet<String>, CatalogError> {
        let mut zones = BTreeSet::new();
        for zone in self.list()? {
            let name = zone.name()?;
            if !zones.insert(name.to_owned()) {
                return Err(zone.fail(Problem::ZoneTwice(name.to_owned())));
            }
        }
        Ok(zones)
    }
}
