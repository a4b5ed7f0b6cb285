//! The fuzz targets, on their committed inputs and for a short while on others like them, the same in every run.
//!
//! An input that fails is shown: it belongs into `fuzz/corpus`, beside the mend. `make fuzz` looks further.

#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that reads its own files and stops after a while; what fails, fails the test"
)]

#[path = "../fuzz/properties.rs"]
pub mod properties;

use std::collections::BTreeMap;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// For each target. Most of what is to be found at this depth is found in the first second.
const TIME: Duration = Duration::from_secs(2);

/// Longer inputs hold nothing that two shorter ones do not.
const LONGEST: usize = 16 << 10;

#[test]
fn quantities_are_worth_what_their_digits_say() {
    replay_and_search("quantity", properties::quantity);
}

#[test]
fn selectors_select_what_kubernetes_would() {
    replay_and_search("selector", properties::selector);
}

#[test]
fn no_plan_of_any_file_is_wrong() {
    replay_and_search("snapshot", properties::snapshot);
}

#[test]
fn every_corpus_and_every_dictionary_has_its_target() {
    let names = |folder: &str| {
        let entries = fs::read_dir(folder_of(folder)).unwrap();
        let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<String> = entries.map(|entry| stem(entry.unwrap().path())).collect();
        names.sort();
        names
    };
    assert_eq!(names("corpus"), ["quantity", "selector", "snapshot"]);
    assert_eq!(names("dictionary"), names("corpus"));
    assert_eq!(names("fuzz_targets"), names("corpus"));
}

fn folder_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

/// Every committed input first, then what comes of changing them at random, until the time is over.
fn replay_and_search(target: &str, property: fn(&[u8])) {
    let corpus = corpus(target);
    for (name, input) in &corpus {
        judge(property, input, &format!("fuzz/corpus/{target}/{name}"));
    }
    let inputs: Vec<Vec<u8>> = corpus.into_values().collect();
    let words = dictionary(target);
    let mut random = Random(1);
    let start = Instant::now();
    let mut runs = 0;
    while start.elapsed() < TIME {
        let input = mutated(&inputs, &words, &mut random);
        judge(property, &input, &format!("run {runs} of {target}"));
        runs += 1;
    }
    println!("{target}: {} inputs and {runs} more", inputs.len());
}

fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = folder_of("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    let corpus: BTreeMap<String, Vec<u8>> =
        paths.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())).collect();
    assert!(!corpus.is_empty(), "{} is empty", folder.display());
    corpus
}

/// The words of a dictionary of libFuzzer: one a line in quotation marks, `\xAB` for a byte.
fn dictionary(target: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(folder_of("dictionary").join(format!("{target}.dict"))).unwrap();
    let words: Vec<Vec<u8>> =
        text.lines().map(|line| word(line).unwrap_or_else(|| panic!("no word: {line}"))).collect();
    assert!(!words.is_empty(), "the dictionary of {target} is empty");
    words
}

fn word(line: &str) -> Option<Vec<u8>> {
    let mut rest = line.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    let mut word = Vec::new();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                (u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?, after)
            }
            (b'\\', [escaped @ (b'"' | b'\\'), after @ ..]) => (*escaped, after),
            (b'\\', _) => return None,
            (plain, after) => (*plain, after),
        };
        word.push(byte);
        rest = after;
    }
    Some(word)
}

fn judge(property: fn(&[u8]), input: &[u8], name: &str) {
    let holds = catch_unwind(|| property(input)).is_ok();
    assert!(holds, "{name} does not hold, see above. As a file: printf '{}'", printf_escaped(input));
}

/// What the shell's `printf '…'` prints as these bytes.
fn printf_escaped(input: &[u8]) -> String {
    let escaped = |byte: &u8| match byte {
        b'\n' => "\\n".to_owned(),
        b'%' => "%%".to_owned(),
        b'\\' | b'\'' | 0..b' ' | 0x7f.. => format!("\\{byte:03o}"),
        plain => char::from(*plain).to_string(),
    };
    input.iter().map(escaped).collect()
}

/// A sequence of numbers that a seed determines: `SplitMix64`.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn up_to(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % (most as u64 + 1)).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.up_to(from.len() - 1)]
    }

    /// Where a piece of a text begins and ends, more often a short one.
    fn piece(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.up_to(length);
        let most = if self.up_to(3) == 0 { length - start } else { (length - start).min(12) };
        start..start + self.up_to(most)
    }
}

/// An input with one to four changes.
fn mutated(inputs: &[Vec<u8>], words: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = random.pick(inputs).clone();
    for _ in 0..=random.up_to(3) {
        let length = input.len();
        match random.up_to(6) {
            0 if length > 0 => input[random.up_to(length - 1)] ^= 1 << random.up_to(7),
            1 => drop(input.drain(random.piece(length))),
            2 => {
                let copied = input[random.piece(length)].to_vec();
                input.splice(random.piece(length), copied).for_each(drop);
            }
            3 => {
                let other = random.pick(inputs);
                let borrowed = other[random.piece(other.len())].to_vec();
                input.splice(random.piece(length), borrowed).for_each(drop);
            }
            4 => {
                let other = random.pick(inputs);
                input.truncate(random.up_to(length));
                input.extend(&other[random.up_to(other.len())..]);
            }
            _ => {
                let at = random.up_to(length);
                input.splice(at..at, random.pick(words).iter().copied()).for_each(drop);
            }
        }
    }
    input.truncate(LONGEST);
    input
}

#[test]
fn an_input_is_shown_as_the_shell_writes_it_and_a_dictionary_is_read_as_libfuzzer_reads_it() {
    assert_eq!(printf_escaped(b"a%\n\\'\x00\xff"), "a%%\\n\\134\\047\\000\\377");
    assert_eq!(word(r#""\x0aa\\\"""#), Some(b"\na\\\"".to_vec()));
    assert_eq!(word(r#""\n""#), None);
}
