//! Pod affinity and anti-affinity.
//!
//! Source of the rules: the scheduler plugin `InterPodAffinity`, Kubernetes 1.36.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lookup::Lookup;
use super::objection::Objection;
use super::site::{Site, SiteId};
use super::topology::{Change, Counts, DomainsOfSites, Topology};
use crate::feasibility::selects;
use crate::model::{AffinityTerm, LabelSelector, Labels, Pod};
use crate::units::FastMap;

/// Whether a pod that comes looks for such a pod: in namespaces that it names, or that exist and have the labels. The
/// scheduler holds every other namespace for one without labels.
pub(super) fn finds(term: &AffinityTerm, namespace: &str, labels: &Labels, namespaces: Namespaces<'_>) -> bool {
    let exists_with_labels = || {
        let found = namespaces.and_then(|all| all.get(namespace));
        found.is_some_and(|found| selects(&term.namespace_selector, found))
    };
    let finds_any = || selects(&term.namespace_selector, &Labels::new());
    (term.namespaces.contains(namespace) || finds_any() || exists_with_labels()) && selects(&term.selector, labels)
}

/// Labels of namespaces, by name; `None` where nobody could read them.
pub(super) type Namespaces<'a> = Option<&'a BTreeMap<String, Arc<Labels>>>;

/// The terms of all pods, with what they count.
#[derive(Debug)]
pub(super) struct Affinities<'a> {
    namespaces: Namespaces<'a>,
    near: Vec<Near<'a>>,
    near_by_terms: FastMap<&'a [AffinityTerm], usize>,
    near_of: Lookup<'a>,
    apart: Vec<Apart<'a>>,
    apart_by_term: FastMap<&'a AffinityTerm, usize>,
    apart_of: Lookup<'a>,
}

/// The affinity of some pods: terms that must all hold, for the same pods.
#[derive(Debug)]
struct Near<'a> {
    terms: &'a [AffinityTerm],
    domains: Vec<DomainsOfSites>,
    /// By term, the pods that all the terms find.
    found: Vec<Counts>,
    /// All of them, on nodes that have any of the terms' labels.
    anywhere: u32,
}

/// A term of anti-affinity.
#[derive(Debug)]
struct Apart<'a> {
    term: &'a AffinityTerm,
    domains: DomainsOfSites,
    /// Pods that the term finds.
    found: Counts,
    /// Pods that have the term.
    holders: Counts,
}

/// Which of the terms speak of a pod, by position.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    near: Vec<usize>,
    apart: Vec<usize>,
    /// Terms that keep it away from the pods that have them.
    keeping_away: Vec<usize>,
    /// Terms that would, if its namespace had the right labels, which nobody could read.
    undecided: Vec<usize>,
}

/// The terms that a pod has, by position.
#[derive(Debug)]
pub(super) struct OwnTerms {
    near: Option<usize>,
    apart: Vec<usize>,
}

/// A term that finds namespaces by labels is looked at for every pod.
fn add<'a>(lookup: &mut Lookup<'a>, term: &'a AffinityTerm, position: usize) {
    if term.namespace_selector == LabelSelector::Nothing {
        lookup.add(term.namespaces.iter().map(String::as_str), &term.selector, position);
    } else {
        lookup.add_anywhere(position);
    }
}

impl<'a> Affinities<'a> {
    pub(super) fn new(namespaces: Namespaces<'a>) -> Self {
        Self {
            namespaces,
            near: Vec::new(),
            near_by_terms: FastMap::default(),
            near_of: Lookup::default(),
            apart: Vec::new(),
            apart_by_term: FastMap::default(),
            apart_of: Lookup::default(),
        }
    }

    /// Makes ready to judge a pod. Before any node or pod is there.
    pub(super) fn expect(&mut self, pod: &'a Pod, sites: &[Site<'a>], topology: &mut Topology<'a>) {
        let terms = pod.neighbours.affinity.as_slice();
        let Some(first) = terms.first() else { return };
        if self.near_by_terms.contains_key(terms) {
            return;
        }
        let position = self.near.len();
        self.near.push(Near {
            terms,
            domains: terms.iter().map(|term| topology.domains(&term.topology_key, sites)).collect(),
            found: vec![Counts::default(); terms.len()],
            anywhere: 0,
        });
        self.near_by_terms.insert(terms, position);
        add(&mut self.near_of, first, position);
    }

    /// Makes ready for a pod that keeps others away. Before any node or pod is there.
    pub(super) fn expect_apart(&mut self, pod: &'a Pod, sites: &[Site<'a>], topology: &mut Topology<'a>) {
        for term in &pod.neighbours.anti_affinity {
            if self.apart_by_term.contains_key(term) {
                continue;
            }
            let position = self.apart.len();
            let domains = topology.domains(&term.topology_key, sites);
            self.apart.push(Apart { term, domains, found: Counts::default(), holders: Counts::default() });
            self.apart_by_term.insert(term, position);
            add(&mut self.apart_of, term, position);
        }
    }

    /// Of every term.
    pub(super) fn selectors(&self) -> impl Iterator<Item = &'a LabelSelector> {
        let near = self.near.iter().flat_map(|near| near.terms);
        near.chain(self.apart.iter().map(|apart| apart.term)).map(|term| &term.selector)
    }

    /// The terms that a pod has, as far as such a pod was announced.
    pub(super) fn own_terms(&self, pod: &Pod) -> OwnTerms {
        let apart = pod.neighbours.anti_affinity.iter().filter_map(|term| self.apart_by_term.get(term));
        OwnTerms {
            near: self.near_by_terms.get(pod.neighbours.affinity.as_slice()).copied(),
            apart: apart.copied().collect(),
        }
    }

    /// The terms that speak of a pod of this namespace with these labels.
    pub(super) fn speaking_of(&self, namespace: &str, labels: &Labels) -> Spoken {
        let finds = |term: &AffinityTerm| self.finds(term, namespace, labels);
        let mut spoken = Spoken::default();
        let near = self.near_of.candidates(namespace, labels).into_iter();
        spoken.near.extend(near.filter(|position| self.near[*position].terms.iter().all(finds)));
        for position in self.apart_of.candidates(namespace, labels) {
            let term = self.apart[position].term;
            if self.is_unread(term) {
                if selects(&term.selector, labels) {
                    spoken.undecided.push(position);
                }
                continue;
            }
            if finds(term) {
                spoken.apart.push(position);
            }
            if self.keeps_away(term, namespace, labels) {
                spoken.keeping_away.push(position);
            }
        }
        spoken
    }

    /// Whether it depends on labels of namespaces, and nobody could read them.
    fn is_unread(&self, term: &AffinityTerm) -> bool {
        let by_labels = term.namespace_selector != LabelSelector::Nothing && !term.namespace_selector.is_everything();
        by_labels && self.namespaces.is_none()
    }

    /// Whether a term of the pod speaks of namespaces whose labels nobody could read.
    pub(super) fn has_unread(&self, pod: &Pod) -> bool {
        let own = pod.neighbours.affinity.iter().chain(&pod.neighbours.anti_affinity);
        own.into_iter().any(|term| self.is_unread(term))
    }

    /// Whether nobody can tell where the pod may run: that depends on labels of namespaces which could not be read, by a term of
    /// its own or of a pod that it may meet somewhere.
    pub(super) fn is_undecided(&self, pod: &Pod, spoken: &Spoken) -> bool {
        !spoken.undecided.is_empty() || self.has_unread(pod)
    }

    fn finds(&self, term: &AffinityTerm, namespace: &str, labels: &Labels) -> bool {
        finds(term, namespace, labels, self.namespaces)
    }

    /// Whether a pod that is there keeps such a pod away. A namespace that is not known has no labels, here.
    fn keeps_away(&self, term: &AffinityTerm, namespace: &str, labels: &Labels) -> bool {
        let none = Labels::new();
        let of_namespace = || self.namespaces.and_then(|all| all.get(namespace)).map_or(&none, |labels| &**labels);
        let there = term.namespaces.contains(namespace) || selects(&term.namespace_selector, of_namespace());
        there && selects(&term.selector, labels)
    }

    /// A pod comes or goes.
    pub(super) fn pod(&mut self, own: &OwnTerms, spoken: &Spoken, site: SiteId, change: Change) {
        for position in &spoken.near {
            let Near { domains, found, anywhere, .. } = &mut self.near[*position];
            for (domains, found) in domains.iter().zip(found) {
                if let Some(domain) = domains[site] {
                    found.change(domain, change);
                    change.apply(anywhere);
                }
            }
        }
        for position in &spoken.apart {
            let Apart { domains, found, .. } = &mut self.apart[*position];
            if let Some(domain) = domains[site] {
                found.change(domain, change);
            }
        }
        for position in &own.apart {
            let Apart { domains, holders, .. } = &mut self.apart[*position];
            if let Some(domain) = domains[site] {
                holders.change(domain, change);
            }
        }
    }

    /// Whether the pod may come to the node.
    pub(super) fn check(
        &self,
        pod: &Pod,
        own: &OwnTerms,
        spoken: &Spoken,
        id: SiteId,
        site: &Site<'_>,
    ) -> Result<(), Objection> {
        self.check_kept_away(spoken, id, site)?;
        self.check_near(pod, own, id)?;
        self.check_apart(own, id, site)?;
        let undecided = spoken.undecided.iter().map(|position| &self.apart[*position]);
        let may_keep_away = |apart: &Apart<'_>| apart.domains[id].is_some_and(|domain| apart.holders.get(domain) > 0);
        if self.has_unread(pod) || undecided.into_iter().any(may_keep_away) {
            return Err(Objection::Unread("Namespace"));
        }
        Ok(())
    }

    /// All terms find a pod near by; or, for the first of its kind, none is anywhere and it finds itself.
    fn check_near(&self, pod: &Pod, own: &OwnTerms, id: SiteId) -> Result<(), Objection> {
        let terms = pod.neighbours.affinity.as_slice();
        if terms.iter().any(|term| self.is_unread(term)) {
            return Ok(());
        }
        let Some(position) = own.near else { return Ok(()) };
        let near = &self.near[position];
        let mut alone = None;
        for ((term, domains), found) in terms.iter().zip(&near.domains).zip(&near.found) {
            let key = &term.topology_key;
            let Some(domain) = domains[id] else {
                return Err(Objection::refused(format_args!("must run near others by {key}, which the node has not")));
            };
            if found.get(domain) == 0 {
                alone = Some(term);
            }
        }
        let finds_itself = |term: &AffinityTerm| self.finds(term, &pod.name.namespace, &pod.labels);
        match alone {
            Some(term) if near.anywhere > 0 || !terms.iter().all(finds_itself) => Err(Objection::refused(
                format_args!("must run near {} by {}, and none is near", term.selector, term.topology_key),
            )),
            _ => Ok(()),
        }
    }

    /// No term of the pod finds one near by.
    fn check_apart(&self, own: &OwnTerms, id: SiteId, site: &Site<'_>) -> Result<(), Objection> {
        for position in &own.apart {
            let Apart { term, domains, found, .. } = &self.apart[*position];
            if domains[id].is_some_and(|domain| found.get(domain) > 0) {
                let near = Near::by(site, term);
                return Err(Objection::refused(format_args!("must not run near {}: one is {near}", term.selector)));
            }
        }
        Ok(())
    }

    /// No pod near by has a term that finds the pod.
    fn check_kept_away(&self, spoken: &Spoken, id: SiteId, site: &Site<'_>) -> Result<(), Objection> {
        for position in &spoken.keeping_away {
            let Apart { term, domains, holders, .. } = &self.apart[*position];
            if domains[id].is_some_and(|domain| holders.get(domain) > 0) {
                let near = Near::by(site, term);
                let whom = &term.selector;
                return Err(Objection::refused(format_args!("a pod {near} must not run near {whom}")));
            }
        }
        Ok(())
    }
}

impl Near<'_> {
    /// Where that is, for a message.
    fn by(site: &Site<'_>, term: &AffinityTerm) -> String {
        let key = &term.topology_key;
        format!("at {key}={:?}", site.domain(key).unwrap_or_default())
    }
}
