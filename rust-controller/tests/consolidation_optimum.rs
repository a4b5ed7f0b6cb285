//! Consolidations of small fleets against an exhaustive search over every set of nodes and every place of their pods.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/fleets.rs"]
mod fleets;
#[path = "common/random.rs"]
#[expect(dead_code, reason = "tests that show the smallest bad case use the rest")]
mod random;

use fleets::{Guest, Host, SIZES, TYPES, fleet, guest, host, leave, manifest, most_removed, most_savings};
use mini_karpenter::check::check_consolidation;
use mini_karpenter::consolidate::{
    Before, Consolidation, Keep, Objective, Options, Verdict, WhyKept, consolidate, consolidate_after, lower_bound,
};
use mini_karpenter::model::Catalog;
use mini_karpenter::snapshot::Snapshot;
use mini_karpenter::units::Money;
use mini_karpenter::{catalog, lower, provision};
use random::Random;

const CASES: u64 = 400;

fn snapshot(hosts: &[Host], guests: &[Guest]) -> Snapshot {
    lower::parse_manifest(&manifest(hosts, guests)).unwrap().into_snapshot()
}

/// In thousandths.
fn saved(decided: &Consolidation) -> u64 {
    decided.savings_per_hour().map(Money::get).unwrap_or_default() / 1_000_000
}

#[test]
fn small_fleets_shrink_as_far_as_exhaustive_search_finds() {
    let catalog = catalog::parse("test", TYPES).unwrap();
    let (mut optimal, mut removals) = (0, 0);
    for seed in 0..CASES {
        let (hosts, guests) = fleet(&mut Random::new(seed), [3, 8], [3, 16]);
        let snapshot = snapshot(&hosts, &guests);
        let decided = consolidate(&snapshot, &catalog, &Options::default());
        let wrong = check_consolidation(&snapshot, &catalog, &decided);
        assert!(wrong.is_empty(), "seed {seed}: {}", wrong[0]);
        let most = most_savings(&hosts, &guests, 0).0;
        let saved = saved(&decided);
        assert!(saved <= most, "seed {seed}: saves {saved} of at most {most}");
        let bound = lower_bound(&snapshot, (&catalog, &provision::Options::default()), &decided);
        let total = decided.costs_per_hour().0.unwrap();
        let optimum = total.saturating_sub(Money::nanos(most * 1_000_000)).units();
        let least = bound.map_or(0.0, |bound| bound.least);
        assert!(least <= optimum, "seed {seed}: {least} is no bound on {optimum}");
        optimal += u64::from(saved == most);
        removals += decided.removals.len();
    }
    println!("{optimal} of {CASES} fleets are at the optimum; {removals} removals");
    assert!(optimal * 100 >= CASES * 99, "{optimal} of {CASES} are at the optimum");
    assert!(removals > 500, "the cases say little: {removals} removals");
}

/// Some of the pods have no node yet, and a node may be being deleted: where those pods go is part of what is searched.
#[test]
fn small_fleets_that_await_pods_shrink_as_far_as_exhaustive_search_finds() {
    let catalog = catalog::parse("test", TYPES).unwrap();
    let (mut cases, mut optimal, mut kept, mut worse) = (0, 0, 0, Vec::new());
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let (mut hosts, mut guests) = fleet(&mut random, [3, 8], [3, 16]);
        for guest in guests.iter_mut().filter(|_| random.chance(15)) {
            leave(&mut hosts, guest);
            guest.host = None;
        }
        let leaving = random.below(hosts.len());
        hosts[leaving].deleting = random.chance(50);
        let snapshot = snapshot(&hosts, &guests);
        let decided = consolidate(&snapshot, &catalog, &Options::default());
        let wrong = check_consolidation(&snapshot, &catalog, &decided);
        assert!(wrong.is_empty(), "seed {seed}: {}", wrong[0]);
        // Of those for whom there is no room nothing is said here.
        let waiting = guests.iter().filter(|guest| guest.host.is_none()).count();
        let is_stranded = decided.nodes.iter().any(|plan| !plan.stranded.is_empty());
        if decided.reserved.len() < waiting || is_stranded {
            continue;
        }
        let (saved, most) = (saved(&decided), most_savings(&hosts, &guests, 0).0);
        assert!(saved <= most, "seed {seed}: saves {saved} of at most {most}");
        cases += 1;
        kept += decided.expected().count();
        optimal += u64::from(saved == most);
        worse.extend((saved < most).then_some(seed));
    }
    println!("{optimal} of {cases} fleets are at the optimum, not {worse:?}; {kept} pods were awaited");
    assert!(optimal * 100 >= cases * 99, "{optimal} of {cases} are at the optimum, not {worse:?}");
    assert!(cases > CASES / 2 && kept > 500, "the cases say little: {kept} pods in {cases}");
}

/// In milli-cores, of which a GiB counts as 250.
fn size([millicores, gib, _]: [u64; 3]) -> u64 {
    millicores + 250 * gib
}

#[test]
fn without_prices_small_fleets_shrink_by_size_and_no_further_than_their_bound() {
    let catalog = Catalog { types: Vec::new(), ..catalog::parse("test", TYPES).unwrap() };
    let (mut bounds, mut optima) = (0.0, 0.0);
    for seed in 0..CASES / 2 {
        let (hosts, guests) = fleet(&mut Random::new(seed), [3, 7], [3, 14]);
        let snapshot = snapshot(&hosts, &guests);
        let mut decided = consolidate(&snapshot, &catalog, &Options::default());
        decided.bound = lower_bound(&snapshot, (&catalog, &provision::Options::default()), &decided);
        assert_eq!(decided.objective, Objective::Size);
        let wrong = check_consolidation(&snapshot, &catalog, &decided);
        assert!(wrong.is_empty(), "seed {seed}: {}", wrong[0]);
        let all: u64 = hosts.iter().map(|host| size(SIZES[host.size].1)).sum();
        let most = most_removed(&hosts, &guests, 0, |at| size(SIZES[at].1)).0;
        let optimum = Money::nanos((all - most) * 1_000_000).units();
        let least = decided.bound.as_ref().map_or(0.0, |bound| bound.least);
        assert!(least <= optimum, "seed {seed}: {least} is no bound on {optimum}");
        assert!(decided.sizes().1 >= optimum, "seed {seed}: {:?} is below {optimum}", decided.sizes());
        let fewest = hosts.len() as u64 - most_removed(&hosts, &guests, 0, |_| 1).0;
        assert!(decided.fewest_nodes().unwrap_or(0) as u64 <= fewest, "seed {seed}: {fewest} nodes are enough");
        bounds += least;
        optima += optimum;
    }
    println!("all bounds together are {:.1} % of all optima", 100.0 * bounds / optima);
    assert!(bounds > 0.8 * optima, "bounds of {bounds} for {optima} say little");
}

/// A pod goes, a pod comes, or a node comes.
fn change(random: &mut Random, hosts: &mut Vec<Host>, guests: &mut Vec<Guest>) {
    match random.below(3) {
        0 if !guests.is_empty() => {
            let gone = guests.remove(random.below(guests.len()));
            leave(hosts, &gone);
        }
        1 => {
            let number = guests.len() as u64 + 1000;
            guests.extend((0..20).find_map(|_| guest(random, number, hosts)));
        }
        _ => hosts.push(host(random)),
    }
}

/// Plans of a fleet, before and after something small has changed.
struct Changed {
    hosts: Vec<Host>,
    guests: Vec<Guest>,
    before: Consolidation,
    by_itself: Consolidation,
    after: Consolidation,
}

impl Changed {
    fn new(seed: u64, catalog: &Catalog, hosts: [u64; 2], guests: [u64; 2]) -> Self {
        let options = Options::default();
        let mut random = Random::new(seed);
        let (mut hosts, mut guests) = fleet(&mut random, hosts, guests);
        let unchanged = snapshot(&hosts, &guests);
        let before = consolidate(&unchanged, catalog, &options);
        let said = Before::of(&before, None);
        assert_eq!(consolidate_after(&said, &unchanged, catalog, &options), before, "seed {seed}: nothing has changed");
        change(&mut random, &mut hosts, &mut guests);
        let snapshot = snapshot(&hosts, &guests);
        let by_itself = consolidate(&snapshot, catalog, &options);
        let after = consolidate_after(&said, &snapshot, catalog, &options);
        let wrong = check_consolidation(&snapshot, catalog, &after);
        assert!(wrong.is_empty(), "seed {seed}: {}", wrong[0]);
        assert!(saved(&after) >= saved(&by_itself), "seed {seed}: saves less than without memory");
        Self { hosts, guests, before, by_itself, after }
    }

    /// How many nodes that were to go are to stay now.
    fn taken_back(&self, plan: &Consolidation) -> usize {
        self.before.removals.iter().filter(|node| !plan.removals.contains(node)).count()
    }

    /// Of the pods that were to move and still are, how many are to move elsewhere now.
    fn redirected(&self, plan: &Consolidation) -> usize {
        let said = Before::of(&self.before, None).destinations;
        let other = |name, destination| said.get(name).is_some_and(|said| said != destination);
        plan.moves().filter(|each| other(&each.pod.name, &each.destination)).count()
    }
}

#[test]
fn of_what_was_said_of_a_small_fleet_as_much_holds_as_exhaustive_search_finds() {
    let catalog = catalog::parse("test", TYPES).unwrap();
    let (mut kept_all_it_could, mut optimal) = (0, 0);
    for seed in 0..CASES / 2 {
        let case = Changed::new(seed, &catalog, [3, 7], [3, 14]);
        let said = case.before.removals.iter().map(|node| 1_u32 << node[1..].parse::<u32>().unwrap()).sum();
        let (most, most_kept) = most_savings(&case.hosts, &case.guests, said);
        let kept = case.before.removals.len() - case.taken_back(&case.after);
        optimal += u64::from(saved(&case.after) == most);
        kept_all_it_could += u64::from(saved(&case.after) == most && kept == most_kept as usize);
    }
    let cases = CASES / 2;
    println!("{optimal} of {cases} fleets are at the optimum, {kept_all_it_could} with as much kept as possible");
    assert!(kept_all_it_could * 100 >= cases * 99, "{kept_all_it_could} of {cases}");
}

#[test]
fn a_small_change_moves_little_in_a_fleet_of_some_size() {
    let catalog = catalog::parse("test", TYPES).unwrap();
    let (mut said, mut with_memory, mut without, mut worth_it) = (0, [0, 0], [0, 0], 0);
    let (mut receivers, mut in_vain) = (0, 0);
    for seed in 0..CASES / 5 {
        let case = Changed::new(seed, &catalog, [12, 40], [30, 160]);
        said += case.before.removals.len();
        for (counts, plan) in [(&mut with_memory, &case.after), (&mut without, &case.by_itself)] {
            counts[0] += case.taken_back(plan);
            counts[1] += case.redirected(plan);
        }
        for plan in &case.after.nodes {
            if let (Verdict::Keep(Keep::ReceivesPods), Some(receives)) = (&plan.verdict, &plan.receives) {
                receivers += 1;
                in_vain += usize::from(receives.why == WhyKept::NoPlanFound);
            }
        }
        worth_it += case.taken_back(&case.after) * usize::from(case.after == case.by_itself);
    }
    println!(
        "of {said} removals and their pods {with_memory:?} change, without memory {without:?}; {worth_it} removals to save more"
    );
    println!("{in_vain} of {receivers} nodes take pods that would all have other places");
    assert!(said > 600, "the cases say little: {said} removals");
    assert!(receivers > 300 && in_vain * 100 <= receivers, "{in_vain} of {receivers}");
    // What is left is what somebody else has taken the room of.
    assert!((with_memory[0] - worth_it) * 50 <= said && with_memory[0] * 2 <= without[0], "{with_memory:?}");
    assert!(with_memory[1] * 3 <= without[1] * 2, "{with_memory:?}");
}
