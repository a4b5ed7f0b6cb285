//! What counts which pods.

use std::collections::{BTreeSet, HashMap};

use super::affinity::{Affinities, Spoken};
use super::spread::{SpreadId, Spreads};
use crate::model::{LabelSelector, Pod};

/// The rules that count each pod, found once for all pods that they cannot tell apart: those of one namespace with the
/// same values of the labels that some selector looks at.
#[derive(Debug)]
pub(super) struct Profiles<'a> {
    /// Label keys that selectors look at.
    keys: Vec<&'a str>,
    known: HashMap<Profile<'a>, Counting>,
}

/// A namespace, and the value of each key.
type Profile<'a> = (&'a str, Vec<Option<&'a str>>);

/// The rules that count a pod.
#[derive(Debug)]
pub(super) struct Counting {
    pub(super) spreads: Vec<SpreadId>,
    pub(super) affinities: Spoken,
}

impl<'a> Profiles<'a> {
    /// For these pods, and no others. Once every rule is known.
    pub(super) fn new(
        spreads: &Spreads<'a>,
        affinities: &Affinities<'a>,
        pods: impl IntoIterator<Item = &'a Pod>,
    ) -> Self {
        let selectors = spreads.selectors().chain(affinities.selectors());
        let keys: BTreeSet<&str> = selectors.flat_map(keys_of).collect();
        let mut profiles = Self { keys: keys.into_iter().collect(), known: HashMap::new() };
        for pod in pods {
            let namespace = &pod.name.namespace;
            let profile = profiles.profile(pod);
            profiles.known.entry(profile).or_insert_with(|| Counting {
                spreads: spreads.counting(namespace, &pod.labels),
                affinities: affinities.speaking_of(namespace, &pod.labels),
            });
        }
        profiles
    }

    /// The rules that count a pod; `None` for one that was not announced.
    pub(super) fn of(&self, pod: &'a Pod) -> Option<&Counting> {
        self.known.get(&self.profile(pod))
    }

    fn profile(&self, pod: &'a Pod) -> Profile<'a> {
        let values = self.keys.iter().map(|key| pod.labels.get(*key).map(String::as_str));
        (&pod.name.namespace, values.collect())
    }
}

fn keys_of(selector: &LabelSelector) -> impl Iterator<Item = &str> {
    let requirements = match selector {
        LabelSelector::Nothing => &[][..],
        LabelSelector::Matching(requirements) => requirements,
    };
    requirements.iter().map(|requirement| requirement.key.as_str())
}
