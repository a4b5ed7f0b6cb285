//! Random claims, volumes, storage classes, attach limits and disks.

use std::collections::BTreeSet;
use std::sync::Arc;

use mini_karpenter::model::{
    AttachLimits, Claim, Disk, DiskKind, LabelSelector, NodeSelectorTerm, ObjectName, Operator, PodName, PodVolume,
    Requirement, StorageClass, Volume, key,
};
use mini_karpenter::units::Memory;

use super::{GIB, NAMESPACES, OLD_ZONE, RACK, Random, Scene, any_labels, node_term, requirement};

const DRIVERS: [&str; 2] = ["a.csi.example.com", "b.csi.example.com"];
const MODES: [&str; 3] = ["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"];

/// Storage classes, volumes, attach limits, and claims that more than one pod may have.
pub(super) fn furnish(random: &mut Random, scene: &mut Scene) {
    let classes = [
        ("at-once", DRIVERS[0], false),
        ("waits", DRIVERS[0], true),
        ("waits-too", DRIVERS[1], true),
        ("local", "kubernetes.io/no-provisioner", true),
    ];
    for (name, provisioner, waits_for_pod) in classes.into_iter().filter(|_| random.chance(92)).collect::<Vec<_>>() {
        let class = StorageClass {
            name: name.to_owned(),
            provisioner: provisioner.to_owned(),
            waits_for_pod,
            allowed_topologies: if random.chance(45) { topologies(random) } else { Vec::new() },
        };
        scene.storage_classes.insert(name.to_owned(), Arc::new(class));
    }
    for number in 0..random.between(2, 9) {
        let volume = volume(random, number);
        scene.volumes.insert(volume.name.clone(), Arc::new(volume));
    }
    // Volumes to be had, whatever the other claims are bound to.
    for number in 0..random.below(6) {
        let mut volume = volume(random, number as u64);
        volume.name = format!("local{number}");
        volume.storage_class = Some("local".to_owned());
        volume.available = true;
        if random.chance(40) {
            volume.node_affinity = None;
        }
        scene.volumes.insert(volume.name.clone(), Arc::new(volume));
    }
    for node in &scene.nodes {
        if random.chance(60) {
            let some = DRIVERS.into_iter().filter(|_| random.chance(70)).collect::<Vec<_>>();
            let volumes = some.into_iter().map(|driver| (driver.to_owned(), *random.pick(&[0, 1, 1, 2, 3]))).collect();
            let limits = AttachLimits { node: node.name.clone(), volumes, unlimited: BTreeSet::new() };
            scene.attach_limits.insert(node.name.clone(), Arc::new(limits));
        }
    }
    for number in 0..random.between(2, 9) {
        let namespace = (*random.pick(&NAMESPACES)).to_owned();
        let mut claim = claim(random, ObjectName { namespace, name: format!("c{}", number / 2) });
        bind(random, scene, &mut claim);
        scene.claims.insert(claim.name.clone(), Arc::new(claim));
    }
}

fn topologies(random: &mut Random) -> Vec<NodeSelectorTerm> {
    let keys: [(&str, &[&str]); 2] = [(key::ZONE, &["a", "b"]), (RACK, &["1", "2", ""])];
    let mut term = || {
        let count = if random.chance(5) { 0 } else { 1 + random.below(2) };
        let labels = (0..count).map(|_| requirement(random, &[Operator::In], &keys)).collect();
        NodeSelectorTerm { labels, fields: Vec::new() }
    };
    let first = term();
    if random.chance(30) { vec![first, term_of_zone_a()] } else { vec![first] }
}

fn term_of_zone_a() -> NodeSelectorTerm {
    NodeSelectorTerm { labels: vec![Requirement::equals(key::ZONE, "a")], fields: Vec::new() }
}

/// A class that claims and volumes name: one that is there or is not, or none.
fn class_name(random: &mut Random) -> Option<String> {
    let classes = ["waits", "waits", "waits", "waits-too", "local", "local", "local", "local"];
    match random.below(40) {
        0 => None,
        1 => Some(String::new()),
        2 => Some("gone".to_owned()),
        3 => Some("at-once".to_owned()),
        _ => Some((*random.pick(&classes)).to_owned()),
    }
}

fn modes(random: &mut Random) -> BTreeSet<String> {
    let mut modes: BTreeSet<String> = (0..random.below(3)).map(|_| (*random.pick(&MODES)).to_owned()).collect();
    if modes.is_empty() || random.chance(50) {
        modes.insert(MODES[0].to_owned());
    }
    modes
}

fn volume(random: &mut Random, number: u64) -> Volume {
    let values: [(&str, &[&str]); 4] = [
        (key::ZONE, &["a", "b", "a__b", "a__", ""]),
        (key::REGION, &["r", "r", "r", "q"]),
        (OLD_ZONE, &["a", "b", "b__c"]),
        ("kind", &["fast", "slow"]),
    ];
    let mut labels = any_labels(random, &values);
    for key in [key::ZONE, key::REGION, OLD_ZONE] {
        if random.chance(60) {
            labels.remove(key);
        }
    }
    let some_terms = |random: &mut Random| (0..random.below(4)).map(|_| node_term(random)).collect();
    Volume {
        name: format!("v{number}"),
        labels,
        node_affinity: random.chance(40).then(|| some_terms(random)),
        storage_class: if random.chance(50) { Some("local".to_owned()) } else { class_name(random) },
        access_modes: modes(random),
        capacity: Memory::bytes(random.between(1, 4) * GIB),
        block: random.chance(6),
        claim: None,
        available: random.chance(92),
        local: false,
        deleting: random.chance(6),
        // Of few handles, so that two volumes may be the same one.
        csi: random.chance(80).then(|| ((*random.pick(&DRIVERS)).to_owned(), format!("h{}", random.below(4)))),
    }
}

/// An unbound claim.
fn claim(random: &mut Random, name: ObjectName) -> Claim {
    let kind = Requirement { key: "kind".to_owned(), operator: Operator::In, values: vec!["fast".to_owned()] };
    let any_kind = LabelSelector::Matching(Vec::new());
    let some_kind = LabelSelector::Matching(vec![kind]);
    let mut access_modes = BTreeSet::from([MODES[0].to_owned()]);
    if random.chance(35) {
        access_modes = modes(random);
    }
    Claim {
        uid: format!("uid-of-{name}"),
        name,
        volume: None,
        bound: false,
        storage_class: class_name(random),
        access_modes,
        size: Memory::bytes(*random.pick(&[1, 1, 2, 2, 3]) * GIB),
        selector: random.chance(15).then(|| if random.chance(50) { some_kind } else { any_kind }),
        block: random.chance(3),
        selected_node: None,
        lost: random.chance(2),
        deleting: random.chance(2),
        owner_pod: None,
    }
}

/// Binds a claim to some volume, or nearly so.
fn bind(random: &mut Random, scene: &mut Scene, claim: &mut Claim) {
    let names: Vec<String> = scene.volumes.keys().filter(|name| name.starts_with('v')).cloned().collect();
    let name = if names.is_empty() || random.chance(3) { "gone".to_owned() } else { random.pick(&names).clone() };
    claim.volume = Some(name.clone());
    claim.bound = random.chance(96);
    if let Some(volume) = scene.volumes.get_mut(&name)
        && random.chance(92)
    {
        let volume = Arc::make_mut(volume);
        volume.claim = Some((claim.name.clone(), claim.uid.clone()));
        volume.available = false;
    }
}

/// Names a claim that is not bound yet in a volume that is for it alone, or in one that was for an earlier claim.
fn reserve(random: &mut Random, scene: &mut Scene, claim: &Claim) {
    let free: Vec<String> =
        scene.volumes.values().filter(|volume| volume.claim.is_none()).map(|volume| volume.name.clone()).collect();
    if free.is_empty() {
        return;
    }
    let uid = [String::new(), claim.uid.clone(), "uid-of-an-earlier-one".to_owned()];
    let volume = Arc::make_mut(scene.volumes.get_mut(random.pick(&free)).unwrap());
    volume.claim = Some((claim.name.clone(), random.pick(&uid).clone()));
    if random.chance(70) {
        volume.storage_class.clone_from(&claim.storage_class);
    }
}

/// The claims of a pod: some that others share, which are bound, and some of its own, bound or not. A claim that is not
/// bound is never shared. Or, where volumes are to be scarce, claims to the same ones, of which each may need another than
/// those before it would leave.
pub(super) fn claims(random: &mut Random, scene: &mut Scene, pod: &PodName, scarce: bool) -> Vec<PodVolume> {
    let mut volumes = Vec::new();
    let here = scene.claims.keys().filter(|claim| claim.namespace == pod.namespace && claim.name.starts_with('c'));
    let mut shared: Vec<String> = here.map(|claim| claim.name.clone()).collect();
    random.shuffle(&mut shared);
    let count = if scarce { *random.pick(&[1, 2, 2, 3]) } else { *random.pick(&[1, 1, 2, 2, 3]) };
    for number in 0..count {
        let ephemeral = random.chance(25);
        let own = ObjectName { namespace: pod.namespace.clone(), name: format!("{}-{number}", pod.name) };
        if let Some(shared) = shared.as_slice().get(number).filter(|_| !ephemeral && !scarce && random.chance(60)) {
            volumes.push(PodVolume::Claim { name: shared.clone(), ephemeral: false });
            continue;
        }
        if random.chance(97) {
            let mut claim = claim(random, own.clone());
            claim.owner_pod = ephemeral.then(|| pod.name.clone());
            if ephemeral && random.chance(6) {
                claim.owner_pod = random.chance(50).then(|| "another".to_owned());
            }
            if scarce {
                claim.storage_class = Some("local".to_owned());
                claim.access_modes = modes(random);
            }
            match random.below(10) {
                _ if scarce && random.chance(80) => {}
                0..=1 => bind(random, scene, &mut claim),
                2 if random.chance(50) => claim.selected_node = Some(format!("n{}", random.below(3))),
                3..=4 => reserve(random, scene, &claim),
                _ => {}
            }
            scene.claims.insert(own.clone(), Arc::new(claim));
        }
        volumes.push(PodVolume::Claim { name: own.name.clone(), ephemeral });
        // The same claim under a second name asks for a volume twice while it is not bound.
        if random.chance(4) {
            volumes.push(PodVolume::Claim { name: own.name, ephemeral });
        }
    }
    volumes
}

pub(super) fn disks(random: &mut Random) -> Vec<PodVolume> {
    let kinds = [DiskKind::GcePersistentDisk, DiskKind::AwsElasticBlockStore, DiskKind::Iscsi, DiskKind::Rbd];
    let disk = |random: &mut Random| {
        let kind = *random.pick(&kinds);
        let monitors: BTreeSet<String> = (0..=random.below(2)).map(|_| format!("m{}", random.below(3))).collect();
        Disk {
            kind,
            id: format!("d{}", random.below(2)),
            monitors: if kind == DiskKind::Rbd { monitors } else { BTreeSet::new() },
            read_only: random.chance(50),
        }
    };
    (0..=random.below(2)).map(|_| PodVolume::Disk(disk(random))).collect()
}
