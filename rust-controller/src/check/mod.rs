//! An independent judge of plans. It shares no algorithm with the planner: it does what a plan says, step by step, from
//! nothing, and asks every rule of the scheduler once more for every pod at its turn. A plan with a violation is a bug
//! of the planner, and nobody gets to see it.
//!
//! `cluster::Cluster` is what the steps are done to. Rules that look at one node by itself are those of
//! [`feasibility`](crate::feasibility); the others, about ports, room, other pods and volumes, are written here apart
//! from the planner's.

mod affinity;
mod budgets;
mod certificate;
mod choices;
mod cluster;
mod consolidation;
mod daemons;
mod fleet_bound;
mod free_volumes;
mod kinds;
mod left_out;
mod lookup;
mod mounts;
mod objection;
mod plan;
mod planned_node;
mod pool_labels;
mod replacement;
mod room;
mod roster;
mod set_apart;
mod site;
mod spread;
mod storage;
mod topology;
mod zones;

use std::fmt;

pub use consolidation::check_consolidation;
pub use fleet_bound::check_lower_bound;
pub use plan::check_plan;
pub use replacement::check_replacement;

use crate::feasibility::Rule;
use crate::model::{Phase, Pod, PodName, SchedulingState};
use objection::Objection;

/// Something that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The pod or node.
    pub subject: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Violation {
    fn new(subject: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self { subject: subject.to_string(), problem: problem.to_string() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.subject, self.problem)
    }
}

/// Whether the scheduler has looked for a node for the pod, and found none.
fn needs_node(pod: &Pod) -> bool {
    let unschedulable = pod.phase == Phase::Pending && pod.scheduling == SchedulingState::Unschedulable;
    unschedulable && !pod.deleting && !pod.is_daemon()
}

/// What a plan says of rules that it could not check.
#[derive(Clone, Copy, Debug)]
enum Unchecked<'a> {
    /// That there are none: the pod fits as it is.
    None,
    /// These, and perhaps others that the pod would keep.
    Said(&'a [Rule]),
}

/// What the objections to a pod on a node mean for the plan that puts it there.
fn violations<'a>(
    pod: &'a PodName,
    node: &'a str,
    objections: Vec<(Rule, Objection)>,
    unchecked: Unchecked<'a>,
) -> impl Iterator<Item = Violation> + 'a {
    objections.into_iter().filter_map(move |(rule, objection)| {
        let problem = match (objection, unchecked) {
            (Objection::Refused(why), _) => why,
            (Objection::Unread(kind), Unchecked::None) => format!("nobody can tell without every {kind}"),
            (Objection::Unread(_), Unchecked::Said(said)) if said.contains(&rule) => return None,
            (Objection::Unread(kind), Unchecked::Said(_)) => {
                format!("nobody could tell without every {kind}, and the plan does not say so")
            }
        };
        Some(Violation::new(pod, format_args!("on {node}: {rule}: {problem}")))
    })
}
