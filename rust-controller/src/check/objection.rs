//! What a rule has against a pod on a node.

use std::fmt;

/// Why a rule does not let a pod run on a node, or cannot tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Objection {
    /// It may not run there.
    Refused(String),
    /// Nobody could read objects of this kind, on which it depends.
    Unread(&'static str),
}

impl Objection {
    pub(super) fn refused(why: impl fmt::Display) -> Self {
        Self::Refused(why.to_string())
    }
}
