//! Pods that are not to be evicted, and what the eviction of the others costs.

use super::budgets::Budgets;
use super::{BlockReason, Warning};
use crate::model::{ObjectName, Owner, Phase, Pod, PodVolume, SchedulingState, Volume};
use crate::snapshot::Snapshot;
use crate::units::FastMap;

/// Everything in the cluster that decides about evictions.
pub(super) struct Evictions<'a> {
    pub(super) budgets: Budgets<'a>,
    snapshot: &'a Snapshot,
    /// How many pods of a controller run, by its namespace.
    running: FastMap<(&'a str, &'a Owner), usize>,
}

impl<'a> Evictions<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let mut running: FastMap<(&str, &Owner), usize> = FastMap::default();
        for pod in snapshot.pods().iter().filter(|pod| pod.phase == Phase::Running && !pod.deleting) {
            if let Some(owner) = &pod.owner {
                *running.entry((pod.name.namespace.as_str(), owner)).or_default() += 1;
            }
        }
        Self { budgets: Budgets::of(snapshot), snapshot, running }
    }

    /// Why a pod stays where it is, wherever there is room for it.
    pub(super) fn forbidding(&self, pod: &Pod) -> Option<BlockReason> {
        match &pod.scheduling {
            SchedulingState::Nominated(_) => Some(BlockReason::Nominated),
            _ if pod.owner.is_none() => Some(BlockReason::NoController),
            _ => {
                let annotated = pod.eviction.forbidden_by.clone().map(BlockReason::DoNotDisrupt);
                let local = || self.local_volume(pod).map(|volume| BlockReason::LocalVolume(volume.name.clone()));
                annotated.or_else(local).or_else(|| self.budgets.forbidding(pod))
            }
        }
    }

    /// The first of its volumes that is a disk of the node.
    fn local_volume(&self, pod: &Pod) -> Option<&Volume> {
        let extras = self.snapshot.extras();
        let (claims, volumes) = extras.claims.as_ref().zip(extras.volumes.as_ref())?;
        let volume = |claimed: &PodVolume| {
            let PodVolume::Claim { name, ephemeral: false } = claimed else { return None };
            let claim = claims.get(&ObjectName { namespace: pod.name.namespace.clone(), name: name.clone() })?;
            volumes.get(claim.volume.as_ref()?).map(|volume| &**volume).filter(|volume| volume.local)
        };
        pod.volumes.iter().find_map(volume)
    }

    /// What is lost, and who is down meanwhile.
    pub(super) fn warnings(&self, pod: &Pod) -> Vec<Warning> {
        let running = pod.owner.as_ref().and_then(|owner| self.running.get(&(pod.name.namespace.as_str(), owner)));
        let runs = pod.phase == Phase::Running;
        let of_job = pod.owner.as_ref().is_some_and(|owner| owner.kind == "Job");
        let warnings = [
            (Warning::LosesScratch, pod.eviction.loses_scratch),
            (Warning::LeavesHostPath, pod.eviction.leaves_host_path),
            // Nobody is served by a Job's pod.
            (Warning::OnlyReplica, runs && running == Some(&1) && !of_job),
            (Warning::StartsAnew, runs && of_job),
        ];
        warnings.into_iter().filter(|(_, holds)| *holds).map(|(warning, _)| warning).collect()
    }
}
