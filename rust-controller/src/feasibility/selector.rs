//! Selectors of pods by their labels, compiled once.

use super::interner::Interner;
use crate::model::{LabelSelector, Labels, Operator, Requirement};
use crate::units::FastMap;

/// A label selector over numbers instead of texts.
#[derive(Clone, Debug)]
pub(super) enum Compiled {
    Nothing,
    /// All of these.
    Requirements(Vec<CompiledRequirement>),
}

#[derive(Clone, Debug)]
pub(super) struct CompiledRequirement {
    /// Index into a [`SeenLabels`].
    key: usize,
    operator: Operator,
    /// Numbers of the values; none for one that no label can have.
    values: Vec<u32>,
    /// Kubernetes would not accept it, so nothing meets it.
    invalid: bool,
}

/// Of a set of labels, the number of the value at each key that some selector looks at; 0 where it is absent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SeenLabels(Vec<u32>);

/// The keys and values that selectors look at.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelSpace {
    keys: Interner<String>,
    values: FastMap<String, u32>,
}

/// A value that is there, and that no selector names.
const UNNAMED: u32 = 1;

impl LabelSpace {
    pub(super) fn compile(&mut self, selector: &LabelSelector) -> Compiled {
        match selector {
            LabelSelector::Nothing => Compiled::Nothing,
            LabelSelector::Matching(requirements) => {
                Compiled::Requirements(requirements.iter().map(|each| self.requirement(each)).collect())
            }
        }
    }

    fn requirement(&mut self, requirement: &Requirement) -> CompiledRequirement {
        let Requirement { key, operator, values } = requirement;
        let first = UNNAMED + 1;
        let mut number = |value: &String| {
            let next = first + u32::try_from(self.values.len()).unwrap_or(u32::MAX - first);
            *self.values.entry(value.clone()).or_insert(next)
        };
        CompiledRequirement {
            key: self.keys.number(key.clone()),
            operator: *operator,
            values: values.iter().map(&mut number).collect(),
            invalid: !super::node_selector::is_valid(requirement) || matches!(operator, Operator::Gt | Operator::Lt),
        }
    }

    /// What selectors see of a pod's labels. Only after every selector is compiled.
    pub(super) fn seen(&self, labels: &Labels) -> SeenLabels {
        let mut seen = vec![0; self.keys.values().len()];
        for (key, value) in labels {
            if let Some(key) = self.keys.find(key.as_str()) {
                seen[key] = self.values.get(value).copied().unwrap_or(UNNAMED);
            }
        }
        SeenLabels(seen)
    }
}

/// Selectors by number, found by a label that they ask for.
pub(super) struct Selectors {
    all: Vec<Compiled>,
    /// Numbers of selectors by a key and value that they ask for: of several, the one that fewest others ask for.
    by_label: FastMap<(usize, u32), Vec<usize>>,
    /// Those that ask for no certain value of any key.
    others: Vec<usize>,
}

impl Selectors {
    pub(super) fn of(selectors: &[&LabelSelector], space: &mut LabelSpace) -> Self {
        let all: Vec<Compiled> = selectors.iter().map(|selector| space.compile(selector)).collect();
        // Many charts ask for one name of the release beside the name of the application.
        let mut asking: FastMap<(usize, u32), usize> = FastMap::default();
        for label in all.iter().flat_map(Compiled::certain_labels) {
            *asking.entry(label).or_default() += 1;
        }
        let (mut by_label, mut others) = (FastMap::<_, Vec<usize>>::default(), Vec::new());
        for (number, selector) in all.iter().enumerate() {
            match selector.certain_labels().min_by_key(|label| asking.get(label)) {
                Some(label) => by_label.entry(label).or_default().push(number),
                None => others.push(number),
            }
        }
        Self { all, by_label, others }
    }

    pub(super) fn matches(&self, selector: usize, labels: &SeenLabels) -> bool {
        self.all[selector].matches(labels)
    }

    pub(super) fn is_everything(&self, selector: usize) -> bool {
        self.all[selector].is_everything()
    }

    /// Numbers of those that find these labels.
    pub(super) fn matching(&self, labels: &SeenLabels) -> impl Iterator<Item = usize> {
        let present = labels.0.iter().copied().enumerate();
        let by_label = present.filter_map(|label| self.by_label.get(&label)).flatten();
        by_label.chain(&self.others).copied().filter(|selector| self.matches(*selector, labels))
    }
}

impl Compiled {
    /// Keys, each with the one value that it must have.
    fn certain_labels(&self) -> impl Iterator<Item = (usize, u32)> {
        let requirements = match self {
            Self::Nothing => &[][..],
            Self::Requirements(requirements) => requirements,
        };
        requirements.iter().filter_map(|CompiledRequirement { key, operator, values, .. }| match values.as_slice() {
            [value] if *operator == Operator::In => Some((*key, *value)),
            _ => None,
        })
    }

    pub(super) fn matches(&self, labels: &SeenLabels) -> bool {
        match self {
            Self::Nothing => false,
            Self::Requirements(requirements) => requirements.iter().all(|requirement| requirement.holds(labels)),
        }
    }

    /// Whether it selects everything.
    pub(super) fn is_everything(&self) -> bool {
        matches!(self, Self::Requirements(requirements) if requirements.is_empty())
    }
}

impl CompiledRequirement {
    fn holds(&self, labels: &SeenLabels) -> bool {
        let value = labels.0.get(self.key).copied().unwrap_or(0);
        let listed = value != 0 && self.values.contains(&value);
        !self.invalid
            && match self.operator {
                Operator::In => listed,
                Operator::NotIn => !listed,
                Operator::Exists => value != 0,
                Operator::DoesNotExist => value == 0,
                Operator::Gt | Operator::Lt => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::super::requirement_matches;
    use super::*;

    #[test]
    fn a_compiled_requirement_says_what_the_plain_one_says() {
        use Operator::{DoesNotExist, Exists, In, NotIn};
        let texts = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        for operator in [In, NotIn, Exists, DoesNotExist] {
            for values in [&[][..], &["a"], &["a", ""], &["not a value!"]] {
                let requirement = Requirement { key: "k".to_owned(), operator, values: texts(values) };
                let mut space = LabelSpace::default();
                let compiled = space.compile(&LabelSelector::Matching(vec![requirement.clone()]));
                for found in [None, Some("a"), Some(""), Some("b")] {
                    let labels: Labels = found.map(|found| ("k".to_owned(), found.to_owned())).into_iter().collect();
                    let expected = requirement_matches(&requirement, found);
                    assert_eq!(compiled.matches(&space.seen(&labels)), expected, "{requirement:?} on {found:?}");
                }
            }
        }
    }
}
