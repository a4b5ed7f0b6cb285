//! Nodes that could join, and that no rule tells apart but by room.
//!
//! There are hundreds of node types, and rules see little of them. One node stands for all of a guise: what it is asked holds
//! for each of them, with the room of each.

use super::class::ClassId;
use super::shape::Seen;
use super::simulation::{NewNode, NodeId, Simulation};
use super::target::Target;
use super::verdict::Miss;
use super::{Refusal, Rule};
use crate::model::{AttachCounts, key};

/// What rules see of a node that could join, the amount of room aside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Guise {
    seen: Seen,
    /// The values of topology keys, and of those by which volumes tell their zone.
    places: Vec<Option<String>>,
    /// By number of the resource, whether there is some, as far as that decides which daemon pods come.
    has_some: Vec<bool>,
    /// How many volumes it can attach of the drivers of which pods share some. What others take is a matter of room.
    attachable: AttachCounts,
}

/// One of the nodes for which one stands.
#[derive(Clone, Copy, Debug)]
pub struct InGuise<'n> {
    /// The one that stands for it.
    pub node: NodeId,
    /// Its own labels.
    pub target: Target<'n>,
    /// What is left of its room, by number of the resource.
    pub room: &'n [i64],
}

/// The rules beside room that refuse a class on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Obstacles {
    /// The first of those that the scheduler asks before it looks at room.
    before_room: Option<Rule>,
    /// And after that.
    after_room: Option<Rule>,
}

impl Simulation {
    /// What rules see of a node that could join.
    #[must_use]
    pub fn guise(&self, new: &NewNode) -> Guise {
        let target = new.target();
        let mut places = self.domains.values(&target);
        places.extend(key::VOLUME_ZONES.map(|key| target.label(key).map(str::to_owned)));
        let has_some = self.resources().iter().map(|name| new.allocatable.has_some(name)).collect();
        let attachable = self.told_apart(&new.attach_limits);
        Guise { seen: self.attention.see(&target), places, has_some, attachable }
    }

    /// Whether there is room for a pod of the class.
    #[must_use]
    pub fn fits(&self, class: ClassId, room: &[i64]) -> bool {
        self.classes.class(class).requests.iter().all(|(resource, amount)| *amount <= room[*resource])
    }

    /// What refuses the class on a node beside room.
    #[must_use]
    pub fn obstacles(&self, class: ClassId, node: NodeId) -> Obstacles {
        let before_room = self.first_before_room(class, node);
        Obstacles { before_room, after_room: self.first_after_room(class, node) }
    }

    /// How far a node with these obstacles and this room is from taking a pod of the class; `None` where it may run.
    #[must_use]
    pub fn miss_in(&self, class: ClassId, obstacles: Obstacles, room: &[i64]) -> Option<Miss> {
        let Obstacles { before_room, after_room } = obstacles;
        let too_small = self.short(class, room).next().map(|_| Rule::NodeResourcesFit);
        let slots = self.short_of_slots(class, room).map(|refusal| refusal.rule());
        let after_room = after_room.into_iter().chain(slots).min();
        let rule = before_room.or(too_small).or(after_room)?;
        let short = self.short(class, room).map(|(_, share)| share);
        Some(Miss::new(before_room.is_some() || after_room.is_some(), short, rule))
    }

    /// Why a pod of the class may not run on one of the nodes for which one stands: the first rule that refuses.
    #[must_use]
    pub fn refusal_in(&self, class: ClassId, guise: InGuise<'_>) -> Option<Refusal> {
        self.refusals_in(class, guise).into_iter().next()
    }

    /// Whether a node that could join would take a pod of the class if there is room, but for daemon pods that it must be near
    /// and that come with the node.
    #[must_use]
    pub fn is_open_beside_held(&self, class: ClassId, node: NodeId) -> bool {
        let obstacles = self.obstacles(class, node);
        let not_near = Obstacles { after_room: Some(Rule::InterPodAffinity), ..Obstacles::default() };
        let comes_with_it = || self.held[node.0].iter().any(|held| self.awaits(class, *held));
        obstacles == Obstacles::default() || obstacles == not_near && comes_with_it()
    }
}
