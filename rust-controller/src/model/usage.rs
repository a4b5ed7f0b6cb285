//! What nodes were measured to use.

use crate::units::{Cpu, Memory};

/// What one node used over the seconds in which it was measured, whatever its pods request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU, on average.
    pub cpu: Cpu,
    /// Memory of the working set, at the end.
    pub memory: Memory,
}
