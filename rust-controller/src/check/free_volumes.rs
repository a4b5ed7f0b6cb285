//! Volumes that are there and that no claim has yet, in piles of like ones.

use std::collections::{BTreeMap, BTreeSet};

use super::storage::attaches;
use crate::feasibility::selects;
use crate::model::{Claim, LabelSelector, Labels, NodeSelectorTerm, Volume};
use crate::snapshot::Extras;
use crate::units::{FastMap, Memory};

/// The free volumes of a snapshot, less those that pods have come to since.
#[derive(Debug, Default)]
pub(super) struct FreeVolumes<'a> {
    piles: Vec<Pile<'a>>,
    of_class: BTreeMap<&'a str, Vec<usize>>,
    pile_of: FastMap<&'a str, usize>,
}

/// Volumes that no claim and no node tells apart but by their size.
#[derive(Debug)]
struct Pile<'a> {
    top: &'a Volume,
    by_size: BTreeMap<(Memory, &'a str), &'a Volume>,
}

/// What decides on which pile a volume is. Of its labels those count that some claim names.
type Look<'a> = (&'a str, bool, &'a BTreeSet<String>, Option<&'a [NodeSelectorTerm]>, Vec<(&'a str, &'a str)>);

impl<'a> FreeVolumes<'a> {
    pub(super) fn new(extras: &'a Extras) -> Self {
        let keys = keys_of_selectors(extras);
        let mut free = Self::default();
        let mut looks: FastMap<Look<'a>, usize> = FastMap::default();
        for volume in extras.volumes.iter().flatten().map(|(_, volume)| &**volume) {
            if volume.claim.is_some() || !volume.available || volume.deleting {
                continue;
            }
            let labels = volume.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
            let labels = labels.filter(|(key, _)| keys.contains(key)).collect();
            let class = volume.storage_class.as_deref().unwrap_or_default();
            let look = (class, volume.block, &volume.access_modes, volume.node_affinity.as_deref(), labels);
            let pile = *looks.entry(look).or_insert_with(|| free.start_pile(class, volume));
            free.piles[pile].by_size.insert((volume.capacity, &volume.name), volume);
            free.pile_of.insert(&volume.name, pile);
        }
        free
    }

    fn start_pile(&mut self, class: &'a str, top: &'a Volume) -> usize {
        let pile = self.piles.len();
        self.piles.push(Pile { top, by_size: BTreeMap::new() });
        self.of_class.entry(class).or_default().push(pile);
        pile
    }

    /// The smallest that will do for a claim on a node of these labels, and of equal ones the first by name; none of
    /// `chosen`.
    pub(super) fn smallest(&self, claim: &Claim, chosen: &BTreeSet<&str>, node: &Labels) -> Option<&'a Volume> {
        let class = claim.storage_class.as_deref().unwrap_or_default();
        let piles = self.of_class.get(class).into_iter().flatten().map(|pile| &self.piles[*pile]);
        let suiting = piles.filter(|Pile { top, .. }| {
            top.block == claim.block
                && claim.access_modes.is_subset(&top.access_modes)
                && claim.selector.as_ref().is_none_or(|selector| selects(selector, &top.labels))
                && attaches(top, node)
        });
        let large_enough = suiting.filter_map(|Pile { by_size, .. }| {
            by_size.range((claim.size, "")..).find(|((_, name), _)| !chosen.contains(name))
        });
        let (_, volume) = large_enough.min_by_key(|(size_and_name, _)| *size_and_name)?;
        Some(volume)
    }

    /// A volume is not free any more.
    pub(super) fn remove(&mut self, volume: &'a Volume) {
        if let Some(pile) = self.pile_of.get(volume.name.as_str()) {
            self.piles[*pile].by_size.remove(&(volume.capacity, &*volume.name));
        }
    }
}

fn keys_of_selectors(extras: &Extras) -> BTreeSet<&str> {
    let mut keys = BTreeSet::new();
    for claim in extras.claims.iter().flat_map(BTreeMap::values) {
        if let Some(LabelSelector::Matching(requirements)) = &claim.selector {
            keys.extend(requirements.iter().map(|requirement| requirement.key.as_str()));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::parse_manifest;

    #[test]
    fn like_volumes_are_in_one_pile_and_the_smallest_that_is_left_is_found_in_it() {
        let volume = |at: usize| {
            format!(
                "---\napiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: v{at:04}, labels: {{serial: s{at}}}}}\nspec: \
                 {{storageClassName: s, accessModes: [ReadWriteOnce, ReadOnlyMany], capacity: {{storage: {}}}}}\nstatus: \
                 {{phase: Available}}\n",
                at / 2
            )
        };
        let claim = "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c}\nspec: {storageClassName: s, \
                     accessModes: [ReadWriteOnce], resources: {requests: {storage: 7}}}\n";
        let text: String = (0..2000).map(volume).chain([claim.to_owned()]).collect();
        let extras = parse_manifest(&text).unwrap().extras;
        let mut free = FreeVolumes::new(&extras);
        assert_eq!(free.piles.len(), 1);
        let claim = extras.claims.as_ref().unwrap().values().next().unwrap();
        let smallest = |free: &FreeVolumes<'_>, chosen: &[&str]| {
            let volume = free.smallest(claim, &chosen.iter().copied().collect(), &Labels::new());
            volume.map(|volume| volume.name.clone())
        };
        assert_eq!(smallest(&free, &[]).as_deref(), Some("v0014"));
        assert_eq!(smallest(&free, &["v0014"]).as_deref(), Some("v0015"));
        for at in 14..1000 {
            free.remove(&extras.volumes.as_ref().unwrap()[&format!("v{at:04}")]);
        }
        assert_eq!(smallest(&free, &[]).as_deref(), Some("v1000"));
    }
}
