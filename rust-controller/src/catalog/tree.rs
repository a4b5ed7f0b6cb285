//! The text of a file as a tree, the same for YAML and JSON. Numbers keep their decimal form and a key that is given
//! twice is refused.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value of YAML or JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Tree>),
    Map(BTreeMap<String, Tree>),
}

/// Reads text that is JSON or YAML; the message of a failure is one line with the line and column.
pub(super) fn read(text: &str) -> Result<Tree, String> {
    let json = text.trim_start().starts_with(['{', '[']).then(|| serde_json::from_str(text));
    if let Some(Ok(tree)) = json {
        return Ok(tree);
    }
    // `.nan` is a number of YAML: whoever reads the field says that it is none there, and which field it is.
    let options = serde_yaml::options! {
        with_snippet: false,
        strict_booleans: true,
        non_finite_float_policy: serde_yaml::NonFiniteFloatPolicy::PassThrough,
    };
    let yaml = serde_yaml::from_str_with_options(text, options);
    yaml.map_err(|yaml| match json {
        Some(Err(json)) => json.to_string(),
        _ => yaml.to_string().replace('\n', " "),
    })
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry::<String, Tree>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("{key:?} is given twice")));
            }
            map.insert(key, value);
        }
        Ok(Tree::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Tree {
        Tree::Number(text.to_owned())
    }

    #[test]
    fn json_and_yaml_give_the_same_tree() {
        let json = read(r#"{"a": [1, 0.0765, "2", null, true], "b": -3}"#);
        let yaml = read("a: [1, 0.0765, '2', ~, true]\nb: -3\n");
        assert_eq!(json, yaml);
        let list = vec![number("1"), number("0.0765"), Tree::Text("2".to_owned()), Tree::Null, Tree::Bool(true)];
        let map = BTreeMap::from([("a".to_owned(), Tree::List(list)), ("b".to_owned(), number("-3"))]);
        assert_eq!(json, Ok(Tree::Map(map)));
    }

    #[test]
    fn a_key_given_twice_is_refused_in_both() {
        assert!(read(r#"{"a": 1, "a": 2}"#).is_err_and(|message| message.contains("\"a\" is given twice")));
        assert!(read("a: 1\na: 2\n").is_err());
    }

    #[test]
    fn a_yaml_flow_map_need_not_be_json() {
        assert!(read("{a: 1}").is_ok());
        assert!(read("{\"a\": 1").is_err_and(|message| message.contains("line 1")), "the message is that of JSON");
    }
}
