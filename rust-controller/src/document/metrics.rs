//! What the controller has done so far, in the text format of Prometheus.

use std::fmt::{Display, Write};
use std::time::Duration;

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Plans of nodes to add.
    pub provisioning: PlanMetrics,
    /// Plans of nodes to remove.
    pub consolidation: PlanMetrics,
}

/// What was counted of one kind of plans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanMetrics {
    /// Plans that were made and checked, with whatever result.
    pub plans: u64,
    /// Those of them that did not pass, and were not published.
    pub rejected: u64,
    /// What the last one took to make; `None` before the first.
    pub last_plan: Option<Duration>,
    /// What its check took.
    pub last_check: Option<Duration>,
}

impl Metrics {
    /// The media type of [`Metrics::text`].
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// What a scrape gets. Counters are there from the start, durations once there are any.
    #[must_use]
    pub fn text(&self) -> String {
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
        let families = [
            self.family("plans_total", "counter", "Plans made and checked.", |kind| Some(kind.plans)),
            self.family(
                "plans_rejected_total",
                "counter",
                "Plans that did not pass their check, which is a bug, and were not published.",
                |kind| Some(kind.rejected),
            ),
            self.family("last_plan_seconds", "gauge", "What making the last plan took.", |kind| {
                seconds(kind.last_plan)
            }),
            self.family("last_check_seconds", "gauge", "What checking the last plan took.", |kind| {
                seconds(kind.last_check)
            }),
        ];
        families.concat()
    }

    fn family<V: Display>(
        &self,
        name: &str,
        metric_type: &str,
        help: &str,
        value: impl Fn(&PlanMetrics) -> Option<V>,
    ) -> String {
        let Self { provisioning, consolidation } = self;
        let name = format!("mini_karpenter_{name}");
        let mut text = format!("# HELP {name} {help}\n# TYPE {name} {metric_type}\n");
        for (kind, metrics) in [("provisioning", provisioning), ("consolidation", consolidation)] {
            if let Some(value) = value(metrics) {
                let _ = writeln!(text, "{name}{{kind=\"{kind}\"}} {value}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(metrics: &Metrics) -> Vec<String> {
        metrics.text().lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn counters_are_there_before_anything_is_counted() {
        assert_eq!(
            samples(&Metrics::default()),
            [
                "mini_karpenter_plans_total{kind=\"provisioning\"} 0",
                "mini_karpenter_plans_total{kind=\"consolidation\"} 0",
                "mini_karpenter_plans_rejected_total{kind=\"provisioning\"} 0",
                "mini_karpenter_plans_rejected_total{kind=\"consolidation\"} 0",
            ]
        );
    }

    #[test]
    fn each_kind_has_its_own_numbers_and_durations_are_in_seconds() {
        let consolidation = PlanMetrics {
            plans: 7,
            rejected: 1,
            last_plan: Some(Duration::from_millis(1250)),
            last_check: Some(Duration::from_nanos(20)),
        };
        let samples = samples(&Metrics { consolidation, ..Metrics::default() });
        for expected in [
            "mini_karpenter_plans_total{kind=\"provisioning\"} 0",
            "mini_karpenter_plans_total{kind=\"consolidation\"} 7",
            "mini_karpenter_plans_rejected_total{kind=\"consolidation\"} 1",
            "mini_karpenter_last_plan_seconds{kind=\"consolidation\"} 1.25",
            "mini_karpenter_last_check_seconds{kind=\"consolidation\"} 0.00000002",
        ] {
            assert!(samples.iter().any(|sample| sample == expected), "{expected}: {samples:#?}");
        }
    }

    #[test]
    fn each_family_says_once_what_it_is() {
        let text = Metrics::default().text();
        for family in ["plans_total counter", "plans_rejected_total counter", "last_plan_seconds gauge"] {
            assert_eq!(text.matches(&format!("# TYPE mini_karpenter_{family}\n")).count(), 1, "{text}");
        }
        assert_eq!(text.matches("# HELP ").count(), text.matches("# TYPE ").count());
    }
}
