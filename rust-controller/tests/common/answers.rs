//! What the program says of a scene: the one place that knows how to ask it.

use mini_karpenter::feasibility::{ClassId, NodeId, Simulation};
use mini_karpenter::model::{Node, Pod};

use crate::scenes::Scene;

/// The program's view of a scene.
pub(crate) struct Answers(Simulation);

impl Answers {
    pub(crate) fn of(scene: &Scene) -> Self {
        Self(Simulation::of(&scene.snapshot()))
    }

    fn ids(&self, pod: &Pod, node: &Node) -> (ClassId, NodeId) {
        (self.0.class_of(&pod.name).unwrap(), self.0.node(&node.name).unwrap())
    }

    /// The rules that refuse, one entry for each refusal.
    pub(crate) fn refusing_rules(&self, pod: &Pod, node: &Node) -> Vec<&'static str> {
        let (class, node) = self.ids(pod, node);
        self.0.refusals(class, node).iter().map(|refusal| refusal.rule().name()).collect()
    }

    pub(crate) fn may_run(&self, pod: &Pod, node: &Node) -> bool {
        let (class, node) = self.ids(pod, node);
        self.0.may_run(class, node)
    }

    pub(crate) fn place(&mut self, pod: &Pod, node: &Node) {
        let (class, node) = self.ids(pod, node);
        self.0.place(class, node);
    }

    pub(crate) fn take(&mut self, pod: &Pod, node: &Node) {
        let (class, node) = self.ids(pod, node);
        self.0.take(class, node);
    }

    pub(crate) fn are_of_one_class(&self, one: &Pod, other: &Pod) -> bool {
        self.0.class_of(&one.name).unwrap() == self.0.class_of(&other.name).unwrap()
    }
}
