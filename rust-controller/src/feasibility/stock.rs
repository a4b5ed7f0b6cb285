//! Volumes that no claim has yet, on racks, so that the smallest one that will do is found without a search.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::interner::Interner;
use super::selects;
use crate::model::{Claim, LabelSelector, NodeSelectorTerm, ObjectName, Volume};
use crate::snapshot::Extras;
use crate::units::FastMap;

/// Terms of node affinities, numbered.
pub(super) type Terms = Interner<Vec<NodeSelectorTerm>>;

/// The volumes of a snapshot. Their numbers go by storage class, size and name: of those that would do for a claim, the
/// scheduler takes the one with the lowest number.
#[derive(Debug)]
pub(super) struct Stock<'a> {
    volumes: Vec<&'a Volume>,
    meant: FastMap<&'a ObjectName, Vec<usize>>,
    /// Label keys that the selector of some claim names: no others tell one volume from another.
    selected_keys: BTreeSet<&'a str>,
    racks: Vec<Rack<'a>>,
    /// Racks of each storage class of which some claim has asked for a volume.
    of_class: BTreeMap<&'a str, Range<usize>>,
    suiting: FastMap<Wish, usize>,
    sets: Interner<Vec<usize>>,
    terms_of_meant: BTreeMap<usize, Option<usize>>,
}

/// Free volumes that differ in nothing that a claim or a node looks at but their size.
#[derive(Debug)]
struct Rack<'a> {
    example: &'a Volume,
    terms: Option<usize>,
    volumes: BTreeSet<usize>,
}

/// What tells racks of one storage class apart: block device, access modes, labels that selectors name, node affinity.
type Distinction<'a> = (bool, &'a BTreeSet<String>, Vec<Option<&'a str>>, Option<usize>);

/// What a claim asks of a volume beside its size: storage class, block device, access modes and selector.
type Wish = (String, bool, BTreeSet<String>, Option<LabelSelector>);

/// The free volumes that would do for a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Choice {
    /// Number of the set of racks that they are on.
    pub(super) racks: usize,
    /// The first one that is large enough.
    pub(super) from: usize,
}

/// The stock once all claims have asked.
#[derive(Debug)]
pub(super) struct RackedVolumes {
    /// By number of the set, its racks.
    pub(super) sets: Vec<Vec<usize>>,
    /// By rack, the node affinity of its volumes.
    pub(super) terms: Vec<Option<usize>>,
    /// By rack, the volumes on it.
    pub(super) volumes: Vec<BTreeSet<usize>>,
    /// Node affinity of volumes that are meant for a claim.
    pub(super) terms_of_meant: BTreeMap<usize, Option<usize>>,
}

impl<'a> Stock<'a> {
    pub(super) fn new(extras: &'a Extras) -> Self {
        let mut volumes: Vec<&Volume> = extras.volumes.iter().flatten().map(|(_, volume)| &**volume).collect();
        volumes.sort_by_key(|volume| (class_of(volume), volume.capacity, &volume.name));
        let mut meant: FastMap<&ObjectName, Vec<usize>> = FastMap::default();
        for (number, volume) in volumes.iter().enumerate() {
            if let Some((claim, _)) = &volume.claim {
                meant.entry(claim).or_default().push(number);
            }
        }
        let selectors = extras.claims.iter().flatten().filter_map(|(_, claim)| claim.selector.as_ref());
        let requirements = selectors.flat_map(|selector| match selector {
            LabelSelector::Nothing => &[][..],
            LabelSelector::Matching(requirements) => requirements,
        });
        Self {
            selected_keys: requirements.map(|requirement| requirement.key.as_str()).collect(),
            volumes,
            meant,
            racks: Vec::new(),
            of_class: BTreeMap::new(),
            suiting: FastMap::default(),
            sets: Interner::default(),
            terms_of_meant: BTreeMap::new(),
        }
    }

    /// The volume of a storage class that is meant for a claim and would do for it.
    pub(super) fn meant_for(&mut self, claim: &Claim, class: &str, terms: &mut Terms) -> Option<usize> {
        let is_meant = |number: &usize| {
            let volume = self.volumes[*number];
            class_of(volume) == class
                && holds(volume, claim)
                && volume.claim.as_ref().is_some_and(|(_, uid)| uid.is_empty() || *uid == claim.uid)
        };
        let number = self.meant.get(&claim.name)?.iter().copied().find(is_meant)?;
        let of_volume = attachable(self.volumes[number]).map(|of_volume| terms.number(of_volume));
        self.terms_of_meant.insert(number, of_volume);
        Some(number)
    }

    /// The free volumes of a storage class that would do for a claim; none where no rack has any.
    pub(super) fn choice(&mut self, claim: &Claim, class: &'a str, terms: &mut Terms) -> Option<Choice> {
        let wish = (class.to_owned(), claim.block, claim.access_modes.clone(), claim.selector.clone());
        let racks = if let Some(racks) = self.suiting.get(&wish) {
            *racks
        } else {
            let all = self.racks_of(class, terms);
            let set = all.filter(|rack| suits(self.racks[*rack].example, claim)).collect();
            let racks = self.sets.number(set);
            self.suiting.insert(wish, racks);
            racks
        };
        let too_small = |volume: &&Volume| (class_of(volume), volume.capacity) < (class, claim.size);
        let from = self.volumes.partition_point(too_small);
        (!self.sets.values()[racks].is_empty()).then_some(Choice { racks, from })
    }

    /// The racks of a storage class, which are filled when they are first asked for: the node affinities of volumes that
    /// nobody asks for make no difference between nodes.
    fn racks_of(&mut self, class: &'a str, terms: &mut Terms) -> Range<usize> {
        if let Some(racks) = self.of_class.get(class) {
            return racks.clone();
        }
        let first = self.racks.len();
        let mut known: FastMap<Distinction<'a>, usize> = FastMap::default();
        let start = self.volumes.partition_point(|volume| class_of(volume) < class);
        let of_class = (start..).zip(&self.volumes[start..]).take_while(|(_, volume)| class_of(volume) == class);
        for (number, volume) in of_class.filter(|(_, volume)| is_free(volume)) {
            let volume: &'a Volume = volume;
            let labels = self.selected_keys.iter().map(|key| volume.labels.get(*key).map(String::as_str)).collect();
            let of_volume = attachable(volume).map(|of_volume| terms.number(of_volume));
            let racks = &mut self.racks;
            let rack = *known.entry((volume.block, &volume.access_modes, labels, of_volume)).or_insert_with(|| {
                racks.push(Rack { example: volume, terms: of_volume, volumes: BTreeSet::new() });
                racks.len() - 1
            });
            racks[rack].volumes.insert(number);
        }
        let racks = first..self.racks.len();
        self.of_class.insert(class, racks.clone());
        racks
    }

    pub(super) fn into_racked(self) -> RackedVolumes {
        let (terms, volumes) = self.racks.into_iter().map(|rack| (rack.terms, rack.volumes)).unzip();
        RackedVolumes { sets: self.sets.into_values(), terms, volumes, terms_of_meant: self.terms_of_meant }
    }
}

/// Labels of the nodes that can attach a volume; `None` for every node. The scheduler asks without the node's name, so
/// that requirements on it always hold.
pub(super) fn attachable(volume: &Volume) -> Option<Vec<NodeSelectorTerm>> {
    let mut terms = volume.node_affinity.clone()?;
    let only_names = |term: &NodeSelectorTerm| term.labels.is_empty() && !term.fields.is_empty();
    if terms.iter().any(only_names) {
        return None;
    }
    for term in &mut terms {
        term.fields.clear();
    }
    Some(terms)
}

fn class_of(volume: &Volume) -> &str {
    volume.storage_class.as_deref().unwrap_or_default()
}

/// Whether a volume would do for a claim, whoever it is meant for.
fn holds(volume: &Volume, claim: &Claim) -> bool {
    volume.capacity >= claim.size && volume.block == claim.block && !volume.deleting
}

/// Whether a volume may be bound to a claim for which it was not meant.
fn is_free(volume: &Volume) -> bool {
    volume.claim.is_none() && volume.available && !volume.deleting
}

/// Whether a volume would do for a claim if it were free and large enough.
fn suits(volume: &Volume, claim: &Claim) -> bool {
    volume.block == claim.block
        && claim.selector.as_ref().is_none_or(|selector| selects(selector, &volume.labels))
        && claim.access_modes.is_subset(&volume.access_modes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lower::parse_manifest;

    const VOLUMES: usize = 3000;

    /// Local and zonal volumes of growing size, each with a label of its own, and a claim for each size.
    fn extras() -> Extras {
        let of = |at: usize| {
            let (size, zone) = (at + 1, at % 3);
            format!(
                "---\napiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: v{at}, labels: {{serial: s{at}, disk: d{zone}}}}}\n\
                 spec: {{storageClassName: s, accessModes: [ReadWriteOnce], capacity: {{storage: {size}}}, nodeAffinity: \
                 {{required: {{nodeSelectorTerms: [{{matchExpressions: [{{key: zone, operator: In, values: [z{zone}]}}]}}]}}}}}}\n\
                 status: {{phase: Available}}\n---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: c{at}}}\n\
                 spec: {{storageClassName: s, accessModes: [ReadWriteOnce], selector: {{matchExpressions: [{{key: disk, \
                 operator: Exists}}]}}, resources: {{requests: {{storage: {size}}}}}}}\n"
            )
        };
        parse_manifest(&(0..VOLUMES).map(of).collect::<String>()).unwrap().extras
    }

    /// What the scheduler would take is found by looking at a few racks, however many volumes and claims there are.
    #[test]
    fn like_volumes_are_on_one_rack_and_claims_that_differ_in_size_only_look_at_the_same_racks() {
        let extras = extras();
        let (mut stock, mut terms) = (Stock::new(&extras), Terms::default());
        for claim in extras.claims.as_ref().unwrap().values() {
            let choice = stock.choice(claim, "s", &mut terms).unwrap();
            let at: usize = claim.name.name[1..].parse().unwrap();
            assert_eq!((choice.racks, stock.volumes[choice.from].name.as_str()), (0, format!("v{at}").as_str()));
        }
        let RackedVolumes { sets, volumes, .. } = stock.into_racked();
        assert_eq!(sets, [vec![0, 1, 2]]);
        assert_eq!(volumes.iter().map(BTreeSet::len).collect::<Vec<_>>(), [VOLUMES / 3; 3]);
    }
}
