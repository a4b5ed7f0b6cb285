//! The pods that a plan speaks of, found in the snapshot.

use std::sync::Arc;

use crate::model::{Pod, PodName};
use crate::provision::PodPlan;
use crate::units::FastMap;

/// Numbers of the pods of a snapshot and of a plan. Equal names have equal numbers.
pub(super) struct Roster<'a> {
    /// The snapshot's, each at its number.
    pub(super) pods: &'a [Arc<Pod>],
    /// By position in the plan. A pod that the snapshot has not has a number beyond the snapshot's.
    pub(super) numbers: Vec<usize>,
    /// How many numbers there are.
    pub(super) count: usize,
}

impl<'a> Roster<'a> {
    /// A pod that is the very object of the snapshot needs no look at its name.
    pub(super) fn new(pods: &'a [Arc<Pod>], planned: &'a [PodPlan]) -> Self {
        let by_address: FastMap<*const Pod, usize> =
            pods.iter().enumerate().map(|(number, pod)| (Arc::as_ptr(pod), number)).collect();
        let mut strangers: FastMap<&PodName, usize> = FastMap::default();
        let number = |planned: &'a PodPlan| {
            let name = &planned.pod.name;
            let by_address = by_address.get(&Arc::as_ptr(&planned.pod)).copied();
            let known = by_address.or_else(|| pods.binary_search_by(|pod| pod.name.cmp(name)).ok());
            known.unwrap_or_else(|| {
                let next = pods.len() + strangers.len();
                *strangers.entry(name).or_insert(next)
            })
        };
        let numbers = planned.iter().map(number).collect();
        Self { pods, numbers, count: pods.len() + strangers.len() }
    }

    /// The pod at a position of the plan, as the snapshot has it.
    pub(super) fn pod(&self, position: usize) -> Option<&'a Pod> {
        self.pods.get(self.numbers[position]).map(|pod| &**pod)
    }
}
