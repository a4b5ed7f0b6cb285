//! Soft rules that a plan leaves unmet.

use std::collections::BTreeMap;

use crate::feasibility::Unmet;

/// How many of each kind, by name; kinds of which all are met are left out.
pub(super) fn violated(unmet: &Unmet) -> BTreeMap<&'static str, u32> {
    unmet.kinds().into_iter().filter(|(_, count)| *count > 0).collect()
}

/// One line, where there are any.
pub(super) fn line(unmet: &Unmet) -> String {
    let counts = unmet.kinds().into_iter().filter(|(_, count)| *count > 0);
    let counts: Vec<String> = counts.map(|(kind, count)| format!("{count} {kind}")).collect();
    if counts.is_empty() { String::new() } else { format!("Preferences not met: {}\n", counts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_are_all_met_are_not_spoken_of() {
        let some = Unmet { schedule_anyway: 3, pod_anti_affinity: 12, weight: 9, ..Unmet::default() };
        assert_eq!(line(&some), "Preferences not met: 12 preferredPodAntiAffinity, 3 scheduleAnyway\n");
        assert_eq!(violated(&some), BTreeMap::from([("preferredPodAntiAffinity", 12), ("scheduleAnyway", 3)]));
        assert_eq!((line(&Unmet::default()), violated(&Unmet::default())), (String::new(), BTreeMap::new()));
    }
}
