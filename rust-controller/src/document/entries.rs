//! JSON that gives each entry of a list one line, and how many entries fit a ConfigMap.

use std::iter::Peekable;
use std::str::Chars;

use serde::Serialize;

/// What comes on top of an entry by itself: six places of indentation, a comma, and the end of the line.
const AROUND: usize = 8;

/// How many bytes are left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room(usize);

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// What is left once this much is taken.
    pub(super) fn less(self, bytes: usize) -> Self {
        Self(self.0.saturating_sub(bytes))
    }

    /// So many bytes of it, or what is left.
    pub(super) fn at_most(self, bytes: usize) -> Self {
        Self(self.0.min(bytes))
    }

    pub(super) fn holds(self, bytes: usize) -> bool {
        bytes <= self.0
    }

    /// As many of the entries as there is room for, which they take, and how many there are besides.
    pub(super) fn cut<T: Serialize>(&mut self, entries: Vec<T>) -> (Vec<T>, usize) {
        let count = entries.len();
        let fits = |entry: &T| {
            let after = self.0.checked_sub(size_of_entry(entry));
            self.0 = after.unwrap_or(0);
            after.is_some()
        };
        let kept: Vec<T> = entries.into_iter().take_while(fits).collect();
        let left_out = count - kept.len();
        (kept, left_out)
    }
}

/// What all of these take.
pub(super) fn size<T: Serialize>(entries: &[T]) -> usize {
    entries.iter().map(size_of_entry).sum()
}

fn size_of_entry(entry: &impl Serialize) -> usize {
    serde_json::to_string(entry).map_or(0, |text| text.len() + AROUND)
}

/// A document as JSON with a line for each field and for each entry of a list, and a line break at its end.
pub(super) fn json_by_entry(document: &impl Serialize) -> String {
    serde_json::to_string(document).map_or_else(
        |error| format!("\"cannot be written as JSON: {error}\"\n"),
        |compact| Lines { letters: compact.chars().peekable(), text: String::new(), open: Vec::new() }.broken() + "\n",
    )
}

/// JSON without spaces, as it is broken into lines: what is in no list is indented, entries of lists stay whole.
struct Lines<'t> {
    letters: Peekable<Chars<'t>>,
    text: String,
    /// Objects and lists that are open.
    open: Vec<Open>,
}

#[derive(Clone, Copy)]
struct Open {
    is_list: bool,
    /// Each field or entry has a line of its own.
    has_lines: bool,
}

impl Lines<'_> {
    fn broken(mut self) -> String {
        while let Some(letter) = self.letters.next() {
            match letter {
                '{' | '[' => self.begin(letter),
                '}' | ']' => self.end(letter),
                ',' => {
                    self.text.push(letter);
                    self.new_line();
                }
                ':' => self.text.push_str(if self.has_lines() { ": " } else { ":" }),
                '"' => self.string(),
                other => self.text.push(other),
            }
        }
        self.text
    }

    fn begin(&mut self, bracket: char) {
        let has_lines = self.open.last().is_none_or(|outer| outer.has_lines && !outer.is_list);
        self.open.push(Open { is_list: bracket == '[', has_lines });
        self.text.push(bracket);
        if !matches!(self.letters.peek(), Some('}' | ']')) {
            self.new_line();
        }
    }

    fn end(&mut self, bracket: char) {
        let had_lines = self.has_lines() && !self.text.ends_with(['{', '[']);
        self.open.pop();
        if had_lines {
            self.indent();
        }
        self.text.push(bracket);
    }

    /// The rest of a text in quotes, as it is.
    fn string(&mut self) {
        self.text.push('"');
        let mut escaped = false;
        for letter in self.letters.by_ref() {
            self.text.push(letter);
            match letter {
                '"' if !escaped => break,
                _ => escaped = letter == '\\' && !escaped,
            }
        }
    }

    fn has_lines(&self) -> bool {
        self.open.last().is_some_and(|open| open.has_lines)
    }

    fn new_line(&mut self) {
        if self.has_lines() {
            self.indent();
        }
    }

    fn indent(&mut self) {
        self.text.push('\n');
        self.text.extend(self.open.iter().map(|_| "  "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_is_in_a_list_is_a_line_and_all_else_is_indented() {
        let odd = "\"[{,:}]\\";
        let document = json!({"a": {"b": 1, "c": {}}, "list": [{"x": 1, "y": ["p", {}]}, [], odd], "none": []});
        let text = json_by_entry(&document);
        let expected = "{\n  \"a\": {\n    \"b\": 1,\n    \"c\": {}\n  },\n  \"list\": [\n    {\"x\":1,\"y\":[\"p\",{}]},\n    [],\n    \"\\\"[{,:}]\\\\\"\n  ],\n  \
                        \"none\": []\n}\n";
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    }

    #[test]
    fn a_list_that_is_too_long_is_cut_and_says_by_how_much() {
        let entries: Vec<String> = (0..1000).map(|number| format!("entry \"{number}\"")).collect();
        for bytes in [0, 20, 1000, 5000, 1_000_000] {
            let (kept, left_out) = Room::new(bytes).cut(entries.clone());
            let text = json_by_entry(&json!({"within": {"list": kept}}));
            assert!(text.len() <= bytes + 50, "{} bytes of {bytes}", text.len());
            assert_eq!(kept.len() + left_out, 1000);
            assert_eq!(left_out == 0, size(&entries) <= bytes);
            // One more would not fit.
            assert!(size(&entries[..(kept.len() + 1).min(1000)]) > bytes || left_out == 0);
        }
    }

    #[test]
    fn lists_take_what_others_leave() {
        let mut room = Room::new(200);
        assert_eq!(room.cut(vec!["short"; 3]).1, 0);
        let (kept, left_out) = room.cut(vec!["second"; 100]);
        assert_eq!((kept.len(), left_out), ((200 - 3 * 15) / 16, 100 - (200 - 3 * 15) / 16));
        assert_eq!(room.cut(vec!["x".repeat(20)]).1, 1, "nothing is left");
    }
}
