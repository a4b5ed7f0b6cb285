//! A scene in which pods are placed and taken away again.

use std::sync::Arc;

use mini_karpenter::model::{Node, Pod, PodName, SchedulingState};

use crate::oracle::bindings;
use crate::scenes::Scene;

/// A scene and the pods that were placed in it.
pub(crate) struct Stage {
    before: Scene,
    placed: Vec<Placed>,
    /// The scene with the placed pods bound to their nodes, and with the volumes that were there for their claims kept
    /// for these. A claim for which a volume is to be made stays as it was.
    pub(crate) now: Scene,
}

struct Placed {
    pod: PodName,
    node: String,
    /// Names of the volumes, each with the claim that it is kept for.
    volumes: Vec<(String, PodName, String)>,
}

impl Stage {
    pub(crate) fn of(scene: &Scene) -> Self {
        Self { before: scene.clone(), placed: Vec::new(), now: scene.clone() }
    }

    /// Puts a waiting pod on a node that takes it.
    pub(crate) fn place(&mut self, pod: &Pod, node: &Node) {
        let chosen = bindings(&self.now, pod, node).unwrap();
        let volumes: Vec<_> = chosen
            .into_iter()
            .map(|(claim, volume)| (volume.name.clone(), claim.name.clone(), claim.uid.clone()))
            .collect();
        self.placed.push(Placed { pod: pod.name.clone(), node: node.name.clone(), volumes });
        self.build();
    }

    /// Lets a placed pod wait again, and sets the volumes free that were kept for its claims.
    pub(crate) fn take(&mut self, pod: &PodName) {
        self.placed.retain(|placed| placed.pod != *pod);
        self.build();
    }

    /// The placed pods with their nodes, in the order in which they were placed.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (&PodName, &str)> {
        self.placed.iter().map(|placed| (&placed.pod, placed.node.as_str()))
    }

    /// The scene as it would be if no volume were kept for the placed pods.
    pub(crate) fn with_all_volumes(&self) -> Scene {
        Scene { volumes: self.before.volumes.clone(), ..self.now.clone() }
    }

    fn build(&mut self) {
        self.now = self.before.clone();
        for Placed { pod, node, volumes } in &self.placed {
            let pod = self.now.pods.iter_mut().find(|each| each.name == *pod).unwrap();
            Arc::make_mut(pod).scheduling = SchedulingState::Bound(node.clone());
            for (volume, claim, uid) in volumes {
                let volume = self.now.volumes.get_mut(volume).unwrap();
                Arc::make_mut(volume).claim = Some((claim.clone(), uid.clone()));
            }
        }
    }
}
