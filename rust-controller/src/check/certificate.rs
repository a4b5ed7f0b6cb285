//! The lower bound of a plan: that its prices keep to their limits, and that it is what they make of the pods.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::affinity::{Namespaces, finds};
use super::cluster::meet;
use super::daemons;
use super::roster::Roster;
use crate::feasibility::{Target, placement_admits};
use crate::model::{
    Catalog, Labels, Node, NodeSelectorTerm, NodeType, Offering, Operator, Placement, Pod, PodName, Requirement,
    Resources, Taint, in_units, key, normalized_key,
};
use crate::provision::{Certificate, LowerBound, Options, Plan, PodPlan, Surcharge, Verdict, default_requirements};
use crate::snapshot::Snapshot;
use crate::units::{FastMap, FastSet, Money};

/// Pods that need a place, as the snapshot has them.
pub(super) struct Held<'a> {
    pub(super) pods: Vec<&'a Pod>,
    pub(super) namespaces: Namespaces<'a>,
    /// What is free on each of the nodes that cost nothing.
    pub(super) elsewhere: Vec<Resources>,
    /// By name, the nodes where they are now.
    pub(super) hosts: FastMap<&'a str, &'a Node>,
}

/// A node that could be bought for some of them.
pub(super) struct Offer {
    pub(super) name: String,
    /// Less what its daemon pods request.
    pub(super) room: Resources,
    /// `None` where it is not known.
    pub(super) price: Option<f64>,
}

/// What is wrong with the bound of a plan.
pub(super) fn certificate(
    snapshot: &Snapshot,
    catalog: &Catalog,
    options: &Options,
    (roster, plan): (&Roster<'_>, &Plan),
    daemons: &[Pod],
) -> Vec<Violation> {
    let Some(LowerBound { per_hour, certificate }) = &plan.bound else { return Vec::new() };
    let held = Held::planned(snapshot, roster, plan);
    let defaults = default_requirements(options, snapshot);
    let offers = offers(catalog, options, plan, daemons, (&held, &defaults));
    let mut problems = held.problems(*per_hour, certificate, &offers, &[]);
    if let Some(cost) = plan.cost_per_hour().map(Money::units).filter(|cost| cost < per_hour) {
        problems.push(format!("says {per_hour} per hour, and the plan itself costs {cost}"));
    }
    problems.into_iter().map(|problem| Violation::new("lower bound", problem)).collect()
}

fn negative(certificate: &Certificate) -> Vec<String> {
    let Certificate { per_resource, per_node, surcharges, .. } = certificate;
    let prices = per_resource.values().chain([per_node]).chain(surcharges.iter().map(|each| &each.per_pod));
    let wrong = prices.filter(|price| !price.is_finite() || **price < 0.0);
    wrong.map(|price| format!("has the price {price}")).collect()
}

/// Nodes that offer more at these prices than they cost.
fn over_price(certificate: &Certificate, offers: &[Offer]) -> Vec<String> {
    let problem = |offer: &Offer| {
        let offered = offered(certificate, &offer.room);
        match offer.price {
            None => Some(format!("speaks of {}, whose price nobody knows", offer.name)),
            Some(price) if offered > price => Some(format!("{} offers {offered} for {price}", offer.name)),
            Some(_) if !certificate.node_types.contains(&offer.name) => Some(format!("leaves out {}", offer.name)),
            Some(_) => None,
        }
    };
    offers.iter().filter_map(problem).collect()
}

/// What a node with this room offers, at the prices of a certificate.
fn offered(certificate: &Certificate, room: &Resources) -> f64 {
    let Certificate { per_resource, per_node, surcharges, .. } = certificate;
    let resources = per_resource.iter().map(|(resource, price)| price * in_units(resource, room.amount(resource)));
    let large = surcharges.iter().map(|surcharge| surcharge.per_pod * in_units("pods", most(surcharge, room)));
    resources.sum::<f64>() + per_node + large.sum::<f64>()
}

/// How many pods of a group a node with this room holds at most.
fn most(surcharge: &Surcharge, room: &Resources) -> u64 {
    let fitting = surcharge.at_least.iter().map(|(resource, least)| room.amount(resource) / (*least).max(1));
    let fitting = fitting.min().unwrap_or(0);
    if surcharge.apart_like.is_some() { fitting.min(1) } else { fitting }
}

/// Every node that could be bought and may hold one of the pods, with the labels of each pool of the plan and without.
fn offers(
    catalog: &Catalog,
    options: &Options,
    plan: &Plan,
    daemons: &[Pod],
    (held, defaults): (&Held<'_>, &[Requirement]),
) -> Vec<Offer> {
    let asked = asked(catalog, options, plan, daemons, (held, defaults));
    let mut offers = Vec::new();
    for (kind, offering) in options.allowed(catalog) {
        let labels = kind.labels_as(offering);
        // Most sets of labels make no difference to what runs on a node beside the pods.
        let mut rooms: BTreeSet<Vec<usize>> = BTreeSet::new();
        for ((template_labels, taints), placements) in &asked {
            let target = Target { template_labels, taints, ..Target::new(&labels) };
            if !placements.iter().any(|placement| placement_admits(placement, &target)) {
                continue;
            }
            let running = daemons::running(daemons, &target, &kind.allocatable);
            if rooms.insert(running.clone()) {
                offers.push(Offer::of_type((kind, offering), options, running.iter().map(|at| &daemons[*at])));
            }
        }
    }
    offers
}

impl Offer {
    /// A node of a type, with these daemon pods on it.
    pub(super) fn of_type<'d>(
        (kind, offering): (&NodeType, &Offering),
        options: &Options,
        daemons: impl Iterator<Item = &'d Pod>,
    ) -> Self {
        let taken = Resources::sum(daemons.map(|daemon| &daemon.requests));
        let room = options.usable(&kind.allocatable).less(&taken);
        Self { name: kind.name.clone(), room, price: offering.price_per_hour.map(Money::units) }
    }
}

/// Keys of the labels that nodes of some type have.
fn node_keys<'c>(catalog: &'c Catalog, options: &Options) -> BTreeSet<&'c str> {
    let mut types: Vec<&NodeType> = options.allowed(catalog).map(|(kind, _)| kind).collect();
    types.dedup_by_key(|kind| &kind.name);
    let of_types = types.into_iter().flat_map(|kind| kind.labels.keys()).map(String::as_str);
    let of_launches = [key::INSTANCE_TYPE, key::ZONE, key::CAPACITY_TYPE].into_iter().chain(key::UNKNOWN_BEFOREHAND);
    of_types.chain(of_launches).chain(key::ALIASES.map(|(alias, _)| alias)).collect()
}

/// What a pool adds to its nodes: labels, as far as somebody looks at them, and taints.
type Additions<'p> = (Labels, &'p [Taint]);

/// What the pods ask of nodes, by the labels and taints that a pool adds, with what is asked for them where they say nothing of
/// that.
///
/// Hundreds of workloads may each ask for a label of their own, and for nothing else that differs. So what a pool's labels
/// meet is left out of placements, and so are labels at which nobody looks any more: what is left is the same for all.
fn asked<'p>(
    catalog: &Catalog,
    options: &Options,
    plan: &'p Plan,
    daemons: &[Pod],
    (held, defaults): (&Held<'_>, &[Requirement]),
) -> BTreeMap<Additions<'p>, BTreeSet<Placement>> {
    let node_keys = node_keys(catalog, options);
    let is_own = |key: &str| !node_keys.contains(key);
    // Thousands of pods have a few placements: these are put in order once each.
    let own: FastSet<&Placement> = held.pods.iter().map(|pod| &pod.placement).collect();
    let own: BTreeSet<&Placement> = own.into_iter().collect();
    let mut placements = Placements::new();
    for own in own {
        let label = own.node_selector.iter().find(|(key, _)| is_own(key));
        placements.entry(label).or_default().push(with_defaults(own, defaults));
    }
    let no_labels = Labels::new();
    let of_pools = plan.pools.values().map(|pool| (&pool.labels, pool.taints.as_slice()));
    let additions: BTreeSet<(&Labels, &[Taint])> = of_pools.chain([(&no_labels, &[][..])]).collect();
    let looked_at: BTreeSet<&str> = daemons.iter().flat_map(|daemon| keys(&daemon.placement)).collect();
    let mut asked: BTreeMap<Additions<'p>, BTreeSet<Placement>> = BTreeMap::new();
    for (labels, taints) in additions {
        let by_label = labels.iter().map(Some).chain([None]).filter_map(|label| placements.get(&label));
        for placement in by_label.flatten() {
            let mut rest = placement.clone();
            rest.node_selector.retain(|key, value| !is_own(key) || labels.get(key) != Some(value));
            let mut seen = labels.clone();
            seen.retain(|key, _| !is_own(key) || looked_at.contains(&**key) || keys(&rest).any(|each| each == key));
            asked.entry((seen, taints)).or_default().insert(rest);
        }
    }
    asked
}

/// Label keys that a placement looks at.
pub(super) fn keys(placement: &Placement) -> impl Iterator<Item = &str> {
    let in_terms = placement.node_affinity.iter().flatten().flat_map(|term| &term.labels);
    placement.node_selector.keys().chain(in_terms.map(|requirement| &requirement.key)).map(String::as_str)
}

/// Placements by a label that they select nodes by and that no node type has: only a pool may give it.
type Placements<'a> = BTreeMap<Option<(&'a String, &'a String)>, Vec<Placement>>;

/// What a pod asks of a new node, with what is asked for it where it says nothing of that.
pub(super) fn with_defaults(own: &Placement, defaults: &[Requirement]) -> Placement {
    let mut placement = own.clone();
    let terms = placement.node_affinity.get_or_insert_with(|| vec![NodeSelectorTerm::default()]);
    for term in terms {
        // An alternative that asks for nothing matches nothing, and stays so.
        if own.node_affinity.is_some() && term.labels.is_empty() && term.fields.is_empty() {
            continue;
        }
        let said = |key: &str| {
            let selected = own.node_selector.keys().any(|selected| normalized_key(selected) == key);
            selected || term.labels.iter().any(|said| normalized_key(&said.key) == key)
        };
        let unsaid: Vec<Requirement> = defaults.iter().filter(|default| !said(&default.key)).cloned().collect();
        term.labels.extend(unsaid);
    }
    placement
}

impl<'a> Held<'a> {
    /// The pods that a plan puts on new nodes.
    fn planned(snapshot: &'a Snapshot, roster: &Roster<'a>, plan: &Plan) -> Self {
        let planned = |(_, planned): &(usize, &PodPlan)| matches!(planned.verdict, Verdict::Planned { .. });
        let planned = plan.pods.iter().enumerate().filter(planned);
        Self {
            pods: planned.filter_map(|(position, _)| roster.pod(position)).collect(),
            namespaces: snapshot.extras().namespaces.as_ref(),
            elsewhere: Vec::new(),
            hosts: FastMap::default(),
        }
    }

    /// What is wrong with a bound on the cost of nodes for these pods, of which any number may be of each offer, and some may be
    /// those that are there, given by room and price.
    pub(super) fn problems(
        &self,
        least: f64,
        certificate: &Certificate,
        offers: &[Offer],
        there: &[(Resources, f64)],
    ) -> Vec<String> {
        let mut problems = negative(certificate);
        problems.extend(over_price(certificate, offers));
        problems.extend(self.miscounted(certificate));
        let excess = |(room, price): &(Resources, f64)| (offered(certificate, room) - price).max(0.0);
        let worth = self.worth(certificate) - there.iter().map(excess).sum::<f64>();
        if least > worth {
            problems.push(format!("says {least}, and its prices make {worth} of the pods"));
        }
        problems
    }

    /// What is requested of each resource that is not free elsewhere.
    fn demand(&self) -> Resources {
        let requested = Resources::sum(self.pods.iter().map(|pod| &pod.requests));
        requested.less(&Resources::sum(&self.elsewhere))
    }

    /// What all pods are worth at these prices.
    fn worth(&self, certificate: &Certificate) -> f64 {
        let Certificate { per_resource, per_node, fewest_nodes, surcharges, .. } = certificate;
        let demand = self.demand();
        let worth = |(resource, price): (&String, &f64)| price * in_units(resource, demand.amount(resource));
        let resources: f64 = per_resource.iter().map(worth).sum();
        let nodes = per_node * in_units("pods", *fewest_nodes);
        let large: f64 = surcharges.iter().map(|each| each.per_pod * in_units("pods", each.pods)).sum();
        resources + nodes + large
    }

    /// Counts of nodes and pods that are not so.
    fn miscounted(&self, certificate: &Certificate) -> Vec<String> {
        let mut groups: BTreeMap<&PodName, Vec<Vec<&Pod>>> = BTreeMap::new();
        let likes = certificate.surcharges.iter().filter_map(|each| each.apart_like.as_ref());
        for like in likes.chain(&certificate.apart_like) {
            groups.entry(like).or_insert_with(|| self.apart_like(like));
        }
        let all = |like: &Option<PodName>, counts: &dyn Fn(&Pod) -> bool| -> u64 {
            let of_group = |group: &Vec<&Pod>| hosts(group.iter().copied().filter(|pod| counts(pod)));
            match like {
                None => self.pods.iter().filter(|pod| counts(pod)).count() as u64,
                Some(like) => groups.get(like).into_iter().flatten().map(of_group).max().unwrap_or(0),
            }
        };
        let mut problems = Vec::new();
        let by_host = certificate.apart_like.is_some().then(|| all(&certificate.apart_like, &|_| true));
        let by_label = certificate.apart_by.as_ref().map(|key| self.values_of(key));
        let apart = by_host.into_iter().chain(by_label).min();
        let any = u64::from(self.demand().amounts().any(|(_, amount)| amount > 0));
        let nodes = apart.map_or(any, |nodes| nodes.saturating_sub(self.elsewhere.len() as u64));
        if certificate.fewest_nodes > nodes.max(any) {
            problems.push(format!("says that {} nodes are needed; {nodes} are", certificate.fewest_nodes));
        }
        for surcharge in &certificate.surcharges {
            let Surcharge { at_least, apart_like, pods, .. } = surcharge;
            let elsewhere: u64 = self.elsewhere.iter().map(|room| most(surcharge, room)).sum();
            let large = all(apart_like, &|pod| {
                at_least.iter().all(|(resource, least)| pod.requests.amount(resource) >= *least)
            });
            let large = large.saturating_sub(elsewhere);
            if *pods > large || at_least.is_empty() || at_least.values().any(|least| *least == 0) {
                problems.push(format!("counts {pods} pods that request {at_least:?}; there are {large}"));
            }
        }
        problems
    }

    /// How many values of a node label the pods ask for, those aside that are where they may not be: a node has one.
    fn values_of(&self, label: &str) -> u64 {
        let mut values: BTreeSet<&str> = BTreeSet::new();
        for pod in &self.pods {
            let Placement { node_selector, node_affinity, .. } = &pod.placement;
            let selected = node_selector.get(label);
            let required = node_affinity.as_deref().and_then(|terms| match terms {
                [term] => {
                    let mut only = term.labels.iter().filter(|asked| {
                        asked.key == label && asked.operator == Operator::In && asked.values.len() == 1
                    });
                    only.next()?.values.first()
                }
                _ => None,
            });
            let Some(value) = selected.or(required) else { continue };
            let host = pod.occupied_node().map(|host| self.hosts.get(host));
            if host.is_none_or(|host| host.is_some_and(|host| host.labels.get(label) == Some(value))) {
                values.insert(value);
            }
        }
        values.len() as u64
    }

    /// For each reason for which a pod keeps others of its kind off its host, those that keep each other off for it; or out of its
    /// zone, where all nodes are new: these have zones.
    fn apart_like(&self, like: &PodName) -> Vec<Vec<&'a Pod>> {
        let Some(like) = self.pods.iter().find(|pod| pod.name == *like) else { return Vec::new() };
        let all_are_new = self.elsewhere.is_empty() && self.pods.iter().all(|pod| pod.occupied_node().is_none());
        let is_apart = |key: &str| key == key::HOSTNAME || (all_are_new && key == key::ZONE);
        let terms = like.neighbours.anti_affinity.iter().filter(|term| is_apart(&term.topology_key));
        let by_term = terms.map(|term| {
            let carries = |pod: &Pod| pod.neighbours.anti_affinity.contains(term);
            let apart = |pod: &&Pod| carries(pod) && finds(term, &pod.name.namespace, &pod.labels, self.namespaces);
            self.pods.iter().copied().filter(apart).collect()
        });
        let by_port = like.host_ports.iter().map(|port| {
            let same = |pod: &&Pod| pod.host_ports.iter().any(|other| other == port && meet(other, port));
            self.pods.iter().copied().filter(same).collect()
        });
        by_term.chain(by_port).collect()
    }
}

/// On how many hosts pods that keep apart need to be at least: those that share one in spite of it may stay there.
fn hosts<'a>(apart: impl Iterator<Item = &'a Pod>) -> u64 {
    let mut known = BTreeSet::new();
    apart.filter(|pod| pod.occupied_node().is_none_or(|host| known.insert(host))).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog, lower, provision};

    /// Each of these pods asks for a label of its own, and a pool has it; nodes differ in nothing else for them.
    #[test]
    fn what_pools_meet_tells_no_pods_apart() {
        let pod = |at: usize| {
            format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{at}}}\nspec: {{nodeSelector: {{team: t-{at}}}, containers: \
                 [{{name: c}}]}}\nstatus: {{phase: Pending, conditions: [{{type: PodScheduled, status: 'False', reason: \
                 Unschedulable}}]}}\n"
            )
        };
        let snapshot = lower::parse_manifest(&(0..20).map(pod).collect::<String>()).unwrap().into_snapshot();
        let (catalog, options) = (catalog::builtin("generic").unwrap(), Options::default());
        let plan = provision::plan(&snapshot, &catalog, &options);
        assert_eq!(plan.pools.len(), 20);
        let roster = Roster::new(snapshot.pods(), &plan.pods);
        let (held, defaults) = (Held::planned(&snapshot, &roster, &plan), default_requirements(&options, &snapshot));
        let asked = asked(&catalog, &options, &plan, &[], (&held, &defaults));
        assert_eq!(
            asked.into_iter().map(|((labels, _), all)| (labels, all.len())).collect::<Vec<_>>(),
            [(Labels::new(), 1)]
        );
    }
}
