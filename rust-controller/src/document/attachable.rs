//! Planned nodes of which nobody knows how many volumes they can attach.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::provision::UnknownAttachLimit;

/// A node type of which no live node says how many volumes it can attach.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UnknownEntry<'a> {
    instance_type: &'a str,
    /// By CSI driver, the most volumes that are planned on one.
    most_planned: &'a BTreeMap<String, usize>,
}

pub(super) fn entries(unknown: &[UnknownAttachLimit]) -> Vec<UnknownEntry<'_>> {
    unknown.iter().map(entry).collect()
}

fn entry(unknown: &UnknownAttachLimit) -> UnknownEntry<'_> {
    let UnknownAttachLimit { instance_type, most_planned } = unknown;
    UnknownEntry { instance_type, most_planned }
}

/// A line for each of these types.
pub(super) fn lines(unknown: &[UnknownAttachLimit]) -> String {
    unknown.iter().map(line).collect()
}

fn line(UnknownAttachLimit { instance_type, most_planned }: &UnknownAttachLimit) -> String {
    let planned: Vec<String> = most_planned.iter().map(|(driver, most)| format!("{most} of {driver}")).collect();
    let are = if most_planned.values().all(|most| *most == 1) { "is" } else { "are" };
    format!(
        "How many volumes a {instance_type} can attach is not known: up to {} {are} planned on one\n",
        planned.join(" and ")
    )
}
