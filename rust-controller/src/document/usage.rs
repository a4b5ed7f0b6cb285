//! What nodes were measured to use, beside what is requested of them.
//!
//! Measured use is never the same twice, and ConfigMaps are written when their content changes. So it is shown in whole
//! percent of allocatable, and never with the time of day.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::{Node, Usage, printed_amount};
use crate::snapshot::{MeasuredUsage, NoUsage};

/// The API that measures it.
const SOURCE: &str = "metrics.k8s.io";

/// Whether what nodes use could be read.
#[derive(Debug, Serialize)]
pub(super) struct UsageStatus {
    source: &'static str,
    read: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// What one node uses of each resource.
#[derive(Debug, Serialize)]
pub(super) struct UsageEntry {
    cpu: Measured,
    memory: Measured,
}

/// To the nearest hundredth of allocatable.
#[derive(Debug, Serialize)]
struct Measured {
    used: String,
    /// Of allocatable, from 0; more than 1 where more is used than pods may request.
    share: f64,
}

/// Nothing where nobody has asked for it.
pub(super) fn status(usage: &MeasuredUsage) -> Option<UsageStatus> {
    let reason = match usage {
        MeasuredUsage::NotAsked => return None,
        MeasuredUsage::Unread(reason) => Some(why_not(*reason)),
        MeasuredUsage::Read(_) => None,
    };
    Some(UsageStatus { source: SOURCE, read: reason.is_none(), reason })
}

/// A line for a person; nothing where nobody has asked for it.
pub(super) fn line(usage: &MeasuredUsage) -> String {
    match usage {
        MeasuredUsage::NotAsked => String::new(),
        MeasuredUsage::Unread(reason) => format!("Measured use of nodes is not shown: {}\n", why_not(*reason)),
        MeasuredUsage::Read(_) => {
            format!("USED is what {SOURCE} measured, REQ what pods request; verdicts follow from requests alone\n")
        }
    }
}

/// What a node uses, for a program; nothing where that is not known.
pub(super) fn entry(usage: &MeasuredUsage, node: &Node) -> Option<UsageEntry> {
    let measured = |Hundredths { resource, hundredths, amount, .. }: &Hundredths| {
        #[expect(clippy::cast_precision_loss, reason = "for output only")]
        let share = *hundredths as f64 / 100.0;
        Measured { used: printed_amount(resource, *amount), share }
    };
    let [cpu, memory] = of_node(usage, node)?;
    Some(UsageEntry { cpu: measured(&cpu), memory: measured(&memory) })
}

/// What a node uses, for a person: `13 % (520m of 4)` by resource; nothing where that is not known.
pub(super) fn texts(usage: &MeasuredUsage, node: &Node) -> BTreeMap<&'static str, String> {
    let text = |Hundredths { resource, hundredths, amount, offered }: Hundredths| {
        let [used, offered] = [amount, offered].map(|amount| printed_amount(resource, amount));
        (resource, format!("{hundredths} % ({used} of {offered})"))
    };
    of_node(usage, node).into_iter().flatten().map(text).collect()
}

/// The two cells of a table.
pub(super) fn cells(usage: &MeasuredUsage, node: &Node) -> [String; 2] {
    let unknown = || "-".to_owned();
    of_node(usage, node).map_or_else(|| [unknown(), unknown()], |each| each.map(|of| format!("{} %", of.hundredths)))
}

/// What is used of one resource, rounded.
struct Hundredths {
    resource: &'static str,
    /// Of what is offered.
    hundredths: u64,
    /// So many hundredths, as an amount.
    amount: u64,
    offered: u64,
}

fn of_node(usage: &MeasuredUsage, node: &Node) -> Option<[Hundredths; 2]> {
    let MeasuredUsage::Read(nodes) = usage else { return None };
    let Usage { cpu, memory } = **nodes.get(&node.name)?;
    let rounded = |resource, used: u64| {
        let offered = node.allocatable.amount(resource);
        let hundredths =
            ((u128::from(used) * 200 + u128::from(offered)) / 2).checked_div(u128::from(offered)).unwrap_or(0);
        let amount = u128::from(offered) * hundredths / 100;
        let cut = |number| u64::try_from(number).unwrap_or(u64::MAX);
        Hundredths { resource, hundredths: cut(hundredths), amount: whole(resource, cut(amount)), offered }
    };
    Some([rounded("cpu", cpu.get()), rounded("memory", memory.get())])
}

/// Memory in whole Mi: a hundredth of a node has more digits than anybody reads.
fn whole(resource: &str, amount: u64) -> u64 {
    if resource == "memory" { amount & !((1 << 20) - 1) } else { amount }
}

fn why_not(reason: NoUsage) -> &'static str {
    match reason {
        NoUsage::Forbidden => "not allowed to list nodes of metrics.k8s.io (k8s/optional/extras-rbac.yaml allows it)",
        NoUsage::NoApi => "the cluster has no metrics.k8s.io (metrics-server serves it)",
        NoUsage::NoAnswer => "metrics.k8s.io gave no answer that could be read",
        NoUsage::NotInFiles => "no file holds NodeMetrics (kubectl get nodes.metrics.k8s.io -o json)",
    }
}
