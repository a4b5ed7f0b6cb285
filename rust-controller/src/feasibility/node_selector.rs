//! Node selector and required node affinity.
//!
//! Source of the rules: `k8s.io/component-helpers/scheduling/corev1/nodeaffinity` and `k8s.io/apimachinery/pkg/labels`,
//! Kubernetes 1.36.

use super::{Refusal, Target};
use crate::model::{LabelSelector, Labels, NodeSelectorTerm, Operator, Placement, Requirement, is_label_value};

/// The first requirement of the node selector, or of the first affinity term, that does not hold.
pub(super) fn refusal(placement: &Placement, target: &Target<'_>) -> Option<Refusal> {
    for (key, wanted) in &placement.node_selector {
        let found = target.label(key);
        if found != Some(wanted) {
            let requirement = Requirement::equals(key, wanted);
            return Some(Refusal::Unmatched { requirement, found: found.map(str::to_owned) });
        }
    }
    let terms = placement.node_affinity.as_ref()?;
    if terms.iter().any(|term| term_matches(term, target)) {
        return None;
    }
    Some(terms.iter().find_map(|term| first_unmatched(term, target)).unwrap_or(Refusal::EmptyAffinity))
}

/// Whether all requirements of a term hold; of a term without any, none do.
pub(super) fn term_matches(term: &NodeSelectorTerm, target: &Target<'_>) -> bool {
    let empty = term.labels.is_empty() && term.fields.is_empty();
    !empty && unmatched(term, target).next().is_none()
}

/// The same as that there is no [`refusal`], and quicker.
pub(super) fn admits(placement: &Placement, target: &Target<'_>) -> bool {
    placement.node_selector.iter().all(|(key, wanted)| target.label(key) == Some(wanted))
        && placement.node_affinity.as_ref().is_none_or(|terms| terms.iter().any(|term| term_matches(term, target)))
}

/// The first requirement of a term that does not hold.
pub(super) fn first_unmatched(term: &NodeSelectorTerm, target: &Target<'_>) -> Option<Refusal> {
    unmatched(term, target).next().map(|(requirement, found)| Refusal::Unmatched {
        requirement: requirement.clone(),
        found: found.map(str::to_owned),
    })
}

/// The requirements of a term that do not hold, each with what is there instead.
fn unmatched<'a>(
    term: &'a NodeSelectorTerm,
    target: &Target<'a>,
) -> impl Iterator<Item = (&'a Requirement, Option<&'a str>)> {
    let labels = term.labels.iter().map(|requirement| {
        let found = target.label(&requirement.key);
        (requirement, found, requirement_matches(requirement, found))
    });
    let fields = term.fields.iter().map(|requirement| {
        let found = if requirement.key == "metadata.name" { target.name } else { None };
        (requirement, found, field_matches(requirement, target))
    });
    let unmatched = labels.chain(fields).filter(|(_, _, matches)| !matches);
    unmatched.map(|(requirement, found, _)| (requirement, found))
}

/// Whether a label of this value, or its absence, meets the requirement. A requirement that Kubernetes would not
/// accept (`In` without values, `Gt` of a word) is met by nothing.
#[must_use]
pub fn requirement_matches(requirement: &Requirement, found: Option<&str>) -> bool {
    let values = &requirement.values;
    let listed = || found.is_some_and(|found| values.iter().any(|value| value == found));
    is_valid(requirement)
        && match requirement.operator {
            Operator::In => listed(),
            Operator::NotIn => !listed(),
            Operator::Exists => found.is_some(),
            Operator::DoesNotExist => found.is_none(),
            Operator::Gt => compare(values, found).is_some_and(|(found, bound)| found > bound),
            Operator::Lt => compare(values, found).is_some_and(|(found, bound)| found < bound),
        }
}

/// Whether a selector finds something with these labels.
#[must_use]
pub fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    match selector {
        LabelSelector::Nothing => false,
        LabelSelector::Matching(requirements) => {
            requirements.iter().all(|each| requirement_matches(each, labels.get(&each.key).map(String::as_str)))
        }
    }
}

/// Whether Kubernetes accepts a requirement: `In` and `NotIn` have values, all of which a label can have, `Exists` and
/// `DoesNotExist` have none, `Gt` and `Lt` have one integer that a label can have, which is none with a sign.
pub(super) fn is_valid(requirement: &Requirement) -> bool {
    let values = &requirement.values;
    match requirement.operator {
        Operator::In | Operator::NotIn => !values.is_empty() && values.iter().all(|value| is_label_value(value)),
        Operator::Exists | Operator::DoesNotExist => values.is_empty(),
        Operator::Gt | Operator::Lt => {
            matches!(values.as_slice(), [bound] if is_label_value(bound) && bound.parse::<i64>().is_ok())
        }
    }
}

fn compare(values: &[String], found: Option<&str>) -> Option<(i64, i64)> {
    let [bound] = values else { return None };
    Some((found?.parse().ok()?, bound.parse().ok()?))
}

/// `metadata.name` is the only field that a node selector may name, with exactly one value. A planned node has no
/// name yet, so it is not the one that is asked for.
fn field_matches(requirement: &Requirement, target: &Target<'_>) -> bool {
    let [value] = requirement.values.as_slice() else { return false };
    let same = target.name == Some(value.as_str());
    requirement.key == "metadata.name"
        && match requirement.operator {
            Operator::In => same,
            Operator::NotIn => !same,
            Operator::Exists | Operator::DoesNotExist | Operator::Gt | Operator::Lt => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(key: &str, operator: Operator, values: &[&str]) -> Requirement {
        Requirement { key: key.to_owned(), operator, values: values.iter().map(|value| (*value).to_owned()).collect() }
    }

    #[test]
    fn operators_follow_the_label_selectors_of_kubernetes() {
        use Operator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};
        for (operator, values, found, expected) in [
            (In, &["a", "b"][..], Some("b"), true),
            (In, &["a"], None, false),
            (In, &[], Some("a"), false),
            (NotIn, &["a"], None, true),
            (NotIn, &["a"], Some("a"), false),
            (NotIn, &[], Some("a"), false),
            (Exists, &[], Some(""), true),
            (DoesNotExist, &[], Some(""), false),
            (DoesNotExist, &[], None, true),
            (Gt, &["4"], Some("5"), true),
            (Gt, &["4"], Some("4"), false),
            (Gt, &["4"], Some("five"), false),
            (Gt, &["-1"], Some("5"), false),
            (Lt, &["+9"], Some("5"), false),
            (Lt, &["4"], Some("-1"), true),
            (Lt, &["4", "5"], Some("1"), false),
            (Lt, &["4"], None, false),
        ] {
            let requirement = requirement("k", operator, values);
            assert_eq!(requirement_matches(&requirement, found), expected, "{requirement} on {found:?}");
        }
    }

    fn refused(terms: Vec<NodeSelectorTerm>, name: Option<&str>) -> Option<String> {
        let labels = Labels::from([("zone".to_owned(), "a".to_owned())]);
        let placement = Placement { node_affinity: Some(terms), ..Placement::default() };
        let target = Target { name, ..Target::new(&labels) };
        refusal(&placement, &target).map(|refusal| refusal.to_string())
    }

    #[test]
    fn terms_are_alternatives_and_an_empty_one_matches_nothing() {
        let in_b = NodeSelectorTerm { labels: vec![requirement("zone", Operator::In, &["b"])], fields: vec![] };
        let in_a = NodeSelectorTerm { labels: vec![requirement("zone", Operator::In, &["a"])], fields: vec![] };
        assert_eq!(refused(vec![in_b.clone(), in_a], None), None);
        assert_eq!(refused(vec![in_b], None).unwrap(), "asks for zone=\"b\", the node has \"a\"");
        assert!(refused(vec![NodeSelectorTerm::default()], None).unwrap().contains("empty"));
        assert!(refused(vec![], None).unwrap().contains("empty"));
    }

    #[test]
    fn the_only_field_is_the_name_and_a_planned_node_has_none() {
        let named = |operator| NodeSelectorTerm {
            labels: vec![],
            fields: vec![requirement("metadata.name", operator, &["n1"])],
        };
        assert_eq!(refused(vec![named(Operator::In)], Some("n1")), None);
        assert!(refused(vec![named(Operator::In)], None).is_some());
        assert_eq!(refused(vec![named(Operator::NotIn)], None), None);
        assert!(refused(vec![named(Operator::Exists)], Some("n1")).is_some());
    }
}
