//! What a price needs beside it to mean anything: its currency, and the region and the day that it held in.

use serde::Serialize;

use crate::model::Catalog;

/// The catalog, currency and origin of all prices of a document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Prices<'a> {
    catalog: &'a str,
    currency: &'a str,
    /// Region and day; absent where the catalog does not say.
    #[serde(skip_serializing_if = "str::is_empty")]
    price_source: &'a str,
}

impl<'a> Prices<'a> {
    pub(super) fn of(catalog: &'a Catalog) -> Self {
        let Catalog { name, currency, price_source, .. } = catalog;
        Self { catalog: name, currency, price_source }
    }
}

/// What the bound itself gives away for safety, and more than that: rounded by less, a bound says no more than it proves.
const SLACK: f64 = 1e-8;

/// A lower bound to so many places, rounded down.
pub(super) fn rounded_down(bound: f64, places: i32) -> f64 {
    let scale = 10_f64.powi(places);
    (bound * (1.0 + SLACK) * scale).floor() / scale
}

/// Region and day of a catalog's prices.
pub(super) fn source(catalog: &Catalog) -> &str {
    if catalog.price_source.is_empty() { "region and day not stated" } else { &catalog.price_source }
}

/// Catalog, region and day of prices, to be said next to them: `aws, us-east-1, 2026-07-20`.
pub(super) fn origin(catalog: &Catalog) -> String {
    format!("{}, {}", catalog.name, source(catalog))
}
