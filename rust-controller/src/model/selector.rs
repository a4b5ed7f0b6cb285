//! Requirements on labels, and selectors of pods and namespaces.

use std::fmt;

/// One key, an operator, and the values it is held against.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    /// Label or field key.
    pub key: String,
    /// How the value at the key relates to `values`.
    pub operator: Operator,
    /// Empty for `Exists` and `DoesNotExist`, one integer for `Gt` and `Lt`.
    pub values: Vec<String>,
}

/// Operators of requirements; label selectors know all but the last two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// The value is one of the values.
    In,
    /// The value is none of the values, or the key is absent.
    NotIn,
    /// The key is present.
    Exists,
    /// The key is absent.
    DoesNotExist,
    /// The value is an integer above the one given.
    Gt,
    /// The value is an integer below the one given.
    Lt,
}

/// Which pods or namespaces, by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabelSelector {
    /// None at all: what a selector that is not there stands for.
    #[default]
    Nothing,
    /// Those of which every requirement holds; without any, all. Sorted, without repetition.
    Matching(Vec<Requirement>),
}

impl Requirement {
    /// That the label has this value.
    #[must_use]
    pub fn equals(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), operator: Operator::In, values: vec![value.into()] }
    }
}

impl LabelSelector {
    /// Whether it selects everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::Matching(requirements) if requirements.is_empty())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, operator, values } = self;
        match operator {
            Operator::In if values.len() == 1 => write!(out, "{key}={:?}", values[0]),
            Operator::In => write!(out, "{key} in [{}]", values.join(", ")),
            Operator::NotIn => write!(out, "{key} not in [{}]", values.join(", ")),
            Operator::Exists => write!(out, "{key} present"),
            Operator::DoesNotExist => write!(out, "{key} absent"),
            Operator::Gt => write!(out, "{key} > {}", values.join(", ")),
            Operator::Lt => write!(out, "{key} < {}", values.join(", ")),
        }
    }
}

/// As a part of a sentence: `pods with app="web"`.
impl fmt::Display for LabelSelector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => out.write_str("no pods"),
            Self::Matching(requirements) if requirements.is_empty() => out.write_str("all pods"),
            Self::Matching(requirements) => {
                let all: Vec<String> = requirements.iter().map(Requirement::to_string).collect();
                write!(out, "pods with {}", all.join(" and "))
            }
        }
    }
}
