//! What a new node must be for a pod: requirements that pick a node type, and labels that its `NodePool` adds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::feasibility::requirement_matches;
use crate::model::{
    Catalog, Labels, NodeSelectorTerm, Operator, Placement, Requirement, Toleration, is_label_value, key,
    normalized_key,
};

/// One way to satisfy a pod's node selector and required node affinity on a new node.
///
/// The required node affinity is a list of alternatives; each gives one shape.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// On well-known keys, with old keys in their stable form; sorted, without repetition. They become requirements
    /// of the `NodePool`.
    pub requirements: Vec<Requirement>,
    /// Labels on other keys with which a node is what the pod asks for. They become labels of the `NodePool`'s template.
    pub template_labels: Labels,
    /// Node names that it must not have, which no new node has.
    pub other_names: Vec<Requirement>,
    /// What the pod asks of labels on other keys, sorted: other values than those above may do as well.
    pub own: Vec<Requirement>,
}

/// Why no new node can be what the pod asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// A label in a domain that Kubernetes or Karpenter keeps for itself, so no `NodePool` may set it.
    RestrictedLabel {
        /// The requirement.
        requirement: Requirement,
        /// The domain: `kubernetes.io`, `k8s.io` or `karpenter.sh`.
        domain: &'static str,
    },
    /// The nodes of a `NodePool` by its name; a plan that took the name would replace that `NodePool`.
    NamedNodePool(Requirement),
    /// One node by its name, which no new node will have.
    NamedNode(Requirement),
    /// The absence of a label that every new node has.
    AlwaysPresent(Requirement),
    /// Requirements on one label that exclude one another.
    Contradiction(Vec<Requirement>),
    /// A required node affinity that matches no node at all.
    EmptyAffinity,
}

/// Domains of labels that a `NodePool` may not set, but for the well-known keys.
const RESTRICTED_DOMAINS: [&str; 3] = ["kubernetes.io", "k8s.io", "karpenter.sh"];

/// Domains of labels that only the provider sets, by node type. A key that no type of the catalog carries is then
/// a requirement that no type meets, never a label of one's own.
const PROVIDER_DOMAINS: [&str; 7] = [
    "karpenter.k8s.aws",
    "topology.k8s.aws",
    "karpenter.azure.com",
    "kubernetes.azure.com",
    "karpenter.k8s.gcp",
    "topology.k8s.gcp",
    "karpenter.kwok.sh",
];

/// Keys that Karpenter knows for every provider.
const WELL_KNOWN: [&str; 7] =
    [key::ARCH, key::OS, key::INSTANCE_TYPE, key::ZONE, key::REGION, key::CAPACITY_TYPE, key::WINDOWS_BUILD];

/// What the shapes of one catalog have in common.
#[derive(Clone, Debug)]
pub struct Shaper<'a> {
    /// Label keys whose value follows from a node type.
    type_keys: BTreeSet<&'a str>,
    /// What holds for a key of which a pod says nothing.
    defaults: Vec<Requirement>,
    /// Keys of the labels of a `NodePool` that matter; `None` for all.
    told_apart: Option<BTreeSet<String>>,
}

impl<'a> Shaper<'a> {
    /// For the types of a catalog; `defaults` hold for each key of which a pod says nothing.
    #[must_use]
    pub fn new(catalog: &'a Catalog, defaults: Vec<Requirement>) -> Self {
        let type_keys = catalog.types.iter().flat_map(|kind| kind.labels.keys()).map(String::as_str).collect();
        Self { type_keys, defaults, told_apart: None }
    }

    /// The same for whom only those of a `NodePool`'s labels matter that are on these keys: shapes that differ in others are
    /// one.
    #[must_use]
    pub fn telling_apart(self, keys: BTreeSet<String>) -> Self {
        Self { told_apart: Some(keys), ..self }
    }

    /// Whether a key's value follows from the node type: Karpenter knows it for every provider, or a type carries it,
    /// or only the provider sets it.
    fn is_well_known(&self, key: &str) -> bool {
        WELL_KNOWN.contains(&key)
            || self.type_keys.contains(key)
            || domain(key).is_some_and(|domain| PROVIDER_DOMAINS.contains(&domain))
    }

    /// What a pod that asks for nothing needs.
    #[must_use]
    pub fn any_shape(&self) -> Shape {
        Shape { requirements: self.defaults.clone(), ..Shape::default() }
    }

    /// The shapes that satisfy a placement, in the order of its affinity terms.
    ///
    /// # Errors
    /// Why there is none: the problem of the first term.
    pub fn shapes(&self, placement: &Placement) -> Result<Vec<Shape>, ShapeError> {
        let no_affinity = [NodeSelectorTerm::default()];
        let terms = match placement.node_affinity.as_deref() {
            None => &no_affinity[..],
            Some(terms) => terms,
        };
        let mut shapes = Vec::new();
        let mut first_error = None;
        for term in terms {
            let empty = term.labels.is_empty() && term.fields.is_empty();
            let outcome = if empty && placement.node_affinity.is_some() {
                Err(ShapeError::EmptyAffinity)
            } else {
                self.shape(&placement.node_selector, term)
            };
            match outcome {
                Ok(shape) => shapes.push(shape),
                Err(error) => drop(first_error.get_or_insert(error)),
            }
        }
        if shapes.is_empty() { Err(first_error.unwrap_or(ShapeError::EmptyAffinity)) } else { Ok(shapes) }
    }

    fn shape(&self, selector: &Labels, term: &NodeSelectorTerm) -> Result<Shape, ShapeError> {
        let mut by_key: BTreeMap<&str, Vec<Requirement>> = BTreeMap::new();
        let selected = selector.iter().map(|(key, value)| Requirement {
            key: key.clone(),
            operator: Operator::In,
            values: vec![value.clone()],
        });
        let requirements: Vec<Requirement> = selected.chain(term.labels.iter().cloned()).collect();
        for requirement in &requirements {
            let key = normalized_key(&requirement.key);
            by_key.entry(key).or_default().push(Requirement { key: key.to_owned(), ..requirement.clone() });
        }
        let mut shape = Shape::default();
        for (key, requirements) in by_key {
            if key::UNKNOWN_BEFOREHAND.contains(&key) {
                any_value(key, requirements)?;
            } else if self.is_well_known(key) {
                shape.requirements.extend(requirements);
            } else {
                shape.own.extend(requirements.iter().cloned());
                if let Some(value) = template_label(key, requirements)? {
                    shape.template_labels.insert(key.to_owned(), value);
                }
            }
        }
        let unsaid = |default: &&Requirement| shape.requirements.iter().all(|said| said.key != default.key);
        let defaults: Vec<Requirement> = self.defaults.iter().filter(unsaid).cloned().collect();
        shape.requirements.extend(defaults);
        shape.requirements.sort();
        shape.requirements.dedup();
        let is_told_apart = |key: &String| self.told_apart.as_ref().is_none_or(|keys| keys.contains(key));
        shape.template_labels.retain(|key, _| is_told_apart(key));
        shape.own.retain(|own| is_told_apart(&own.key));
        shape.own.sort();
        shape.own.dedup();
        shape.other_names.clone_from(&term.fields);
        match term.fields.iter().find(|field| field.operator != Operator::NotIn) {
            Some(named) => Err(ShapeError::NamedNode(named.clone())),
            None => Ok(shape),
        }
    }
}

/// Labels on keys of one's own that meet all of these requirements, if any do.
pub(super) fn labels_meeting(asked: &BTreeSet<&Requirement>) -> Option<Labels> {
    let mut by_key: BTreeMap<&str, Vec<Requirement>> = BTreeMap::new();
    for requirement in asked {
        by_key.entry(&requirement.key).or_default().push((*requirement).clone());
    }
    let label = |(key, requirements): (&str, Vec<Requirement>)| match template_label(key, requirements) {
        Ok(value) => value.map(|value| Ok((key.to_owned(), value))),
        Err(error) => Some(Err(error)),
    };
    by_key.into_iter().filter_map(label).collect::<Result<Labels, ShapeError>>().ok()
}

/// A new node has a host name and belongs to a `NodePool`, of names that nobody can know: any requirement on them holds,
/// except to be a certain one or none.
fn any_value(key: &str, requirements: Vec<Requirement>) -> Result<(), ShapeError> {
    let unmet = |requirement: &Requirement| !requirement_matches(requirement, Some(key::UNKNOWN_VALUE));
    match requirements.into_iter().find(unmet) {
        None => Ok(()),
        Some(absent) if absent.operator == Operator::DoesNotExist => Err(ShapeError::AlwaysPresent(absent)),
        Some(named) if key == key::NODE_POOL => Err(ShapeError::NamedNodePool(named)),
        Some(named) => Err(ShapeError::NamedNode(named)),
    }
}

/// The value that satisfies all requirements on a label of one's own, or `None` where its absence does.
fn template_label(key: &str, requirements: Vec<Requirement>) -> Result<Option<String>, ShapeError> {
    let satisfied_by = |value: Option<&str>| requirements.iter().all(|each| requirement_matches(each, value));
    if satisfied_by(None) {
        return Ok(None);
    }
    if let Some(domain) = restricted_domain(key) {
        let requirement = requirements.into_iter().next().unwrap_or_else(|| present(key));
        return Err(ShapeError::RestrictedLabel { requirement, domain });
    }
    match candidate_values(&requirements).into_iter().find(|value| is_label_value(value) && satisfied_by(Some(value))) {
        Some(value) => Ok(Some(value)),
        None => Err(ShapeError::Contradiction(requirements)),
    }
}

/// Values one of which satisfies the requirements if any value does: those that `In` lists, the integers next to a
/// bound of `Gt` or `Lt` and, past those that `NotIn` excludes, as many neighbours; `true` and its like for `Exists`.
fn candidate_values(requirements: &[Requirement]) -> Vec<String> {
    let listed = |operator| {
        requirements.iter().filter(move |each| each.operator == operator).flat_map(|each| each.values.iter().cloned())
    };
    let mut candidates: Vec<String> = listed(Operator::In).collect();
    let excluded = i64::try_from(listed(Operator::NotIn).count()).unwrap_or(i64::MAX);
    let integers = |operator| listed(operator).filter_map(|value| value.parse::<i64>().ok());
    for bound in integers(Operator::Gt) {
        candidates.extend((1..=excluded.saturating_add(1)).map(|step| bound.saturating_add(step).to_string()));
    }
    for bound in integers(Operator::Lt) {
        candidates.extend((1..=excluded.saturating_add(1)).map(|step| bound.saturating_sub(step).to_string()));
    }
    candidates.push("true".to_owned());
    candidates.extend((1..=excluded).map(|number| format!("value-{number}")));
    candidates
}

fn restricted_domain(key: &str) -> Option<&'static str> {
    let domain = domain(key)?;
    let within = |restricted: &str| {
        domain.strip_suffix(restricted).is_some_and(|parent| parent.is_empty() || parent.ends_with('.'))
    };
    RESTRICTED_DOMAINS.into_iter().find(|restricted| within(restricted))
}

fn domain(key: &str) -> Option<&str> {
    key.split_once('/').map(|(domain, _)| domain)
}

fn present(key: &str) -> Requirement {
    Requirement { key: key.to_owned(), operator: Operator::Exists, values: Vec::new() }
}

impl Shape {
    /// The same, as the placement that a new node is held against.
    #[must_use]
    pub fn placement(&self, tolerations: &[Toleration]) -> Placement {
        let labels = self.requirements.iter().chain(&self.own).cloned().collect();
        let term = NodeSelectorTerm { labels, fields: self.other_names.clone() };
        let asks_something = !term.labels.is_empty() || !term.fields.is_empty();
        Placement {
            node_name: None,
            node_selector: Labels::new(),
            node_affinity: asks_something.then(|| vec![term]),
            tolerations: tolerations.to_vec(),
        }
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RestrictedLabel { requirement, domain } => write!(
                out,
                "asks for {requirement}: a label of the restricted domain {domain} that is not well-known, which no \
                 NodePool may set"
            ),
            Self::NamedNodePool(requirement) => write!(
                out,
                "asks for {requirement}: only that NodePool can make such nodes, and a plan of its name would \
                 replace it"
            ),
            Self::NamedNode(requirement) => {
                write!(out, "asks for one node by name ({requirement}); a new node has another")
            }
            Self::AlwaysPresent(requirement) => write!(out, "asks for {requirement}, and every new node has it"),
            Self::Contradiction(requirements) => {
                let all: Vec<String> = requirements.iter().map(Requirement::to_string).collect();
                write!(out, "asks for what no label value is: {}", all.join(" and "))
            }
            Self::EmptyAffinity => out.write_str("its required node affinity is empty, which matches no node"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NodeClassRef;

    fn requirement(key: &str, operator: Operator, values: &[&str]) -> Requirement {
        Requirement { key: key.to_owned(), operator, values: values.iter().map(|value| (*value).to_owned()).collect() }
    }

    fn shape_of(requirements: Vec<Requirement>) -> Result<Shape, ShapeError> {
        let node_class = NodeClassRef { group: "g".to_owned(), kind: "k".to_owned(), name: "n".to_owned() };
        let catalog = Catalog {
            name: "test".to_owned(),
            currency: "USD".to_owned(),
            price_source: String::new(),
            node_class,
            types: Vec::new(),
        };
        let term = NodeSelectorTerm { labels: requirements, fields: Vec::new() };
        let placement = Placement { node_affinity: Some(vec![term]), ..Placement::default() };
        Shaper::new(&catalog, Vec::new()).shapes(&placement).map(|mut shapes| shapes.remove(0))
    }

    fn label(requirements: Vec<Requirement>) -> Option<String> {
        shape_of(requirements).unwrap().template_labels.remove("team")
    }

    #[test]
    fn well_known_keys_become_requirements_and_old_keys_their_stable_form() {
        let shape = shape_of(vec![
            requirement("beta.kubernetes.io/arch", Operator::In, &["arm64"]),
            requirement("karpenter.k8s.aws/instance-family", Operator::NotIn, &["t3"]),
        ])
        .unwrap();
        let printed: Vec<String> = shape.requirements.iter().map(Requirement::to_string).collect();
        assert_eq!(printed, ["karpenter.k8s.aws/instance-family not in [t3]", "kubernetes.io/arch=\"arm64\""]);
        assert!(shape.template_labels.is_empty());
    }

    #[test]
    fn other_keys_get_a_value_that_meets_every_requirement() {
        use Operator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};
        let on_team = |operator, values: &[&str]| requirement("team", operator, values);
        assert_eq!(label(vec![on_team(In, &["a", "b"]), on_team(NotIn, &["a"])]), Some("b".to_owned()));
        assert_eq!(label(vec![on_team(Exists, &[])]), Some("true".to_owned()));
        assert_eq!(label(vec![on_team(Exists, &[]), on_team(NotIn, &["true"])]), Some("value-1".to_owned()));
        assert_eq!(label(vec![on_team(Gt, &["4"]), on_team(NotIn, &["5"]), on_team(Lt, &["7"])]), Some("6".to_owned()));
        assert_eq!(label(vec![on_team(Lt, &["7"])]), Some("6".to_owned()));
        assert_eq!(label(vec![on_team(NotIn, &["a"]), on_team(DoesNotExist, &[])]), None);
        for impossible in [vec![on_team(In, &["a"]), on_team(NotIn, &["a"])], vec![on_team(Lt, &["0"])]] {
            assert!(matches!(shape_of(impossible), Err(ShapeError::Contradiction(_))));
        }
    }

    #[test]
    fn a_restricted_label_is_refused_only_where_it_must_be_set() {
        for (key, restricted) in [
            ("kubernetes.io/role", true),
            ("node-role.kubernetes.io/special", true),
            ("example.k8s.io/x", true),
            ("karpenter.sh/x", true),
            ("notkubernetes.io/x", false),
            ("example.com/x", false),
        ] {
            let outcome = shape_of(vec![requirement(key, Operator::Exists, &[])]);
            assert_eq!(matches!(outcome, Err(ShapeError::RestrictedLabel { .. })), restricted, "{key}");
            assert!(shape_of(vec![requirement(key, Operator::DoesNotExist, &[])]).is_ok(), "{key}");
        }
        let pool = shape_of(vec![requirement(key::NODE_POOL, Operator::In, &["mine"])]);
        assert!(matches!(pool, Err(ShapeError::NamedNodePool(_))));
    }

    #[test]
    fn a_new_node_has_some_host_name_but_no_certain_one() {
        let on_host = |operator, values: &[&str]| shape_of(vec![requirement(key::HOSTNAME, operator, values)]);
        assert!(on_host(Operator::NotIn, &["n1"]).is_ok());
        assert!(on_host(Operator::Exists, &[]).is_ok());
        assert!(matches!(on_host(Operator::In, &["n1"]), Err(ShapeError::NamedNode(_))));
        assert!(matches!(on_host(Operator::DoesNotExist, &[]), Err(ShapeError::AlwaysPresent(_))));
    }
}
