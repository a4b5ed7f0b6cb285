//! The rooms of the crate: who may import whom, and what the pure half may not name.
//!
//! Source texts are read as tokens, without comments and literals, and every path in them is resolved: `use` trees,
//! `crate::…`, and `super::…` that leaves its room.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test that reads sources; what fails, fails the test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const PURE: [&str; 10] =
    ["units", "model", "catalog", "snapshot", "lower", "feasibility", "provision", "consolidate", "check", "document"];
const EFFECTS: [&str; 4] = ["cluster", "loops", "web", "cli"];

/// What the pure half may not name.
const EFFECT_PATHS: [&str; 12] = [
    "tokio",
    "futures",
    "kube",
    "axum",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// Methods of `kube::Api` and `kube::Client` that change something, or could.
const WRITE_VERBS: [&str; 16] = [
    "create",
    "create_subresource",
    "delete",
    "delete_collection",
    "entry",
    "evict",
    "patch",
    "patch_metadata",
    "patch_scale",
    "patch_status",
    "patch_subresource",
    "replace",
    "replace_scale",
    "replace_status",
    "replace_subresource",
    "request",
];

#[test]
fn every_room_imports_only_from_rooms_above_it() {
    check_sources(misplaced_imports);
}

#[test]
fn the_pure_half_has_no_effects() {
    check_sources(effects_in_the_pure_half);
}

#[test]
fn only_the_publisher_writes() {
    check_sources(writes_outside_the_publisher);
}

#[test]
fn the_rooms_are_those_of_the_library() {
    let library = tokens(&fs::read_to_string(sources().join("lib.rs")).unwrap());
    let declared: Vec<&str> = library
        .windows(3)
        .filter(|three| three[0] == "mod" && three[2] == ";")
        .map(|three| three[1].as_str())
        .collect();
    let known: Vec<&str> = PURE.into_iter().chain(EFFECTS).collect();
    assert_eq!(declared, known, "rooms in src/lib.rs, in the order in which they may import");
    let found: BTreeSet<String> = fs::read_dir(sources())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".rs").to_owned())
        .filter(|name| !["lib", "main"].contains(&name.as_str()))
        .collect();
    assert_eq!(found, known.into_iter().map(str::to_owned).collect(), "files and folders of src/");
}

/// A source file: its name under `src/` and its tokens.
struct Source {
    name: String,
    tokens: Vec<String>,
}

impl Source {
    fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), tokens: tokens(text) }
    }

    /// Module path of the file.
    fn module(&self) -> Vec<String> {
        let parts = self.name.trim_end_matches(".rs").split('/').map(str::to_owned);
        parts.filter(|part| !["lib", "main", "mod"].contains(&part.as_str())).collect()
    }

    fn room(&self) -> Option<String> {
        self.module().into_iter().next()
    }

    fn is_pure(&self) -> bool {
        self.room().is_some_and(|room| PURE.contains(&room.as_str()))
    }
}

fn sources() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
}

fn all_sources() -> Vec<Source> {
    let mut folders = vec![sources().to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(sources()).unwrap().to_str().unwrap().replace('\\', "/");
                found.push(Source::new(&name, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > PURE.len(), "the sources are where they are expected");
    found
}

fn check_sources(violations: fn(&Source) -> Vec<String>) {
    let mut all: Vec<String> = all_sources().iter().flat_map(violations).collect();
    all.sort();
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

fn may_import(from: &str, to: &str) -> bool {
    let position = |room: &str| PURE.iter().position(|other| *other == room);
    match (position(from), position(to)) {
        _ if from == to => true,
        (Some(from), Some(to)) => to < from,
        (Some(_), None) => false,
        (None, Some(_)) => true,
        (None, None) => from == "cli" || (from != "cluster" && to == "cluster"),
    }
}

fn misplaced_imports(source: &Source) -> Vec<String> {
    let Some(room) = source.room() else { return Vec::new() };
    let rooms: Vec<&str> = PURE.into_iter().chain(EFFECTS).collect();
    let mut violations = Vec::new();
    for path in paths(source) {
        let Some(inside) = path.strip_prefix(&["crate".to_owned()][..]) else { continue };
        let Some(target) = inside.first().filter(|target| rooms.contains(&target.as_str())) else { continue };
        if !may_import(&room, target) {
            violations.push(format!("src/{}: {} is not above {room}", source.name, path.join("::")));
        }
    }
    violations
}

fn effects_in_the_pure_half(source: &Source) -> Vec<String> {
    if !source.is_pure() {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for path in paths(source) {
        let text = path.join("::");
        let within = |prefix: &&str| text == **prefix || text.starts_with(&format!("{prefix}::"));
        if EFFECT_PATHS.iter().any(within) {
            violations.push(format!("src/{}: names {text}", source.name));
        }
        if within(&"k8s_openapi") && source.room().as_deref() != Some("lower") {
            violations.push(format!("src/{}: names {text}, which only lower may", source.name));
        }
    }
    let keywords = source.tokens.iter().filter(|token| ["async", "await", "unsafe"].contains(&token.as_str()));
    violations.extend(keywords.map(|keyword| format!("src/{}: says {keyword}", source.name)));
    violations
}

/// Calls of write verbs as methods (`.patch(…)`) or functions (`Api::patch(…)`), each with its arguments.
fn write_calls(source: &Source) -> Vec<(String, Vec<String>)> {
    let mut calls = Vec::new();
    for at in 1..source.tokens.len() {
        let [before, verb] = [&source.tokens[at - 1], &source.tokens[at]];
        if !WRITE_VERBS.contains(&verb.as_str()) || ![".", "::"].contains(&before.as_str()) {
            continue;
        }
        let rest = &source.tokens[at + 1..];
        // A turbofish may stand between the verb and its arguments.
        let Some(open) = rest.iter().position(|token| token == "(") else { continue };
        if open == 0 || rest[0] == "::" {
            let arguments = rest[open..].iter().take_while(|token| *token != ")").cloned().collect();
            calls.push((verb.clone(), arguments));
        }
    }
    calls
}

fn writes_outside_the_publisher(source: &Source) -> Vec<String> {
    if source.is_pure() || source.name == "cluster/publisher.rs" {
        return Vec::new();
    }
    let mut calls = write_calls(source);
    if source.name == "cluster/access.rs" {
        // The one exception: the attempt that tells whether writing would be allowed.
        let says_dry_run = source.tokens.windows(3).any(|three| three.join(" ") == "dry_run : true");
        let harmless = |(verb, arguments): &(String, Vec<String>)| {
            verb == "patch" && says_dry_run && arguments.iter().any(|argument| argument == "dry_run")
        };
        if let Some(found) = calls.iter().position(harmless) {
            calls.remove(found);
        }
    }
    calls.iter().map(|(verb, _)| format!("src/{}: calls {verb}", source.name)).collect()
}

/// Every path of two or more segments, and every path of a `use`, resolved to begin with `crate` or with the name of
/// an external crate.
fn paths(source: &Source) -> Vec<Vec<String>> {
    let tokens = &source.tokens;
    let mut module = source.module();
    // Braces that are open; those of an inline module carry its name.
    let mut open: Vec<bool> = Vec::new();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "mod" if tokens.get(at + 2).is_some_and(|token| token == "{") => {
                module.push(tokens[at + 1].clone());
                open.push(true);
                at += 3;
                continue;
            }
            "{" => open.push(false),
            "}" if open.pop() == Some(true) => drop(module.pop()),
            token if is_identifier(token) && is_path_start(tokens, at) => {
                let mut each = Vec::new();
                at = read_path(tokens, at, &[], &mut each);
                found.extend(each.into_iter().filter_map(|path| resolved(path, &module)));
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn is_identifier(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn is_path_start(tokens: &[String], at: usize) -> bool {
    let before = at.checked_sub(1).map_or("", |before| tokens[before].as_str());
    let after = tokens.get(at + 1).map_or("", String::as_str);
    let in_use = before == "use" || (before == "::" && at >= 2 && tokens[at - 2] == "use");
    in_use || (after == "::" && (before != "::" || !at.checked_sub(2).is_some_and(|two| is_identifier(&tokens[two]))))
}

/// Reads the path or use tree at `at`; returns the position after it.
fn read_path(tokens: &[String], mut at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = read_path(tokens, at, &path, found);
                    while tokens.get(at).is_some_and(|token| token != "," && token != "}") {
                        at += 1;
                    }
                    at += usize::from(tokens.get(at).is_some_and(|token| token == ","));
                }
                return at + 1;
            }
            Some(token) if is_identifier(token) || token == "*" => {
                path.push(token.to_owned());
                at += 1;
            }
            // `Vec::<T>::new`: the path ends before its parameters.
            _ => break,
        }
        if tokens.get(at).is_some_and(|token| token == "::") {
            at += 1;
        } else {
            break;
        }
    }
    found.push(path);
    at
}

fn resolved(path: Vec<String>, module: &[String]) -> Option<Vec<String>> {
    let here = || std::iter::once("crate".to_owned()).chain(module.iter().cloned());
    let supers = path.iter().take_while(|segment| *segment == "super").count();
    match path.first()?.as_str() {
        "super" => {
            let mut absolute: Vec<String> = here().collect();
            absolute.truncate(absolute.len().checked_sub(supers)?);
            absolute.extend(path.into_iter().skip(supers));
            Some(absolute)
        }
        "self" => Some(here().chain(path.into_iter().skip(1)).collect()),
        "mini_karpenter" => Some(std::iter::once("crate".to_owned()).chain(path.into_iter().skip(1)).collect()),
        _ => Some(path),
    }
}

/// Identifiers, numbers, `::`, and every other character by itself. Comments and the contents of texts are left out.
fn tokens(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&character) = characters.get(at) {
        let next = characters.get(at + 1).copied();
        match (character, next) {
            ('/', Some('/')) => at = skip_while(&characters, at, |character| character != '\n'),
            ('/', Some('*')) => at = after_block_comment(&characters, at),
            ('"', _) => at = after_text(&characters, at),
            ('r' | 'b', Some('"' | '#' | 'r')) if raw_text_end(&characters, at).is_some() => {
                at = raw_text_end(&characters, at).unwrap();
            }
            ('\'', _) => at = after_character_or_lifetime(&characters, at),
            (':', Some(':')) => {
                tokens.push("::".to_owned());
                at += 2;
            }
            _ if character.is_whitespace() => at += 1,
            _ if character.is_alphanumeric() || character == '_' => {
                let end = skip_while(&characters, at, |character| character.is_alphanumeric() || character == '_');
                tokens.push(characters[at..end].iter().collect());
                at = end;
            }
            _ => {
                tokens.push(character.to_string());
                at += 1;
            }
        }
    }
    tokens
}

fn skip_while(characters: &[char], from: usize, holds: impl Fn(char) -> bool) -> usize {
    characters[from..].iter().position(|character| !holds(*character)).map_or(characters.len(), |count| from + count)
}

fn after_block_comment(characters: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at < characters.len() {
        match (characters[at], characters.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn after_text(characters: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < characters.len() && characters[at] != '"' {
        at += if characters[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The end of `r"…"`, `r#"…"#`, `br#"…"#` or `b"…"`; `None` where it is none of them.
fn raw_text_end(characters: &[char], from: usize) -> Option<usize> {
    let mut at = from;
    let mut raw = false;
    while matches!(characters.get(at), Some('r' | 'b')) {
        raw |= characters[at] == 'r';
        at += 1;
    }
    let hashes = skip_while(characters, at, |character| character == '#') - at;
    if characters.get(at + hashes) != Some(&'"') || (!raw && hashes > 0) {
        return None;
    }
    if !raw {
        return Some(after_text(characters, at));
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let start = at + hashes + 1;
    let length = characters[start..].windows(end.len()).position(|window| window == end)?;
    Some(start + length + end.len())
}

fn after_character_or_lifetime(characters: &[char], from: usize) -> usize {
    match (characters.get(from + 1), characters.get(from + 2)) {
        (Some('\\'), _) => skip_while(characters, from + 3, |character| character != '\'') + 1,
        (Some(_), Some('\'')) => from + 3,
        _ => skip_while(characters, from + 1, |character| character.is_alphanumeric() || character == '_'),
    }
}

mod self_test {
    //! The judge of the sources, judged: what is wrong is found, and what only looks wrong is not.

    use super::*;

    fn found(violations: fn(&Source) -> Vec<String>, name: &str, text: &str) -> Vec<String> {
        violations(&Source::new(name, text))
    }

    #[test]
    fn imports_from_below_are_found_in_every_form() {
        for (name, text, target) in [
            ("units/mod.rs", "use crate::model::Pod;", "crate::model::Pod"),
            ("model/pod.rs", "fn f() -> crate::provision::Plan { todo() }", "crate::provision::Plan"),
            ("model/pod.rs", "use crate::{units::Cpu, snapshot::{self, Skipped}};", "crate::snapshot::self"),
            ("feasibility/mod.rs", "use super::provision::plan;", "crate::provision::plan"),
            ("feasibility/selector.rs", "use super::super::check;", "crate::check"),
            (
                "feasibility/selector.rs",
                "mod tests { use super::super::super::check::Violation; }",
                "crate::check::Violation",
            ),
            ("snapshot.rs", "use super::lower::parse_manifest;", "crate::lower::parse_manifest"),
            ("provision/pool.rs", "impl From<crate::document::NodePool> for X {}", "crate::document::NodePool"),
            ("consolidate/mod.rs", "use crate :: /* why? */ check :: *;", "crate::check::*"),
            ("document/table.rs", "use crate::cluster::Stores;", "crate::cluster::Stores"),
            ("cluster/stores.rs", "use crate::loops::Settings;", "crate::loops::Settings"),
            ("web/mod.rs", "use crate::cli::main;", "crate::cli::main"),
            ("web/mod.rs", "use crate::loops::pending_loop;", "crate::loops::pending_loop"),
        ] {
            let violations = found(misplaced_imports, name, text);
            let expected = format!("src/{name}: {target} is not above");
            assert!(violations.iter().any(|violation| violation.starts_with(&expected)), "{text}: {violations:?}");
        }
    }

    #[test]
    fn imports_from_above_and_what_only_looks_like_one_are_fine() {
        for (name, text) in [
            ("model/pod.rs", "use crate::units::{Cpu, Memory}; use super::Labels; use crate::model::Node;"),
            ("check/plan.rs", "use super::{Violation, room::Room}; use crate::provision::Plan;"),
            ("check/mod.rs", "mod plan; pub use plan::check_plan; fn f() { self::plan::g() }"),
            (
                "units/mod.rs",
                "// use crate::model::Pod;\n/* crate::check /* nested */ */ const X: &str = \"crate::cli\";",
            ),
            ("units/mod.rs", "const X: &str = r#\"crate::cli \" \"#; const Y: char = '\"'; fn f<'a>(x: &'a str) {}"),
            ("cluster/stores.rs", "use crate::document::ConfigMap;"),
            ("cli/run.rs", "use crate::{web, loops::Settings, cluster};"),
            ("web/mod.rs", "use crate::cluster::Stores; use crate::document::json;"),
        ] {
            assert_eq!(found(misplaced_imports, name, text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn effects_are_found_in_the_pure_half_and_allowed_below_it() {
        for (text, named) in [
            ("use tokio::sync::watch;", "tokio::sync::watch"),
            ("use std::{collections::BTreeMap, fs};", "std::fs"),
            ("fn f() { std::env::var(\"HOME\"); }", "std::env::var"),
            ("use std::time::{Duration, Instant};", "std::time::Instant"),
            ("let now = ::std::time::SystemTime::now();", "std::time::SystemTime::now"),
            ("use kube::Api;", "kube::Api"),
            ("use k8s_openapi::api::core::v1::Pod;", "k8s_openapi::api::core::v1::Pod"),
            ("async fn f() {}", "async"),
        ] {
            let violations = found(effects_in_the_pure_half, "document/mod.rs", text);
            assert!(violations.iter().any(|violation| violation.contains(named)), "{text}: {violations:?}");
            assert!(found(effects_in_the_pure_half, "cluster/mod.rs", text).is_empty());
        }
        let fine = "use std::time::Duration; use std::fmt; const X: &str = \"tokio::sync\"; fn f(kube: u8) {}";
        assert!(found(effects_in_the_pure_half, "document/mod.rs", fine).is_empty());
        assert!(found(effects_in_the_pure_half, "lower/pod.rs", "use k8s_openapi::api::core::v1::Pod;").is_empty());
    }

    #[test]
    fn writes_are_found_outside_the_publisher() {
        for (text, count) in [
            ("api.patch(name, &params, &body).await", 1),
            ("api\n    .delete(name, &DeleteParams::default())", 1),
            ("Api::create(&api, &params, &pod)", 1),
            ("client.request::<Pod>(request)", 1),
            ("let create = 1; fn delete() {} Patch::Apply(&x); \"api.patch(x)\"", 0),
        ] {
            assert_eq!(found(writes_outside_the_publisher, "loops/mod.rs", text).len(), count, "{text}");
            assert!(found(writes_outside_the_publisher, "cluster/publisher.rs", text).is_empty());
        }
        let probe = "let dry_run = PatchParams { dry_run: true, ..x }; api.patch(name, &dry_run, &body)";
        assert!(found(writes_outside_the_publisher, "cluster/access.rs", probe).is_empty());
        assert_eq!(found(writes_outside_the_publisher, "cluster/stores.rs", probe).len(), 1);
        for wrong in [
            "let dry_run = PatchParams { dry_run: false, ..x }; api.patch(name, &dry_run, &body)",
            "let dry_run = PatchParams { dry_run: true, ..x }; api.patch(name, &params, &body)",
            "let dry_run = PatchParams { dry_run: true, ..x }; api.patch(name, &dry_run, &a); api.patch(b, &dry_run, &c)",
        ] {
            assert_eq!(found(writes_outside_the_publisher, "cluster/access.rs", wrong).len(), 1, "{wrong}");
        }
    }
}
