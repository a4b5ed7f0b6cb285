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
    let measured = |Rounded { resource, percent, amount, .. }: &Rounded| {
        #[expect(clippy::cast_precision_loss, reason = "for output only")]
        let share = *percent as f64 / 100.0;
        Measured { used: printed_amount(resource, *amount), share }
    };
    let [cpu, memory] = of_node(usage, node)?;
    Some(UsageEntry { cpu: measured(&cpu), memory: measured(&memory) })
}

/// What a node uses, for a person: `13 % (520m of 4)` by resource; nothing where that is not known.
pub(super) fn texts(usage: &MeasuredUsage, node: &Node) -> BTreeMap<&'static str, String> {
    let text = |Rounded { resource, percent, amount, offered }: Rounded| {
        let [used, offered] = [amount, offered].map(|amount| printed_amount(resource, amount));
        (resource, format!("{percent} % ({used} of {offered})"))
    };
    of_node(usage, node).into_iter().flatten().map(text).collect()
}

/// The two cells of a table.
pub(super) fn cells(usage: &MeasuredUsage, node: &Node) -> [String; 2] {
    let unknown = || "-".to_owned();
    of_node(usage, node).map_or_else(|| [unknown(), unknown()], |each| each.map(|of| format!("{} %", of.percent)))
}

/// What is used of one resource, rounded.
struct Rounded {
    resource: &'static str,
    /// Of what is offered.
    percent: u64,
    /// So many percent of it.
    amount: u64,
    offered: u64,
}

/// Nothing where nothing has been measured, or there is nothing to be a share of.
fn of_node(usage: &MeasuredUsage, node: &Node) -> Option<[Rounded; 2]> {
    let MeasuredUsage::Read(nodes) = usage else { return None };
    let Usage { cpu, memory } = **nodes.get(&node.name)?;
    let rounded = |resource, used: u64| {
        let offered = node.allocatable.amount(resource);
        let percent = (u128::from(used) * 100 + u128::from(offered / 2)).checked_div(u128::from(offered))?;
        let amount = u128::from(offered) * percent / 100;
        let cut = |number| u64::try_from(number).unwrap_or(u64::MAX);
        Some(Rounded { resource, percent: cut(percent), amount: whole(resource, cut(amount)), offered })
    };
    Some([rounded("cpu", cpu.get())?, rounded("memory", memory.get())?])
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Labels, Resources};
    use crate::units::{Cpu, Memory};
    use std::sync::Arc;

    fn node(millicores: u64, bytes: u64) -> Node {
        Node {
            name: "n".to_owned(),
            labels: Labels::default(),
            taints: Vec::new(),
            unschedulable: false,
            ready: true,
            deleting: false,
            allocatable: Resources {
                cpu: Cpu::millicores(millicores),
                memory: Memory::bytes(bytes),
                ..Resources::default()
            },
            provider_id: None,
            do_not_disrupt: None,
        }
    }

    fn measured(millicores: u64, bytes: u64) -> MeasuredUsage {
        let usage = Usage { cpu: Cpu::millicores(millicores), memory: Memory::bytes(bytes) };
        MeasuredUsage::Read(Arc::new([("n".to_owned(), Arc::new(usage))].into()))
    }

    #[test]
    fn what_differs_by_less_than_a_hundredth_reads_alike() {
        let node = node(4000, 16 << 30);
        let told = |millicores, bytes| texts(&measured(millicores, bytes), &node);
        assert_eq!(told(501, 4_930_000_000), told(539, 5_060_000_000));
        assert_eq!(told(501, 0)["cpu"], "13 % (520m of 4)");
        assert_ne!(told(539, 0), told(541, 0));
    }

    #[test]
    fn a_node_that_offers_nothing_or_has_not_been_measured_is_no_error() {
        assert_eq!(cells(&measured(100, 1 << 30), &node(0, 0)), ["-", "-"]);
        assert_eq!(cells(&MeasuredUsage::Read(Arc::default()), &node(1, 1)), ["-", "-"]);
        assert!(entry(&MeasuredUsage::Read(Arc::default()), &node(1, 1)).is_none());
    }
}
