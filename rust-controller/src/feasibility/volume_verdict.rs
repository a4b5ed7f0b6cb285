//! Are a pod's volumes on a node, or can they come to it? The rules about volumes, asked of a [`Simulation`].

use super::class::ClassId;
use super::guise::InGuise;
use super::simulation::{NodeId, Simulation};
use super::stock::Choice;
use super::target::Target;
use super::volumes::{Made, UnboundClaim};
use super::{Refusal, Rule, node_selector};
use crate::model::{NodeSelectorTerm, key, normalized_key};

impl Simulation {
    /// Whether the volumes of the class are on the node, or can come to it.
    pub(super) fn volumes_fit(&self, class: ClassId, node: NodeId) -> bool {
        self.refusal_of_volumes(class, node).is_none()
    }

    /// The first reason why they are not, and cannot.
    pub(super) fn refusal_of_volumes(&self, class: ClassId, node: NodeId) -> Option<Refusal> {
        if !self.classes.has_volumes(class) {
            return None;
        }
        let mut refusals = Vec::new();
        let target = self.nodes[node.0].target();
        self.explain_volumes(class, InGuise { node, target, room: &[] }, &mut refusals);
        refusals.into_iter().next()
    }

    /// Why they are not, and cannot.
    pub(super) fn explain_volumes(
        &self,
        class: ClassId,
        InGuise { node, target, room }: InGuise<'_>,
        refusals: &mut Vec<Refusal>,
    ) {
        let needs = &self.classes.volumes[self.classes.class(class).volumes];
        let unusable = |of_rule: Rule| {
            let of_rule = needs.unusable.iter().filter(move |(rule, ..)| *rule == of_rule);
            of_rule.map(|(rule, claim, problem)| Refusal::UnusableClaim {
                rule: *rule,
                claim: claim.clone(),
                problem: *problem,
            })
        };
        refusals.extend(unusable(Rule::VolumeRestrictions));
        let disk = self.mounts.conflict(node.0, &needs.disks);
        refusals.extend(disk.map(|disk| Refusal::DiskInUse(disk.id.clone())));
        let claim = self.mounts.used_claim(&needs.exclusive);
        refusals.extend(claim.map(|claim| Refusal::ClaimInUse(self.storage.claims[claim].clone())));
        refusals.extend(unusable(Rule::NodeVolumeLimits));
        refusals.extend(self.not_its_claim(class, node));
        refusals.extend(self.too_many_volumes(class, node).or_else(|| self.short_of_slots(class, room)));
        refusals.extend(unusable(Rule::VolumeBinding));
        refusals.extend(
            needs
                .bound
                .iter()
                .filter(|terms| !self.reaches(**terms, node))
                .map(|terms| self.elsewhere(*terms, &target)),
        );
        refusals.extend(self.bind(class, node).err());
        refusals.extend(unusable(Rule::VolumeZone));
        refusals.extend(self.another_zone(class, node));
    }

    /// The scheduler ends with an error where it counts what is attached to a node and one of the claims there is not its
    /// pod's: no pod for which it counts comes to that node.
    fn not_its_claim(&self, class: ClassId, node: NodeId) -> Option<Refusal> {
        let needs = &self.classes.volumes[self.classes.class(class).volumes];
        let claim = self.mounts.of_another(node.0).filter(|_| needs.attaches && self.has_attach_limits(node))?;
        Some(Refusal::NotItsClaim(self.storage.claims[claim].clone()))
    }

    fn too_many_volumes(&self, class: ClassId, node: NodeId) -> Option<Refusal> {
        let attachments = &self.classes.volumes[self.classes.class(class).volumes].coming_attachments;
        attachments.iter().find_map(|(driver, _)| {
            let limit = self.attach_limit(node, *driver)?;
            let (attached, needed) = self.mounts.attachments(node.0, *driver, attachments);
            (needed > 0 && attached.saturating_add(needed) > limit).then(|| Refusal::TooManyVolumes {
                driver: self.storage.drivers[*driver].clone(),
                needed,
                free: limit.saturating_sub(attached),
            })
        })
    }

    fn elsewhere(&self, terms: usize, target: &Target<'_>) -> Refusal {
        let unmatched = |term: &NodeSelectorTerm| node_selector::first_unmatched(term, target);
        match self.storage.terms[terms].iter().find_map(unmatched) {
            Some(Refusal::Unmatched { requirement, found }) => Refusal::VolumeElsewhere { requirement, found },
            _ => Refusal::VolumeNowhere,
        }
    }

    /// The volumes that claims without one would be bound to on this node, claim by claim: as the scheduler does, smaller
    /// claims first, each the smallest volume that will do; none where a volume is made for it.
    fn bind(&self, class: ClassId, node: NodeId) -> Result<Vec<Option<usize>>, Refusal> {
        let needs = &self.classes.volumes[self.classes.class(class).volumes];
        let mut bound = Vec::with_capacity(needs.unbound.len());
        for claim in &needs.unbound {
            bound.push(self.bind_one(claim, node, &bound)?);
        }
        Ok(bound)
    }

    fn bind_one(&self, claim: &UnboundClaim, node: NodeId, bound: &[Option<usize>]) -> Result<Option<usize>, Refusal> {
        let reached = |volume: &usize| self.reaches_volume(*volume, node);
        // The same claim a second time in one pod: the scheduler looks for another volume for it.
        let again = |volume: Option<usize>| volume.is_some() && bound.contains(&volume);
        let shared = claim.shared.and_then(|claim| self.mounts.shared(claim));
        if let Some((there, volume)) = shared.filter(|(_, volume)| !again(*volume)) {
            return match volume {
                Some(volume) if reached(&volume) => Ok(Some(volume)),
                None if there == node.0 => Ok(None),
                _ => Err(Refusal::VolumeForAnotherNode(self.shown_name(NodeId(there)))),
            };
        }
        let found = match (&claim.selected_node, claim.prebound) {
            (Some(selected), _) if self.nodes[node.0].target().name != Some(selected) => {
                return Err(Refusal::VolumeForAnotherNode(selected.clone()));
            }
            (Some(_), _) => None,
            (None, Some(volume)) if !bound.contains(&Some(volume)) => Some(volume).filter(reached),
            (None, _) => claim.choice.and_then(|choice| self.first_free(choice, node, bound)),
        };
        let made = match claim.made {
            None => false,
            Some(Made::Anywhere) => true,
            Some(Made::Where(terms)) => self.reaches(terms, node),
        };
        if found.is_some() || made { Ok(found) } else { Err(Refusal::NoVolume(claim.storage_class.clone())) }
    }

    /// Whether a node can attach a volume, be it free or meant for a claim.
    fn reaches_volume(&self, volume: usize, node: NodeId) -> bool {
        let terms = match self.mounts.rack_of(volume) {
            Some(rack) => self.storage.rack_terms[rack],
            None => self.storage.terms_of_meant.get(&volume).copied().flatten(),
        };
        terms.is_none_or(|terms| self.reaches(terms, node))
    }

    /// The first free volume that would do for a claim, can be attached to the node, and is none of these.
    fn first_free(&self, choice: Choice, node: NodeId, but: &[Option<usize>]) -> Option<usize> {
        let reached = |rack: &usize| self.storage.rack_terms[*rack].is_none_or(|terms| self.reaches(terms, node));
        let all = &self.storage.rack_sets[choice.racks];
        let find = || all.iter().copied().filter(reached).collect();
        let racks = self.verdicts.reached_racks(choice.racks, self.shapes.of(node.0), find);
        let first = |rack: &usize| self.mounts.free(*rack, choice.from).find(|volume| !but.contains(&Some(*volume)));
        racks.iter().filter_map(first).min()
    }

    fn shown_name(&self, node: NodeId) -> String {
        self.nodes[node.0].target().name.unwrap_or("(a new node)").to_owned()
    }

    fn another_zone(&self, class: ClassId, node: NodeId) -> Option<Refusal> {
        let needs = &self.classes.volumes[self.classes.class(class).volumes];
        let target = self.nodes[node.0].target();
        if !key::VOLUME_ZONES.iter().any(|key| target.label(key).is_some()) {
            return None;
        }
        let here = |key: &str| target.label(key).or_else(|| target.label(normalized_key(key)));
        let elsewhere = needs
            .zones
            .iter()
            .find(|(key, zones)| !here(key).is_some_and(|zone| zones.iter().any(|other| other == zone)));
        elsewhere.map(|(key, zones)| Refusal::VolumeInAnotherZone { key: key.clone(), zones: zones.clone() })
    }

    /// A pod of the class uses its volumes on the node from now on. One that comes is promised volumes for its claims; one
    /// that was there has them.
    pub(super) fn mount(&mut self, class: ClassId, node: NodeId, comes: bool) {
        if !self.classes.has_volumes(class) {
            return;
        }
        let bound = if comes { self.bind(class, node).unwrap_or_default() } else { Vec::new() };
        self.mount_bound(class, node, comes, bound);
    }

    /// A daemon pod comes with a new node. Nothing is promised to it: what it shares with pods of other nodes is made for one of
    /// these, or not at all.
    pub(super) fn mount_held(&mut self, class: ClassId, node: NodeId) {
        if self.classes.has_volumes(class) {
            self.mount_bound(class, node, true, Vec::new());
        }
    }

    fn mount_bound(&mut self, class: ClassId, node: NodeId, comes: bool, bound: Vec<Option<usize>>) {
        let needs = &self.classes.volumes[self.classes.class(class).volumes];
        // A pod that names a claim twice has a volume kept for each: nobody knows which of them it will be bound to.
        let first = |claim: &UnboundClaim| claim.shared.is_none_or(|claim| self.mounts.shared(claim).is_none());
        let firsts: Vec<bool> = needs.unbound.iter().map(first).collect();
        let mut promised = Vec::new();
        for ((claim, first), volume) in needs.unbound.iter().zip(firsts).zip(bound) {
            promised.extend(volume.filter(|_| first));
            if let Some(claim) = claim.shared {
                self.mounts.share(claim, node.0, volume);
            }
        }
        self.mounts.promise(class.0, node.0, comes, promised);
        self.mounts.add_disks(node.0, &needs.disks);
        self.mounts.attach(node.0, needs.attached(comes));
        self.mounts.add_of_others(node.0, &needs.of_others);
        self.mounts.use_claims(&needs.exclusive);
    }

    /// A pod of the class does not use its volumes on the node any more.
    pub(super) fn unmount(&mut self, class: ClassId, node: NodeId) {
        if !self.classes.has_volumes(class) {
            return;
        }
        let needs = &self.classes.volumes[self.classes.class(class).volumes];
        for claim in needs.unbound.iter().filter_map(|claim| claim.shared) {
            self.mounts.leave(claim, node.0);
        }
        let came = self.mounts.release(class.0, node.0);
        self.mounts.remove_disks(node.0, &needs.disks);
        self.mounts.detach(node.0, needs.attached(came));
        self.mounts.remove_of_others(node.0, &needs.of_others);
        self.mounts.leave_claims(&needs.exclusive);
    }
}
