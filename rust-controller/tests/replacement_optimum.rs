//! Replacements in small fleets against an exhaustive search over every set of nodes that goes, every place of their pods, and
//! every new node.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "common/random.rs"]
#[expect(dead_code, reason = "tests that show the smallest bad case use the rest")]
mod random;

#[path = "common/fleets.rs"]
#[expect(dead_code, reason = "others remove nodes alone")]
mod fleets;

use std::cmp::Reverse;

use fleets::{Guest, Host, SIZES, TYPES, come, fleet, manifest, takes};
use mini_karpenter::check::{check_consolidation, check_replacement};
use mini_karpenter::consolidate::{Options, consolidate, lower_bound, replace};
use mini_karpenter::units::Money;
use mini_karpenter::{catalog, lower, provision};
use random::Random;

const CASES: u64 = 300;

/// The least that the nodes can cost, in thousandths, by trying everything.
struct Search<'c> {
    hosts: Vec<Host>,
    /// New hosts; what they cost is that of the cheapest size that holds what is there.
    new: Vec<(Host, [u64; 3])>,
    guests: &'c [Guest],
    best: u64,
}

/// New hosts start with more room than any size has.
const BOUNDLESS: [u64; 3] = [u64::MAX; 3];

fn price(load: [u64; 3]) -> Option<u64> {
    let holds = |room: &[u64; 3]| room.iter().zip(load).all(|(room, load)| load <= *room);
    SIZES.iter().filter(|(_, room, _)| holds(room)).map(|(_, _, price)| *price).min()
}

impl Search<'_> {
    fn place(&mut self, number: usize, standing: u64) {
        let bought: u64 = self.new.iter().filter_map(|(_, load)| price(*load)).sum();
        if standing + bought >= self.best {
            return;
        }
        let Some(guest) = self.guests.get(number).copied() else {
            self.best = standing + bought;
            return;
        };
        for at in 0..self.hosts.len() {
            if takes(&self.hosts[at], &guest) {
                let before = self.hosts[at].clone();
                come(&mut self.hosts[at], &guest);
                self.place(number + 1, standing);
                self.hosts[at] = before;
            }
        }
        for at in 0..self.new.len() {
            self.try_new(at, &guest, number, standing);
        }
        for zone in ["a", "b"] {
            self.new.push((Host { size: 0, zone, left: BOUNDLESS, apart: Vec::new(), deleting: false }, [0; 3]));
            self.try_new(self.new.len() - 1, &guest, number, standing);
            self.new.pop();
        }
    }

    fn try_new(&mut self, at: usize, guest: &Guest, number: usize, standing: u64) {
        let (host, load) = &self.new[at];
        let load: [u64; 3] = std::array::from_fn(|resource| load[resource] + guest.asked[resource]);
        if !takes(host, guest) || price(load).is_none() {
            return;
        }
        let before = self.new[at].clone();
        come(&mut self.new[at].0, guest);
        self.new[at].1 = load;
        self.place(number + 1, standing);
        self.new[at] = before;
    }
}

/// Over every set of nodes that goes.
fn least_cost(hosts: &[Host], guests: &[Guest], known: u64) -> u64 {
    let mut best = known;
    for removed in 0..1_u32 << hosts.len() {
        let gone = |at: &usize| removed >> at & 1 == 1;
        let staying: Vec<Host> = (0..hosts.len()).filter(|at| !gone(at)).map(|at| hosts[at].clone()).collect();
        let standing = staying.iter().map(|host| SIZES[host.size].2).sum();
        let mut moving: Vec<Guest> =
            guests.iter().copied().filter(|guest| guest.host.is_none_or(|host| gone(&host))).collect();
        // Some node that takes pods is left.
        if staying.is_empty() && moving.is_empty() {
            continue;
        }
        moving.sort_by_key(|guest| Reverse(guest.asked));
        let mut search = Search { hosts: staying, new: Vec::new(), guests: &moving, best };
        search.place(0, standing);
        best = search.best;
    }
    best
}

#[test]
fn small_fleets_get_as_cheap_as_exhaustive_search_finds() {
    let catalog = catalog::parse("test", TYPES).unwrap();
    let provisioning = provision::Options::default();
    let options = Options { min_savings: 0, ..Options::default() };
    let (mut optimal, mut replaced, mut excess, mut total) = (0, 0, 0, 0);
    let (mut bounds, mut optima) = (0.0, 0.0);
    for seed in 0..CASES {
        let (hosts, guests) = fleet(&mut Random::new(seed), [3, 5], [3, 8]);
        let snapshot = lower::parse_manifest(&manifest(&hosts, &guests)).unwrap().into_snapshot();
        let mut decided = consolidate(&snapshot, &catalog, &options);
        decided.replacement = replace(&snapshot, &catalog, &decided, &provisioning, &options);
        let mut wrong = check_consolidation(&snapshot, &catalog, &decided);
        wrong.extend(check_replacement(&snapshot, &catalog, (&provisioning, &options), &decided));
        assert!(wrong.is_empty(), "seed {seed}: {}", wrong[0]);
        let thousandths = |cost: Option<Money>| cost.unwrap().get() / 1_000_000;
        let alone = thousandths(decided.costs_per_hour().1);
        let found = decided.replacement.as_ref().map_or(alone, |with| thousandths(with.cost_after(&decided)));
        let least = least_cost(&hosts, &guests, alone + 1);
        assert!(least <= found && found <= alone, "seed {seed}: {least} <= {found} <= {alone}");
        let bound = lower_bound(&snapshot, (&catalog, &provisioning), &decided).map_or(0.0, |bound| bound.least);
        let optimum = Money::nanos(least * 1_000_000).units();
        assert!(bound <= optimum, "seed {seed}: {bound} is no bound on {optimum}");
        bounds += bound;
        optima += optimum;
        replaced += u64::from(decided.replacement.is_some());
        optimal += u64::from(found == least);
        excess += found - least;
        total += least;
    }
    println!(
        "{optimal} of {CASES} fleets are at the optimum, {replaced} with replacements; {excess} of {total} too much"
    );
    println!("all bounds together are {:.1} % of all optima", 100.0 * bounds / optima);
    assert!(bounds > 0.84 * optima, "bounds of {bounds} for {optima} say little");
    assert!(optimal * 100 >= CASES * 95, "{optimal} of {CASES} are at the optimum");
    assert!(replaced * 5 > CASES, "the cases say little: {replaced} of {CASES} have replacements");
}
