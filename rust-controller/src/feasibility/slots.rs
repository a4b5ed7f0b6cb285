//! What new nodes can attach, as room of them: a pod that waits requests as many slots of a CSI driver as it has volumes that
//! no other pod has.
//!
//! So whoever fills new nodes looks at slots as at any resource. Nodes that are there have as many as anybody asks for: which
//! volumes are attached to them is known, and counted by the rule itself. It counts on new nodes, too, since volumes that pods
//! share take no slots.

use std::collections::{BTreeMap, BTreeSet};

use super::Refusal;
use super::class::{ClassId, Classes};
use super::numbering::{Numbering, signed};
use super::simulation::{NodeId, Simulation, Site};
use super::volumes::Attachments;
use crate::model::{AttachCounts, Pod, Resources};
use crate::units::FastMap;

/// Slots of one driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slots {
    /// Number of the driver.
    pub(super) driver: usize,
    /// How many all pods request together: a node without a limit has as many.
    pub(super) asked: i64,
}

/// The slots that the waiting pods request.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// By driver.
    pub(super) all: Vec<Slots>,
    /// Drivers of which some of them have volumes that other pods have, too: the limits of these are told apart by more than
    /// slots.
    pub(super) shared: BTreeSet<usize>,
    /// By draft, positions in `all` and how many of each: no two pods have volumes of their own and one draft.
    pub(super) of_draft: FastMap<usize, Vec<(usize, i64)>>,
}

impl Asked {
    /// By pod, the number of its kind; none for one that is over.
    pub(super) fn of(pods: &[&Pod], kinds: &[Option<usize>], numbering: &Numbering<'_>) -> Self {
        let mut asked = Self::default();
        if numbering.volumes.values().iter().all(|needs| needs.coming_attachments.is_empty()) {
            return asked;
        }
        let draft_of = |kind: &Option<usize>| kind.map(|kind| numbering.kinds.values()[kind].draft);
        let coming = |draft: usize| &numbering.volumes.values()[numbering.drafts[draft].volumes].coming_attachments;
        let mut users: FastMap<(usize, usize), u32> = FastMap::default();
        for attachment in kinds.iter().filter_map(draft_of).flat_map(coming) {
            *users.entry(*attachment).or_default() += 1;
        }
        let waiting = pods.iter().zip(kinds).filter(|(pod, _)| pod.occupied_node().is_none());
        let mut drivers: BTreeMap<usize, Vec<(usize, i64)>> = BTreeMap::new();
        for draft in waiting.filter_map(|(_, kind)| draft_of(kind)) {
            let (own, shared): (Vec<_>, Vec<_>) = coming(draft).iter().partition(|each| users[each] == 1);
            asked.shared.extend(shared.into_iter().map(|(driver, _)| driver));
            // They are sorted by driver.
            for of_driver in own.chunk_by(|one, other| one.0 == other.0) {
                let count = i64::try_from(of_driver.len()).unwrap_or(i64::MAX);
                drivers.entry(of_driver[0].0).or_default().push((draft, count));
            }
        }
        for (driver, drafts) in drivers {
            asked.all.push(Slots { driver, asked: drafts.iter().map(|(_, count)| count).sum() });
            for (draft, count) in drafts {
                asked.of_draft.entry(draft).or_default().push((asked.all.len() - 1, count));
            }
        }
        asked
    }
}

impl Simulation {
    /// How much a node that offers so much, and can attach so many volumes, has of each resource and of slots for volumes, by
    /// number.
    #[must_use]
    pub fn amounts(&self, allocatable: &Resources, limits: &AttachCounts) -> Vec<i64> {
        let Classes { resources, slots, .. } = &*self.classes;
        let of_resources = resources.iter().map(|resource| signed(allocatable.amount(resource)));
        let of_slots = slots.iter().map(|Slots { driver, asked }| {
            let limit = limits.get(&self.storage.drivers[*driver]).copied().flatten();
            limit.map_or(*asked, |limit| i64::from(limit).min(*asked))
        });
        of_resources.chain(of_slots).collect()
    }

    /// How many numbers there are of resources, and of slots for volumes.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.classes.resources.len() + self.classes.slots.len()
    }

    /// Of what a new node can attach, what tells it from others whatever their room: limits for drivers of which pods share
    /// volumes.
    pub(super) fn told_apart(&self, limits: &AttachCounts) -> AttachCounts {
        let drivers = self.classes.shared_drivers.iter().map(|driver| &self.storage.drivers[*driver]);
        drivers.filter_map(|driver| Some((driver.clone(), *limits.get(driver)?))).collect()
    }

    /// How many volumes of a driver the node can attach; none for no limit.
    pub(super) fn attach_limit(&self, node: NodeId, driver: usize) -> Option<u32> {
        match &self.nodes[node.0] {
            Site::Existing(_) => self.storage.limits.get(node.0)?.get(driver).copied().flatten(),
            Site::New(new) => new.attach_limits.get(&self.storage.drivers[driver]).copied().flatten(),
        }
    }

    /// Whether the node is there, and can attach a limited count of volumes of any driver.
    pub(super) fn has_attach_limits(&self, node: NodeId) -> bool {
        self.storage.limited.get(node.0).copied().unwrap_or(false)
    }

    /// Whether a node can attach what is attached to another one.
    #[must_use]
    pub fn can_attach_all(&self, limits: &AttachCounts, of: NodeId) -> bool {
        let attached = |driver: &str| {
            let number = self.storage.drivers.iter().position(|other| other == driver)?;
            Some(self.mounts.attachments(of.0, number, &Attachments::new()).0)
        };
        let holds =
            |(driver, limit): (&String, &Option<u32>)| limit.is_none_or(|limit| attached(driver) <= Some(limit));
        limits.iter().all(holds)
    }

    /// Whether a number is that of slots, and not of a resource.
    pub(super) fn is_of_slots(&self, number: usize) -> bool {
        number >= self.classes.resources.len()
    }

    /// The first driver of which too few slots are left for a pod of the class.
    pub(super) fn short_of_slots(&self, class: ClassId, room: &[i64]) -> Option<Refusal> {
        let requests = self.classes.class(class).requests.iter();
        let mut slots = requests.filter(|(number, _)| self.is_of_slots(*number));
        let (number, needed, free) = slots.find_map(|(number, needed)| {
            let free = *room.get(*number)?;
            (*needed > free).then_some((*number, *needed, free))
        })?;
        let count = |slots: i64| u32::try_from(slots.max(0)).unwrap_or(u32::MAX);
        let Slots { driver, .. } = self.classes.slots[number - self.classes.resources.len()];
        let driver = self.storage.drivers[driver].clone();
        Some(Refusal::TooManyVolumes { driver, needed: count(needed), free: count(free) })
    }
}
