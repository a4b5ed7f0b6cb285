//! What has to be written: the difference between what is published and what should be, as a plain function of both.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap as RawConfigMap;

use super::watched::View;
use crate::document::{ConfigMap, KIND, Kind, MANAGED_BY, MANAGER, Said};
use crate::lower::LowerError;

/// What a store keeps of a ConfigMap: which state of which object it is, whose, enough to see that it changed, and what the
/// next consolidation needs of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Published {
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) owner: Owner,
    /// A hash of each text, by its key. Empty where it is another's.
    texts: BTreeMap<String, u64>,
    /// What it says of a consolidation. `None` where it is another's, says nothing of that, or cannot be read.
    pub(super) said: Option<Said>,
}

/// Whose a ConfigMap is, as its labels say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// This program's, with the label that tells the kind.
    This {
        /// The label's value, which anybody may have changed.
        kind: String,
    },
    /// Not this program's.
    Another {
        /// The labels that it would need, as a part of a sentence.
        lacking: String,
    },
}

/// One write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Write<'a> {
    /// Nothing of that name is known.
    Create(&'a ConfigMap),
    /// Ours, with other contents.
    Replace(&'a ConfigMap, &'a Published),
    /// Ours, and no longer wanted.
    Delete(&'a str, &'a Published),
}

/// What has to be done, and what stays undone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference<'a> {
    pub(super) writes: Vec<Write<'a>>,
    /// Names that are wanted but are another's, and the labels that these lack.
    pub(super) foreign: Vec<(&'a str, &'a str)>,
}

impl View for Published {
    type Raw = RawConfigMap;

    fn lower(raw: &RawConfigMap) -> Result<Self, LowerError> {
        let owner = Owner::of(raw);
        let data = raw.data.as_ref().filter(|_| matches!(owner, Owner::This { .. }));
        let texts = data.into_iter().flatten().map(|(key, text)| (key.clone(), hash(text))).collect();
        let of_consolidation = owner.is(Kind::Consolidation) || owner.is(Kind::Summary);
        let info = data.and_then(|data| data.get("info.json")).filter(|_| of_consolidation);
        let said = info.and_then(|text| Said::read(text));
        let uid = raw.metadata.uid.clone().ok_or(LowerError::Missing("metadata.uid"))?;
        let resource_version =
            raw.metadata.resource_version.clone().ok_or(LowerError::Missing("metadata.resourceVersion"))?;
        Ok(Self { uid, resource_version, owner, texts, said })
    }
}

impl Published {
    /// Whether it says all that `map` does. Keys that somebody else has added do not count.
    fn holds(&self, map: &ConfigMap) -> bool {
        self.owner.is(map.kind) && map.data.iter().all(|(key, text)| self.texts.get(key) == Some(&hash(text)))
    }
}

impl Owner {
    /// Whether this program's, and of this kind.
    fn is(&self, expected: Kind) -> bool {
        matches!(self, Self::This { kind } if kind == expected.as_str())
    }

    pub(super) fn of(raw: &RawConfigMap) -> Self {
        let label = |name: &str| raw.metadata.labels.as_ref().and_then(|labels| labels.get(name));
        let managed = label(MANAGED_BY).is_some_and(|manager| manager == MANAGER);
        let lacking = match (managed, label(KIND)) {
            (true, Some(kind)) => return Self::This { kind: kind.clone() },
            (true, None) => format!("the label {KIND} that goes with {MANAGED_BY}={MANAGER}"),
            (false, Some(_)) => format!("the label {MANAGED_BY}={MANAGER} that goes with {KIND}"),
            (false, None) => format!("the labels {MANAGED_BY}={MANAGER} and {KIND}"),
        };
        Self::Another { lacking }
    }
}

impl Write<'_> {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Create(map) | Self::Replace(map, _) => &map.name,
            Self::Delete(name, _) => name,
        }
    }

    /// In the past tense, for the log.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "created",
            Self::Replace(..) => "changed",
            Self::Delete(..) => "deleted",
        }
    }
}

/// What makes the ConfigMaps in `published` (by name) those in `maps`. What is ours, of `kind` and not in `maps` goes.
pub(super) fn difference<'a>(
    maps: &'a [ConfigMap],
    kind: Kind,
    published: &'a BTreeMap<String, Arc<Published>>,
) -> Difference<'a> {
    let mut difference = Difference::default();
    for map in maps {
        match published.get(&map.name).map(|published| (&published.owner, published)) {
            None => difference.writes.push(Write::Create(map)),
            Some((Owner::Another { lacking }, _)) => difference.foreign.push((&map.name, lacking)),
            Some((Owner::This { .. }, published)) if published.holds(map) => {}
            Some((Owner::This { .. }, published)) => difference.writes.push(Write::Replace(map, published)),
        }
    }
    let wanted: BTreeSet<&str> = maps.iter().map(|map| map.name.as_str()).collect();
    let stale =
        published.iter().filter(|(name, published)| published.owner.is(kind) && !wanted.contains(name.as_str()));
    difference.writes.extend(stale.map(|(name, published)| Write::Delete(name, published)));
    difference
}

/// For comparing within this process only.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [(&str, &str); 2] = [(MANAGED_BY, MANAGER), (KIND, "plan")];

    fn map(name: &str, text: &str) -> ConfigMap {
        ConfigMap { name: name.to_owned(), kind: Kind::Plan, data: texts(&[("plan.yaml", text)]) }
    }

    fn texts(texts: &[(&str, &str)]) -> BTreeMap<String, String> {
        texts.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
    }

    fn published(name: &str, labels: &[(&str, &str)], data: &[(&str, &str)]) -> BTreeMap<String, Arc<Published>> {
        let mut raw = RawConfigMap { data: Some(texts(data)), ..RawConfigMap::default() };
        raw.metadata.labels = Some(texts(labels));
        raw.metadata.uid = Some("uid".to_owned());
        raw.metadata.resource_version = Some("7".to_owned());
        BTreeMap::from([(name.to_owned(), Arc::new(Published::lower(&raw).unwrap()))])
    }

    #[test]
    fn only_what_is_ours_and_about_a_consolidation_is_read_back() {
        let info = [("info.json", r#"{"node": "n1", "verdict": "remove", "removals": [], "pods": []}"#)];
        let said = |labels: &[(&str, &str)]| published("m", labels, &info)["m"].said.is_some();
        let of_kind = |kind: &'static str| [(MANAGED_BY, MANAGER), (KIND, kind)];
        assert!(said(&of_kind("consolidation")) && said(&of_kind("summary")));
        assert!(!said(&of_kind("plan")) && !said(&[(KIND, "consolidation")]));
        let edited = published("m", &of_kind("consolidation"), &[("info.json", "mine now")]);
        assert_eq!(edited["m"].said, None);
    }

    #[test]
    fn what_is_not_there_is_created() {
        let maps = [map("plan-a", "new")];
        let none = BTreeMap::new();
        let difference = difference(&maps, Kind::Plan, &none);
        assert_eq!(difference, Difference { writes: vec![Write::Create(&maps[0])], foreign: vec![] });
    }

    #[test]
    fn what_says_the_same_is_left_alone_and_so_are_added_keys() {
        let maps = [map("plan-a", "same")];
        for data in [vec![("plan.yaml", "same")], vec![("plan.yaml", "same"), ("note", "mine")]] {
            let published = published("plan-a", &OURS, &data);
            assert_eq!(difference(&maps, Kind::Plan, &published), Difference::default(), "{data:?}");
        }
    }

    #[test]
    fn other_texts_missing_keys_and_another_kind_are_replaced() {
        let maps = [map("plan-a", "new")];
        let summary = [(MANAGED_BY, MANAGER), (KIND, "summary")];
        for (labels, data) in
            [(OURS, vec![("plan.yaml", "old")]), (OURS, vec![]), (summary, vec![("plan.yaml", "new")])]
        {
            let published = published("plan-a", &labels, &data);
            let difference = difference(&maps, Kind::Plan, &published);
            assert_eq!(difference.writes, [Write::Replace(&maps[0], &published["plan-a"])], "{labels:?} {data:?}");
        }
    }

    #[test]
    fn what_is_ours_and_of_the_kind_goes_when_it_is_not_wanted() {
        let stale = published("plan-a", &OURS, &[]);
        let writes = difference(&[], Kind::Plan, &stale).writes;
        assert_eq!(writes, [Write::Delete("plan-a", &stale["plan-a"])]);
        assert_eq!(difference(&[], Kind::Consolidation, &stale), Difference::default());
        let foreign = published("plan-a", &OURS[1..], &[]);
        assert_eq!(difference(&[], Kind::Plan, &foreign), Difference::default());
    }

    #[test]
    fn what_is_anothers_is_named_with_the_labels_that_it_lacks() {
        let maps = [map("plan-a", "new")];
        let (manager, kind) = (format!("{MANAGED_BY}={MANAGER}"), KIND);
        for (labels, lacking) in [
            (vec![], format!("the labels {manager} and {kind}")),
            (vec![(MANAGED_BY, "helm")], format!("the labels {manager} and {kind}")),
            (vec![OURS[0]], format!("the label {kind} that goes with {manager}")),
            (vec![OURS[1]], format!("the label {manager} that goes with {kind}")),
        ] {
            let published = published("plan-a", &labels, &[("plan.yaml", "new")]);
            let difference = difference(&maps, Kind::Plan, &published);
            assert_eq!(difference, Difference { writes: vec![], foreign: vec![("plan-a", lacking.as_str())] });
        }
    }
}
