//! The order of search, with fake folders and a fake Go.

use std::cell::RefCell;
use std::fs;

use tempfile::TempDir;

use super::Origin::{Assets, Built, Path as OnPath};
use super::*;

const RELEASE: [Program; 3] = [Program::KubeApiserver, Program::KubeControllerManager, Program::KubeScheduler];

/// Three empty folders, and what was asked to be built.
struct Fixture {
    root: TempDir,
    search: Search,
    go: bool,
    built: RefCell<Vec<Program>>,
}

impl Builder for Fixture {
    fn can_build(&self) -> bool {
        self.go
    }

    fn build(&self, programs: &[Program], folder: &Path) -> Result<()> {
        self.built.borrow_mut().extend_from_slice(programs);
        put(folder, programs);
        Ok(())
    }
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = root.path().join(name);
            fs::create_dir(&folder).unwrap();
            folder
        };
        let search = Search {
            assets: Some(folder("assets")),
            path: vec![folder("bin1"), folder("bin2")],
            cache: folder("cache"),
        };
        Self { root, search, go: true, built: RefCell::default() }
    }

    fn put(&self, folder: &str, programs: &[Program]) {
        put(&self.root.path().join(folder), programs);
    }

    fn origins(&self) -> [Origin; 6] {
        let binaries = self.search.locate(self).unwrap();
        Program::ALL.map(|program| {
            let binary = binaries.get(program);
            assert_eq!(binary.program, program);
            assert!(binary.path.ends_with(program.name()));
            assert!(binary.path.is_file());
            binary.origin
        })
    }
}

fn put(folder: &Path, programs: &[Program]) {
    for program in programs {
        let file = folder.join(program.name());
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn assets_come_before_path() {
    let fixture = Fixture::new();
    fixture.put("assets", &Program::ALL);
    fixture.put("bin2", &Program::ALL);
    assert_eq!(fixture.origins(), [Assets; 6]);
    assert!(fixture.built.borrow().is_empty());
}

#[test]
fn path_comes_before_the_cache() {
    let fixture = Fixture::new();
    fixture.put("bin2", &Program::ALL);
    fixture.put("cache", &Program::ALL);
    assert_eq!(fixture.origins(), [OnPath; 6]);
}

#[test]
fn the_cache_saves_a_build() {
    let mut fixture = Fixture::new();
    fixture.go = false;
    fixture.put("cache", &Program::ALL);
    assert_eq!(fixture.origins(), [Built; 6]);
}

#[test]
fn what_is_nowhere_is_built_and_nothing_else() {
    let fixture = Fixture::new();
    fixture.put("assets", &RELEASE);
    fixture.put("bin1", &[Program::Kubectl]);
    fixture.put("cache", &[Program::Kwok]);
    assert_eq!(fixture.origins(), [Built, Assets, Assets, Assets, Built, OnPath]);
    assert_eq!(*fixture.built.borrow(), [Program::Etcd]);
}

#[test]
fn parts_of_different_releases_are_not_mixed() {
    let fixture = Fixture::new();
    // What setup-envtest makes.
    let envtest = [Program::Etcd, Program::KubeApiserver, Program::Kubectl];
    fixture.put("assets", &envtest);
    assert_eq!(fixture.origins(), [Assets, Built, Built, Built, Built, Assets]);
}

#[test]
fn a_file_that_cannot_be_run_is_no_program() {
    let fixture = Fixture::new();
    fixture.put("bin1", &Program::ALL);
    let etcd = fixture.root.path().join("bin1/etcd");
    fs::set_permissions(etcd, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(fixture.origins()[0], Built);
}

#[test]
fn neither_go_nor_binaries_is_a_clear_error() {
    let mut fixture = Fixture::new();
    fixture.go = false;
    fixture.put("bin1", &[Program::Kubectl, Program::Etcd, Program::Kwok]);
    let error = fixture.search.locate(&fixture).unwrap_err().to_string();
    for part in ["no kube-apiserver, kube-controller-manager and kube-scheduler", "KUBEBUILDER_ASSETS", "install Go 1."]
    {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn assets_that_are_no_folder_are_an_error() {
    let mut fixture = Fixture::new();
    fixture.search.assets = Some(fixture.root.path().join("absent"));
    let error = fixture.search.locate(&fixture).unwrap_err();
    assert!(matches!(error, Error::AssetsNotAFolder(_)), "{error}");
}
