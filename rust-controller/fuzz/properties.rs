//! What must hold for any bytes whatever: laws of quantities, of selectors, and of whole snapshots.
//!
//! The rules of Kubernetes are stated here once more, slowly and apart from the program's own. The test `fuzz_corpus`
//! runs all this on known inputs and others like them; the targets beside this file, under a fuzzer.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use mini_karpenter::catalog::builtin;
use mini_karpenter::check::{check_consolidation, check_plan};
use mini_karpenter::consolidate::{self, Verdict, consolidate};
use mini_karpenter::document::{
    ConsolidationDocument, ConsolidationOutcome, Cost, PlanOutcome, config_maps_yaml, consolidation_config_maps,
    consolidation_table, json, node_pools_yaml, plan_config_maps, plan_table,
};
use mini_karpenter::feasibility::{Target, placement_refusal, requirement_matches};
use mini_karpenter::lower::{ManifestError, parse_manifest};
use mini_karpenter::model::{
    Catalog, Labels, Node, NodeSelectorTerm, Operator, Placement, Requirement, Resources, is_label_value,
};
use mini_karpenter::provision::{self, alone, plan};
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::units::{Cpu, Memory, Money, Quantity};

/// Each line is a quantity, or none: it is worth what its digits say, and printing and adding keep that.
///
/// # Panics
/// Where that does not hold.
pub fn quantity(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut sum = Quantity::default();
    let mut sum_backwards = Quantity::default();
    let mut sum_of_nanos = 0;
    let mut sum_of_memory = Memory::ZERO;
    let accepted: Vec<(Quantity, u128)> = text.split('\n').take(16).filter_map(judged_quantity).collect();
    for ((quantity, nanos), (last, _)) in accepted.iter().zip(accepted.iter().rev()) {
        sum = sum.plus(*quantity);
        sum_backwards = sum_backwards.plus(*last);
        sum_of_nanos += nanos;
        sum_of_memory = sum_of_memory.saturating_add((*quantity).into());
    }
    assert_eq!(sum, sum_backwards, "the order of adding matters");
    assert_eq!(u128::from(sum.units()), sum_of_nanos.div_ceil(NANOS).min(LARGEST), "the sum in units");
    assert_eq!(u128::from(sum.thousandths()), sum_of_nanos.div_ceil(NANOS / 1000).min(LARGEST), "in thousandths");
    assert!(Memory::from(sum) <= sum_of_memory, "rounding the sum gives more than adding what is rounded");
}

/// 2^63 − 1.
const LARGEST: u128 = (1 << 63) - 1;
const NANOS: u128 = 1_000_000_000;

/// Digits that a quantity may have, without zeros before and behind.
const MOST_DIGITS: usize = 34;

const SUFFIXES: [(&str, i32, usize); 16] = [
    ("", 0, 0),
    ("n", -9, 0),
    ("u", -6, 0),
    ("m", -3, 0),
    ("k", 3, 0),
    ("M", 6, 0),
    ("G", 9, 0),
    ("T", 12, 0),
    ("P", 15, 0),
    ("E", 18, 0),
    ("Ki", 0, 1),
    ("Mi", 0, 2),
    ("Gi", 0, 3),
    ("Ti", 0, 4),
    ("Pi", 0, 5),
    ("Ei", 0, 6),
];

/// The quantity and its billionths, where the text is one.
fn judged_quantity(text: &str) -> Option<(Quantity, u128)> {
    if let Ok(price) = text.parse::<Money>() {
        assert_eq!(price.to_string().parse(), Ok(price), "{text:?} as a price is printed as {price}");
    }
    let parsed = text.parse::<Quantity>();
    let expected = Decimal::read(text).filter(|number| !number.is_negative() && number.digits.len() <= MOST_DIGITS);
    assert_eq!(parsed.is_ok(), expected.is_some(), "{text:?} is read as {parsed:?}");
    let (quantity, number) = (parsed.ok()?, expected?);
    assert_eq!(u128::from(quantity.units()), number.steps(0).min(LARGEST), "{text:?} in units");
    assert_eq!(u128::from(quantity.thousandths()), number.steps(3).min(LARGEST), "{text:?} in thousandths");
    let (cpu, memory) = (Cpu::from(quantity), Memory::from(quantity));
    assert_eq!(cpu.to_string().parse(), Ok(cpu), "{text:?} as CPU is printed as {cpu}");
    assert_eq!(memory.to_string().parse(), Ok(memory), "{text:?} as memory is printed as {memory}");
    Some((quantity, number.steps(9).min(LARGEST * NANOS)))
}

/// A number as on paper: its digits, those before the point first, times a power of ten and one of 1024.
struct Decimal {
    minus: bool,
    digits: Vec<u8>,
    exponent: i32,
    binary: usize,
}

impl Decimal {
    fn read(text: &str) -> Option<Self> {
        let (minus, unsigned) = match text.strip_prefix(['+', '-']) {
            Some(unsigned) => (text.starts_with('-'), unsigned),
            None => (false, text),
        };
        let suffixed = SUFFIXES.iter().find_map(|(suffix, exponent, binary)| {
            let number = unsigned.strip_suffix(suffix).filter(|number| is_number(number))?;
            Some((number, *exponent, *binary))
        });
        let with_exponent = || {
            let (number, exponent) = unsigned.split_once(['e', 'E']).filter(|(number, _)| is_number(number))?;
            let plain = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let is_short = (1..=4).contains(&plain.len()) && plain.bytes().all(|byte| byte.is_ascii_digit());
            Some((number, exponent.parse().ok().filter(|_| is_short)?, 0))
        };
        let (number, exponent, binary) = suffixed.or_else(with_exponent)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = [whole.trim_start_matches('0'), fraction].concat().bytes().map(|digit| digit - b'0').collect();
        let places = i32::try_from(fraction.len()).ok()?;
        Some(Self { minus, digits, exponent: exponent - places, binary })
    }

    fn is_negative(&self) -> bool {
        self.minus && self.digits.iter().any(|digit| *digit > 0)
    }

    /// How many steps of `10^-places` it takes to reach the number; the largest 128-bit number for more than that.
    fn steps(&self, places: i32) -> u128 {
        let mut digits = self.digits.clone();
        (0..self.binary).for_each(|_| multiply_by_1024(&mut digits));
        let shift = self.exponent + places;
        let distance = usize::try_from(shift.unsigned_abs()).unwrap_or(usize::MAX);
        let rest = if shift < 0 {
            digits.split_off(digits.len().saturating_sub(distance))
        } else {
            digits.resize(digits.len() + distance, 0);
            Vec::new()
        };
        let more = u128::from(rest.iter().any(|digit| *digit > 0));
        digits
            .iter()
            .try_fold(0_u128, |number, digit| number.checked_mul(10)?.checked_add(u128::from(*digit)))
            .map_or(u128::MAX, |number| number.saturating_add(more))
    }
}

/// Digits with at most one point among them, and at least one digit.
fn is_number(text: &str) -> bool {
    let points = text.bytes().filter(|byte| *byte == b'.').count();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    points <= 1 && digits > 0 && points + digits == text.len()
}

/// Digit by digit from the last, carrying over.
fn multiply_by_1024(digits: &mut Vec<u8>) {
    let mut carried = 0_u16;
    let mut last_first = Vec::new();
    for digit in digits.iter().rev() {
        let product = u16::from(*digit) * 1024 + carried;
        last_first.push(product % 10);
        carried = product / 10;
    }
    while carried > 0 {
        last_first.push(carried % 10);
        carried /= 10;
    }
    *digits = last_first.into_iter().rev().map_while(|digit| u8::try_from(digit).ok()).collect();
}

/// A node and a pod's placement, as [`SelectorCase::read`] says: it is refused exactly where Kubernetes would refuse.
///
/// # Panics
/// Where that does not hold.
pub fn selector(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let case = SelectorCase::read(&text);
    for requirement in case.terms.iter().flatten().flat_map(|term| &term.labels) {
        let values = case.node.labels.values().map(String::as_str).chain(requirement.values.iter().map(String::as_str));
        for found in values.map(Some).chain([None, Some(""), Some("0")]) {
            judge_requirement(requirement, found);
        }
    }
    let allowed = case.terms.as_ref().is_none_or(|terms| terms.iter().any(|term| case.meets(term)));
    let selected = case.node_selector.iter().all(|(key, value)| case.node.labels.get(key) == Some(value));
    assert_eq!(case.may_run(case.terms.clone()), selected && allowed, "{text:?}");
    let Some(terms) = &case.terms else { return };
    let backwards = terms.iter().rev().cloned().collect();
    assert_eq!(case.may_run(Some(backwards)), selected && allowed, "the order of alternatives matters: {text:?}");
    let one_less = terms.iter().skip(1).cloned().collect();
    assert!(!case.may_run(Some(one_less)) || allowed, "another alternative makes it refuse: {text:?}");
    assert!(!case.may_run(Some(Vec::new())), "no alternative is met: {text:?}");
}

struct SelectorCase {
    /// Without a name, one that is planned.
    node: Node,
    node_selector: Labels,
    terms: Option<Vec<NodeSelectorTerm>>,
}

impl SelectorCase {
    /// Reads lines: the node's name, its labels and the pod's node selector, both `key=value,key=value`; then, if there
    /// are more, the alternatives of the node affinity with an empty line between them. Each of their lines is a
    /// requirement, `key operator value,value`, and one of the node's fields where it begins with `@`.
    fn read(text: &str) -> Self {
        let mut lines = text.split('\n').take(64);
        let mut line = || lines.next().unwrap_or_default();
        let (name, labels, node_selector) = (line().to_owned(), labels(line()), labels(line()));
        let rest: Vec<&str> = lines.collect();
        let term = |lines: &[&str]| NodeSelectorTerm {
            labels: lines.iter().filter(|line| !line.starts_with('@')).copied().filter_map(requirement).collect(),
            fields: lines.iter().filter_map(|line| line.strip_prefix('@')).filter_map(requirement).collect(),
        };
        let terms = (!rest.is_empty()).then(|| rest.split(|line| line.is_empty()).map(term).collect());
        let node = Node {
            name,
            labels,
            taints: Vec::new(),
            unschedulable: false,
            ready: true,
            deleting: false,
            allocatable: Resources::default(),
            provider_id: None,
            do_not_disrupt: None,
        };
        Self { node, node_selector, terms }
    }

    fn name(&self) -> Option<&str> {
        Some(self.node.name.as_str()).filter(|name| !name.is_empty())
    }

    /// What the program says.
    fn may_run(&self, terms: Option<Vec<NodeSelectorTerm>>) -> bool {
        let node_selector = self.node_selector.clone();
        let placement = Placement { node_selector, node_affinity: terms, ..Placement::default() };
        let target = Target { name: self.name(), ..Target::existing(&self.node) };
        placement_refusal(&placement, &target).is_none()
    }

    /// What Kubernetes says of one alternative.
    fn meets(&self, term: &NodeSelectorTerm) -> bool {
        let value = |key: &str| self.node.labels.get(key).map(String::as_str);
        let labels = term.labels.iter().all(|requirement| holds(requirement, value(&requirement.key)));
        let fields = term.fields.iter().all(|requirement| {
            let is_it = |wanted: &String| self.name() == Some(wanted);
            match (requirement.key.as_str(), requirement.operator, requirement.values.as_slice()) {
                ("metadata.name", Operator::In, [name]) => is_it(name),
                ("metadata.name", Operator::NotIn, [name]) => !is_it(name),
                _ => false,
            }
        });
        labels && fields && term.labels.len() + term.fields.len() > 0
    }
}

fn labels(line: &str) -> Labels {
    let pairs = line.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn requirement(line: &str) -> Option<Requirement> {
    let mut words = line.splitn(3, ' ');
    let key = words.next()?.to_owned();
    let operator = match words.next()? {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::Gt,
        "Lt" => Operator::Lt,
        _ => return None,
    };
    let values = words.next().map(|values| values.split(',').map(str::to_owned).collect()).unwrap_or_default();
    Some(Requirement { key, operator, values })
}

/// What a requirement says of a value must be what Kubernetes says, and what its relatives say must follow from it.
fn judge_requirement(requirement: &Requirement, found: Option<&str>) {
    let says = |operator, values: &[String]| {
        requirement_matches(&Requirement { key: requirement.key.clone(), operator, values: values.to_vec() }, found)
    };
    let values = requirement.values.as_slice();
    let context = || format!("{requirement:?} on {found:?}");
    assert_eq!(requirement_matches(requirement, found), holds(requirement, found), "{}", context());
    for value in values.iter().map(String::as_str).chain(found) {
        assert_eq!(is_label_value(value), can_be_a_label(value), "{value:?} as a label value");
    }
    assert_ne!(says(Operator::Exists, &[]), says(Operator::DoesNotExist, &[]), "{}", context());
    if !values.is_empty() && values.iter().all(|value| can_be_a_label(value)) {
        assert_ne!(says(Operator::In, values), says(Operator::NotIn, values), "{}", context());
        let more = [values, &["one-more".to_owned()]].concat();
        assert!(!says(Operator::In, values) || says(Operator::In, &more), "a value more refuses: {}", context());
        assert!(!says(Operator::NotIn, &more) || says(Operator::NotIn, values), "a value less does: {}", context());
        let backwards: Vec<String> = values.iter().rev().cloned().collect();
        assert_eq!(says(Operator::In, values), says(Operator::In, &backwards), "the order matters: {}", context());
    }
    assert!(!(says(Operator::Gt, values) && says(Operator::Lt, values)), "above and below: {}", context());
}

/// Whether a value, or none, meets a requirement, by `k8s.io/apimachinery/pkg/labels`: one that its `NewRequirement`
/// does not make is met by nothing.
fn holds(requirement: &Requirement, found: Option<&str>) -> bool {
    let Requirement { operator, values, .. } = requirement;
    let is_one_of_them = found.is_some_and(|found| values.iter().any(|value| value == found));
    let pair = || {
        let [bound] = values.as_slice() else { return None };
        Some((integer(found?)?, integer(bound)?))
    };
    values.iter().all(|value| can_be_a_label(value))
        && match operator {
            Operator::In => is_one_of_them,
            Operator::NotIn => !values.is_empty() && !is_one_of_them,
            Operator::Exists => values.is_empty() && found.is_some(),
            Operator::DoesNotExist => values.is_empty() && found.is_none(),
            Operator::Gt => pair().is_some_and(|(found, bound)| found > bound),
            Operator::Lt => pair().is_some_and(|(found, bound)| found < bound),
        }
}

/// `(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?`, at most 63 characters.
fn can_be_a_label(value: &str) -> bool {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    value.len() <= 63
        && value.chars().all(inner)
        && !value.starts_with(['-', '_', '.'])
        && !value.ends_with(['-', '_', '.'])
}

/// Digits, with a sign or without, that 64 bits hold.
fn integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount = digits.bytes().try_fold(0_i128, |number, digit| {
        Some(number * 10 + i128::from(digit - b'0')).filter(|number| *number <= 1 << 63)
    })?;
    let number = if text.starts_with('-') { -amount } else { amount };
    (number < 1 << 63).then_some(number)
}

/// A file of Kubernetes objects: it is read or refused, and no plan that is made of it is wrong.
///
/// # Panics
/// Where that does not hold.
pub fn snapshot(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if input.len() > LONGEST || text.matches('*').count() > MOST_ALIASES {
        return;
    }
    let manifest = match parse_manifest(text) {
        Ok(manifest) => manifest,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let asked_for = replicas(text);
    if asked_for.is_none_or(|pods| pods + manifest.pods.len() + manifest.nodes.len() > MOST_OBJECTS) {
        return;
    }
    let snapshot = manifest.into_snapshot();
    let nodes = snapshot.nodes().iter().rev().cloned();
    let again = Snapshot::new(nodes, snapshot.pods().iter().rev().cloned(), snapshot.skipped().iter().cloned());
    let again = again.with_extras(snapshot.extras().clone()).with_usage(snapshot.usage().clone());
    assert_eq!(snapshot, again, "the order of objects matters");
    judge_plan(&snapshot);
    for threshold in [200_000, 1_000_000] {
        judge_consolidation(&snapshot, &consolidate::Options { threshold, ..consolidate::Options::default() });
    }
}

/// More than these are skipped, so that one run takes no time to speak of.
const LONGEST: usize = 64 << 10;
const MOST_OBJECTS: usize = 200;

/// Aliases of YAML can each repeat what holds other aliases: few of them are a large file already.
const MOST_ALIASES: usize = 8;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| builtin("generic").unwrap());

/// At most how many pods the workloads of a file ask for; `None` where it cannot be told at a glance, or is too much.
fn replicas(text: &str) -> Option<usize> {
    if text.contains('\\') {
        return None;
    }
    let numbers = ["replicas", "parallelism"].into_iter().flat_map(|field| text.split(field).skip(1)).map(|after| {
        let number = after.trim_start_matches(['"', '\'', ':', ' ']);
        let end = number.find(|next: char| !next.is_ascii_alphanumeric()).unwrap_or(number.len());
        let is_end = number[end..].starts_with([',', '}', '\n']) || number.len() == end;
        number[..end].parse::<u8>().ok().map(usize::from).filter(|_| is_end)
    });
    // One that says nothing asks for one.
    numbers.chain([Some(text.matches("template").count())]).sum()
}

fn judge_plan(snapshot: &Snapshot) {
    let options = provision::Options::default();
    let plan = plan(snapshot, &CATALOG, &options);
    let wrong: Vec<String> = check_plan(snapshot, &CATALOG, &options, &plan).iter().map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "the plan is wrong: {wrong:?}");
    let outcome = PlanOutcome {
        plan: &plan,
        catalog: &CATALOG,
        allocatable_seen: &[],
        options: &options,
        alone: alone(snapshot, &CATALOG, &options, plan.pods.iter().map(|planned| &*planned.pod)),
        skipped: snapshot.skipped(),
        unread_kinds: snapshot.unread_kinds(),
        cost_now: Cost::now(snapshot, &CATALOG),
    };
    let maps = plan_config_maps(&outcome, usize::MAX);
    assert_holds(&config_maps_yaml(&maps, "n"), "ConfigMap", maps.len());
    assert_holds(&node_pools_yaml(plan.pools.values()), "NodePool", plan.pools.len());
    assert_is_json(&json(&outcome.document(Duration::ZERO)));
    assert!(!plan_table(&outcome).is_empty());
}

fn judge_consolidation(snapshot: &Snapshot, options: &consolidate::Options) {
    let consolidation = consolidate(snapshot, &CATALOG, options);
    let wrong: Vec<String> =
        check_consolidation(snapshot, &CATALOG, &consolidation).iter().map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "the consolidation is wrong: {wrong:?}");
    let judged: BTreeSet<&str> = consolidation.nodes.iter().map(|plan| plan.node.name.as_str()).collect();
    assert!(judged.into_iter().eq(snapshot.nodes().iter().map(|node| node.name.as_str())), "a node has no verdict");
    let stays = consolidation.nodes.iter().any(|plan| plan.verdict != Verdict::Remove);
    assert!(stays || consolidation.nodes.is_empty(), "every node goes");
    let outcome = ConsolidationOutcome {
        consolidation: &consolidation,
        catalog: &CATALOG,
        options: (&provision::Options::default(), options),
        usage: snapshot.usage(),
        skipped: snapshot.skipped(),
        unread_kinds: snapshot.unread_kinds(),
    };
    let maps = consolidation_config_maps(&outcome);
    assert_holds(&config_maps_yaml(&maps, "n"), "ConfigMap", maps.len());
    assert_is_json(&json(&ConsolidationDocument::new(&outcome)));
    assert!(!consolidation_table(&outcome).is_empty());
}

/// What is printed can be read again, and holds so many objects.
fn assert_holds(yaml: &str, kind: &str, count: usize) {
    match parse_manifest(yaml) {
        Ok(manifest) => {
            assert_eq!(manifest.unread_kinds.get(kind).copied().unwrap_or(0), count, "{kind} in {yaml}");
            assert!(manifest.unread_kinds.keys().all(|found| found == kind), "{yaml}");
        }
        Err(error) => assert!(yaml.is_empty(), "{error} in {yaml}"),
    }
}

/// Valid JSON, although no Kubernetes object.
fn assert_is_json(text: &str) {
    assert!(matches!(parse_manifest(text), Err(ManifestError::NotAnObject { .. })), "{text}");
}
