//! Priorities of pods in files. The API server puts the number of a pod's class into the pod; a file may have the class
//! alone.
//!
//! Source of the rules: `plugin/pkg/admission/priority/admission.go`, Kubernetes 1.36.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::api::scheduling::v1::PriorityClass as RawPriorityClass;

use super::LowerError;
use crate::model::Pod;

/// Classes that every cluster has.
const SYSTEM_CLASSES: [(&str, i32); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

/// What a `PriorityClass` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PriorityClass {
    value: i32,
    /// It is that of pods that name none.
    global_default: bool,
}

/// All classes in the files, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct PriorityClasses(BTreeMap<String, PriorityClass>);

impl PriorityClass {
    /// # Errors
    /// Where it has no value.
    pub(super) fn of(raw: &RawPriorityClass) -> Result<Self, LowerError> {
        let value = raw.value.ok_or(LowerError::Missing("value"))?;
        Ok(Self { value, global_default: raw.global_default == Some(true) })
    }
}

/// The class that decides about a pod's priority, with an empty name where the pod names none; `None` where the pod has
/// its number already.
pub(super) fn deciding_class(spec: Option<&PodSpec>) -> Option<String> {
    let spec = spec?;
    spec.priority.is_none().then(|| spec.priority_class_name.clone().unwrap_or_default())
}

impl PriorityClasses {
    pub(super) fn insert(&mut self, name: String, class: PriorityClass) {
        self.0.insert(name, class);
    }

    /// Gives a pod the priority of the class that decides about it, if one does; 0 where nobody knows that class.
    pub(super) fn prioritize(&self, pod: &mut Arc<Pod>, class: Option<&String>) {
        let priority = class.map_or(pod.priority, |class| self.priority(class).unwrap_or(0));
        if pod.priority != priority {
            Arc::make_mut(pod).priority = priority;
        }
    }

    /// The priority of pods of this class; `None` where nobody knows the class.
    pub(super) fn priority(&self, class: &str) -> Option<i32> {
        if class.is_empty() {
            let defaults = self.0.values().filter(|class| class.global_default);
            return Some(defaults.map(|class| class.value).min().unwrap_or(0));
        }
        let of_system = SYSTEM_CLASSES.into_iter().find(|(name, _)| *name == class).map(|(_, value)| value);
        of_system.or_else(|| self.0.get(class).map(|class| class.value))
    }
}

#[cfg(test)]
mod tests {
    use crate::lower::written::workload;
    use crate::lower::{Manifest, parse_manifest};

    const CLASSES: &str = "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: high}\nvalue: 1000\n---\n\
        apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: usual}\nvalue: -5\nglobalDefault: true\n";

    fn pod(name: &str, fields: &str) -> String {
        format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: []{fields}}}\n")
    }

    fn priorities(files: &[&str]) -> Vec<(String, i32)> {
        let mut all = Manifest::default();
        for file in files {
            all.append(parse_manifest(file).unwrap()).unwrap();
        }
        let snapshot = all.into_snapshot();
        snapshot.pods().iter().map(|pod| (pod.name.name.clone(), pod.priority)).collect()
    }

    fn named(expected: &[(&str, i32)]) -> Vec<(String, i32)> {
        expected.iter().map(|(name, priority)| ((*name).to_owned(), *priority)).collect()
    }

    #[test]
    fn a_class_in_any_file_gives_pods_their_priority_unless_they_have_it() {
        let pods = [
            pod("a", ", priorityClassName: high"),
            pod("b", ", priorityClassName: high, priority: 7"),
            pod("c", ""),
            pod("d", ", priority: 0"),
            pod("e", ", priorityClassName: system-node-critical"),
        ]
        .join("---\n");
        let expected = named(&[("a", 1000), ("b", 7), ("c", -5), ("d", 0), ("e", 2_000_001_000)]);
        assert_eq!(priorities(&[&pods, CLASSES]), expected);
        assert_eq!(priorities(&[CLASSES, &pods]), expected);
        assert_eq!(priorities(&[&pod("c", "")]), named(&[("c", 0)]));
    }

    #[test]
    fn pods_of_a_controller_have_the_class_of_its_template() {
        let web =
            workload("Deployment", "web", "replicas: 2").replace("containers:", "priorityClassName: high, containers:");
        let expected = named(&[("web-deployment-0", 1000), ("web-deployment-1", 1000)]);
        assert_eq!(priorities(&[&web, CLASSES]), expected);
    }

    #[test]
    fn of_several_defaults_the_lowest_holds() {
        let other = CLASSES.replace("name: usual", "name: lower").replace("-5", "-9").replace("name: high", "name: x");
        assert_eq!(priorities(&[&pod("c", ""), CLASSES, &other]), named(&[("c", -9)]));
    }

    #[test]
    fn classes_that_nobody_knows_are_named_with_their_pods() {
        let text = [
            pod("a", ", priorityClassName: urgent"),
            pod("b", ", priorityClassName: system-cluster-critical"),
            workload("Deployment", "web", "replicas: 2")
                .replace("containers:", "priorityClassName: urgent, containers:"),
        ];
        let mut manifest = parse_manifest(&text.join("---\n")).unwrap();
        assert_eq!(manifest.unknown_priority_classes().into_iter().collect::<Vec<_>>(), [("urgent", 2)]);
        manifest.append(parse_manifest(&CLASSES.replace("high", "urgent")).unwrap()).unwrap();
        assert!(manifest.unknown_priority_classes().is_empty());
    }

    #[test]
    fn a_class_without_a_value_is_skipped() {
        let text = CLASSES.replace("value: 1000\n", "") + "---\n" + &pod("a", ", priorityClassName: high");
        let manifest = parse_manifest(&text).unwrap();
        assert_eq!(manifest.skipped[0].to_string(), "PriorityClass high: value: missing");
        assert_eq!(manifest.unknown_priority_classes().into_keys().collect::<Vec<_>>(), ["high"]);
    }

    #[test]
    fn two_pods_of_one_name_that_differ_in_their_class_are_not_the_same() {
        let text = pod("a", ", priorityClassName: x") + "---\n" + &pod("a", ", priorityClassName: y");
        assert!(parse_manifest(&text).unwrap_err().to_string().contains("another object of this name"));
    }
}
