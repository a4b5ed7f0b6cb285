//! Which pods the terms of other pods find: by their labels, and by their namespaces.

use std::collections::BTreeSet;

use super::affinity::{AffinityGroup, Who};
use super::class::SeenBy;
use super::numbering::Numbering;
use super::selector::{LabelSpace, SeenLabels, Selectors};
use crate::model::{LabelSelector, Labels, Requirement};
use crate::snapshot::Extras;

/// Which selectors find which labels, and which sets of namespaces hold which namespace.
pub(super) struct Sights {
    pub(super) labels: LabelSpace,
    pub(super) selectors: Selectors,
    /// By set and namespace, for terms of pods that come.
    of_coming: Vec<Vec<bool>>,
    /// By set and namespace, for terms of pods that are there.
    of_present: Vec<Vec<bool>>,
    /// By set, whether it depends on labels that nobody could read.
    pub(super) unread: Vec<bool>,
    terms: TermsBySelector,
}

/// Numbers of the terms that have each selector, by its number; an affinity group under its first term's.
struct TermsBySelector {
    spread: Vec<Vec<usize>>,
    affinity: Vec<Vec<usize>>,
    anti_affinity: Vec<Vec<usize>>,
}

impl TermsBySelector {
    fn of(numbering: &Numbering<'_>) -> Self {
        let count = numbering.selectors.values().len();
        let by_selector = |selectors: Vec<Option<usize>>| {
            let mut terms = vec![Vec::new(); count];
            for (term, selector) in selectors.into_iter().enumerate() {
                terms[selector.unwrap_or_default()].push(term);
            }
            terms
        };
        let first = |group: &AffinityGroup| group.terms.first().map(|(who, _)| who.selector);
        Self {
            spread: by_selector(numbering.spread.values().iter().map(|group| Some(group.selector)).collect()),
            affinity: by_selector(numbering.affinity.values().iter().map(first).collect()),
            anti_affinity: by_selector(
                numbering.anti_affinity.values().iter().map(|term| Some(term.who.selector)).collect(),
            ),
        }
    }
}

impl Sights {
    pub(super) fn new(numbering: &Numbering<'_>, extras: &Extras) -> Self {
        let mut labels = LabelSpace::default();
        let selectors = Selectors::of(numbering.selectors.values(), &mut labels);
        let sets = numbering.namespace_sets.values();
        let rows = |holds: HoldsNamespace| {
            let row =
                |set| numbering.namespaces.values().iter().map(|namespace| holds(set, namespace, extras)).collect();
            sets.iter().map(row).collect()
        };
        let unread = |(_, selector): &NamespaceSet<'_>| {
            extras.namespaces.is_none() && matches!(selector, LabelSelector::Matching(asked) if !asked.is_empty())
        };
        Self {
            labels,
            selectors,
            of_coming: rows(holds_for_coming),
            of_present: rows(holds_for_present),
            unread: sets.iter().map(unread).collect(),
            terms: TermsBySelector::of(numbering),
        }
    }

    /// Whether a term of a pod that comes finds a pod that is there.
    pub(super) fn finds(&self, who: Who, namespace: usize, labels: &SeenLabels) -> bool {
        self.of_coming[who.namespaces][namespace] && self.selectors.matches(who.selector, labels)
    }

    /// Every term that finds a pod of these labels in this namespace.
    pub(super) fn all_that_see(&self, numbering: &Numbering<'_>, namespace: usize, labels: &SeenLabels) -> SeenBy {
        let mut seen_by = SeenBy::default();
        for selector in self.selectors.matching(labels) {
            let counts = |group: &&usize| numbering.spread.values()[**group].namespace == namespace;
            // A quirk of the scheduler: an empty selector finds the pod itself and no other.
            if !self.selectors.is_everything(selector) {
                seen_by.spread.extend(self.terms.spread[selector].iter().filter(counts));
            }
            let all = |group: &&usize| {
                let terms = &numbering.affinity.values()[**group].terms;
                terms.iter().all(|(who, _)| self.finds(*who, namespace, labels))
            };
            seen_by.affinity.extend(self.terms.affinity[selector].iter().filter(all));
            for term in &self.terms.anti_affinity[selector] {
                let namespaces = numbering.anti_affinity.values()[*term].who.namespaces;
                seen_by.anti_affinity.extend(self.of_coming[namespaces][namespace].then_some(*term));
                seen_by.kept_away.extend(self.of_present[namespaces][namespace].then_some(*term));
            }
        }
        let SeenBy { spread, affinity, anti_affinity, kept_away } = &mut seen_by;
        for terms in [spread, affinity, anti_affinity, kept_away] {
            terms.sort_unstable();
        }
        seen_by
    }
}

/// Namespaces by name, and by their labels.
pub(super) type NamespaceSet<'p> = (&'p BTreeSet<String>, &'p LabelSelector);

type HoldsNamespace = fn(&NamespaceSet<'_>, &str, &Extras) -> bool;

/// Where nobody could read namespaces, a term that asks for their labels finds every one: what it keeps apart stays
/// apart, and what depends on it is marked.
pub(super) fn holds_for_present((names, selector): &NamespaceSet<'_>, namespace: &str, extras: &Extras) -> bool {
    let LabelSelector::Matching(asked) = selector else { return names.contains(namespace) };
    let Some(known) = &extras.namespaces else { return true };
    let none = Labels::new();
    let labels = known.get(namespace).map_or(&none, |labels| labels);
    names.contains(namespace) || asked.iter().all(|each| holds(each, labels))
}

/// A quirk of the scheduler: a term of a pod that comes finds, beside the namespaces whose labels its selector matches,
/// all others where it would match a namespace without labels.
fn holds_for_coming(set: &NamespaceSet<'_>, namespace: &str, extras: &Extras) -> bool {
    let known = extras.namespaces.as_ref().is_none_or(|known| known.contains_key(namespace));
    let by_absence =
        || matches!(set.1, LabelSelector::Matching(asked) if asked.iter().all(|each| holds(each, &Labels::new())));
    set.0.contains(namespace) || (known && holds_for_present(set, namespace, extras)) || by_absence()
}

fn holds(requirement: &Requirement, labels: &Labels) -> bool {
    super::requirement_matches(requirement, labels.get(&requirement.key).map(String::as_str))
}
