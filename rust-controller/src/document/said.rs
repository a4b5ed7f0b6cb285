//! What was published, read back: a plan that follows starts from what people have seen.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::consolidate::Before;
use crate::model::PodName;
use crate::units::Timestamp;

/// What the `info.json` of one ConfigMap about a consolidation says, as far as the next one needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The node that the ConfigMap is about, and since when it is underutilized; none for the summary.
    suggested: Option<(String, Option<Timestamp>)>,
    removals: BTreeSet<String>,
    destinations: BTreeMap<PodName, String>,
}

/// Fields of a node's `info.json` and of the summary's. A field that is missing says nothing.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Info {
    node: Option<String>,
    verdict: String,
    underutilized_since: Option<String>,
    pods: Vec<Destination>,
    removals: Vec<String>,
    moves: Vec<Destination>,
}

#[derive(Deserialize)]
struct Destination {
    pod: String,
    destination: String,
}

impl Said {
    /// What this text says. `None` for one that is not of this program, of a version that wrote other types, or that somebody
    /// has edited so that it cannot be read: as if it were not there.
    #[must_use]
    pub fn read(info_json: &str) -> Option<Self> {
        let Info { node, verdict, underutilized_since, pods, removals, moves } =
            serde_json::from_str(info_json).ok()?;
        let since = underutilized_since.and_then(|text| text.parse().ok());
        let goes = node.clone().filter(|_| verdict == "remove");
        let destination = |Destination { pod, destination }| {
            let (namespace, name) = str::split_once(&pod, '/')?;
            Some((PodName { namespace: namespace.to_owned(), name: name.to_owned() }, destination))
        };
        Some(Self {
            suggested: node.map(|node| (node, since)),
            removals: removals.into_iter().chain(goes).collect(),
            destinations: pods.into_iter().chain(moves).filter_map(destination).collect(),
        })
    }

    /// All of these together, for a consolidation that is asked for at `now`. A time that is yet to come is none: somebody has
    /// edited it.
    #[must_use]
    pub fn before<'a>(said: impl IntoIterator<Item = &'a Self>, now: Timestamp) -> Before {
        let mut before = Before { now: Some(now), ..Before::default() };
        for Self { suggested, removals, destinations } in said {
            before.removals.extend(removals.iter().cloned());
            before.destinations.extend(destinations.iter().map(|(pod, node)| (pod.clone(), node.clone())));
            let suggested = suggested.clone().map(|(node, since)| (node, since.filter(|since| *since <= now)));
            before.suggested.extend(suggested);
        }
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::unix_seconds(1_785_585_600);

    fn before(texts: &[&str]) -> Before {
        Said::before(&texts.iter().filter_map(|text| Said::read(text)).collect::<Vec<_>>(), NOW)
    }

    #[test]
    fn a_node_and_a_summary_are_read_back() {
        let node = r#"{"version": 1, "node": "n1", "verdict": "remove", "underutilizedSince": "2026-08-01T11:00:00Z",
            "pods": [{"pod": "a/x", "destination": "n2", "warnings": []}]}"#;
        let summary =
            r#"{"removals": ["n3"], "nodes": [{"node": "n1"}], "moves": [{"pod": "a/y", "destination": "n4"}]}"#;
        let Before { removals, destinations, suggested, now } = before(&[node, summary]);
        assert_eq!(removals, ["n1", "n3"].map(str::to_owned).into());
        let pod = |name: &str| PodName { namespace: "a".to_owned(), name: name.to_owned() };
        assert_eq!(destinations, [(pod("x"), "n2".to_owned()), (pod("y"), "n4".to_owned())].into());
        assert_eq!(suggested, [("n1".to_owned(), Some(Timestamp::unix_seconds(1_785_582_000)))].into());
        assert_eq!(now, Some(NOW));
    }

    #[test]
    fn what_an_older_version_wrote_or_somebody_edited_holds_as_far_as_it_can_be_read() {
        let suggested = |texts: &[&str]| before(texts).suggested;
        for time in ["", r#", "underutilizedSince": "soon""#, r#", "underutilizedSince": "2026-08-01T12:00:01Z""#] {
            let text = format!(r#"{{"node": "n1", "verdict": "keep"{time}}}"#);
            assert_eq!(suggested(&[&text]), [("n1".to_owned(), None)].into(), "{text}");
        }
        let nothing = Before { now: Some(NOW), ..Before::default() };
        for text in
            ["", "{", "[]", "null", "7", r#"{"node": 7}"#, r#"{"removals": "n1"}"#, r#"{"pods": [{"pod": "a/x"}]}"#]
        {
            assert_eq!(before(&[text]), nothing, "{text}");
        }
        assert_eq!(before(&[r#"{"moves": [{"pod": "x", "destination": "n1"}]}"#]), nothing);
    }
}
