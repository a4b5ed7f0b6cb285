//! Plans of random clusters.

use mini_karpenter::provision::{Options, Plan, TypeFilter, plan};

use crate::clusters::Case;

/// What may be planned in a case.
pub(crate) fn options(case: &Case) -> Options {
    let exclude = case.excluded_types.iter().map(|name| format!("^{name}$")).collect::<Vec<_>>().join("|");
    Options {
        capacity_types: case.capacity_types.clone(),
        arch: case.arch.clone(),
        exclude_types: TypeFilter::new(&exclude).unwrap(),
        ..Options::default()
    }
}

/// What is planned there.
pub(crate) fn plan_of(case: &Case) -> Plan {
    plan(&case.snapshot(), &case.catalog, &options(case))
}
