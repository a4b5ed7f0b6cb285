//! Text -> documents of JSON or YAML, before anybody knows what they are.

use std::collections::BTreeMap;
use std::mem;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::ManifestError;

/// How deep a YAML document may be nested, what its aliases stand for included: twice as deep as any Kubernetes object,
/// and no deeper than fits a thread's stack.
const DEEPEST: usize = 64;

/// A document as it stands in its file.
pub(super) enum Document<'t> {
    Value(Value),
    /// A list in JSON, of which each item is read by itself: all items of a large cluster at once, with every field that
    /// the planner leaves out, would take many times the room of the cluster. With what its items are, as in
    /// [`item_type`].
    Items(ItemType, Vec<&'t RawValue>),
}

/// `kind` and `apiVersion` of the items of a typed list, which need not repeat them.
pub(super) type ItemType = Option<(String, String)>;

/// JSON where it looks like it and is; YAML otherwise, whose flow style looks like JSON.
pub(super) fn documents(text: &str) -> Result<Vec<Document<'_>>, ManifestError> {
    if !text.trim_start().starts_with(['{', '[']) {
        return yaml_documents(text);
    }
    let raw = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let documents: Result<Vec<Document<'_>>, _> = raw.map(|raw| json_document(raw?)).collect();
    documents.or_else(|error| yaml_documents(text).map_err(|_| not_json(&error)))
}

fn json_document(raw: &RawValue) -> serde_json::Result<Document<'_>> {
    if raw.get().starts_with('[') {
        return Ok(Document::Items(None, serde_json::from_str(raw.get())?));
    }
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get())?;
    let text = |key: &str| fields.get(key).and_then(|text| serde_json::from_str::<String>(text.get()).ok());
    match (text("kind"), text("apiVersion"), fields.get("items")) {
        (Some(kind), Some(api_version), Some(items)) if kind.ends_with("List") && items.get().starts_with('[') => {
            Ok(Document::Items(item_type(&kind, &api_version), serde_json::from_str(items.get())?))
        }
        _ => Ok(Document::Value(serde_json::from_str(raw.get())?)),
    }
}

/// What the items of a list are where it is a typed one; nothing where each says so itself.
pub(super) fn item_type(kind: &str, api_version: &str) -> ItemType {
    let item_kind = kind.strip_suffix("List").filter(|kind| !kind.is_empty())?;
    Some((item_kind.to_owned(), api_version.to_owned()))
}

/// An item of a list.
pub(super) fn json_item(raw: &RawValue) -> Result<Value, ManifestError> {
    serde_json::from_str(raw.get()).map_err(|error| not_json(&error))
}

fn not_json(error: &serde_json::Error) -> ManifestError {
    ManifestError::Syntax { format: "JSON", problem: error.to_string() }
}

fn yaml_documents(text: &str) -> Result<Vec<Document<'_>>, ManifestError> {
    // The file is the user's own and may be as large as their cluster: no limits but that of the stack.
    let budget = serde_yaml::budget! {
        max_depth: DEEPEST,
        max_reader_input_bytes: None,
        max_events: usize::MAX,
        max_aliases: usize::MAX,
        max_anchors: usize::MAX,
        max_recorded_anchor_events: usize::MAX,
        max_recorded_anchor_bytes: usize::MAX,
        max_documents: usize::MAX,
        max_nodes: usize::MAX,
        max_total_scalar_bytes: usize::MAX,
        max_merge_keys: usize::MAX,
        enforce_alias_anchor_ratio: false,
    };
    // Only `true` and `false` are booleans, so that a node may be called `n`.
    let options = serde_yaml::options! { budget: budget, strict_booleans: true };
    let values: Vec<Value> = serde_yaml::from_multiple_with_options(text, options)
        .map_err(|error| ManifestError::Syntax { format: "YAML", problem: error.to_string() })?;
    Ok(values.into_iter().map(Document::Value).collect())
}

/// The items of a list; nothing for any other object, such as a custom resource of kind `AllowList`.
pub(super) fn list_items(kind: &str, object: &mut Map<String, Value>) -> Option<Vec<Value>> {
    match object.get_mut("items").filter(|_| kind.ends_with("List"))? {
        Value::Array(items) => Some(mem::take(items)),
        Value::Null => Some(Vec::new()),
        _ => None,
    }
}

/// `cpu: 2` is as good as `cpu: "2"` in a manifest; the typed objects take only the second.
pub(super) fn quote_quantities(value: &mut Value) {
    const QUANTITY_MAPS: [&str; 6] =
        ["requests", "limits", "allocatable", "capacity", "overhead", "allocatedResources"];
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::Object(map) if QUANTITY_MAPS.contains(&key.as_str()) => {
                        map.values_mut().filter(|amount| amount.is_number()).for_each(|amount| {
                            *amount = Value::String(amount.to_string());
                        });
                    }
                    other => quote_quantities(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(quote_quantities),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_too_deep_for_the_stack_is_refused() {
        let nested = |inner: &str| format!("{}{inner}{}", "[".repeat(40), "]".repeat(40));
        assert!(documents(&format!("kind: A\nb: {}\n", nested("x"))).is_ok());
        let aliases = format!("kind: A\nb: &b {}\nc: &c {}\n", nested("x"), nested("*b"));
        for text in ["- ".repeat(200), "[".repeat(100_000), aliases] {
            assert!(matches!(documents(&text), Err(ManifestError::Syntax { .. })));
        }
    }
}
