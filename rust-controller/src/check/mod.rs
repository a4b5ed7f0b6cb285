//! An independent judge of plans. It shares no algorithm with the planner: it adds up every node from nothing and asks
//! the rules once more for every pod. A plan with a violation is a bug of the planner, and nobody gets to see it.

mod consolidation;
mod plan;
mod room;

use std::fmt;

pub use consolidation::check_consolidation;
pub use plan::check_plan;

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
