//! The cluster, once: for `plan` and `consolidate` without files.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::api::ListParams;
use kube::{Api, Client};

use super::access::{AccessError, explain_read};
use super::usage::usage_if_readable;
use super::watched::{View, Watched, plural, views, views_by};
use crate::model::{Node, Pod};
use crate::snapshot::{Extras, MeasuredUsage, Skipped, Snapshot};

/// Objects in one answer: the API server's memory stays small however large the cluster is.
const PAGE: u32 = 500;

/// Lists pods and nodes, of the other kinds those that may be read, and, where that is asked for, what nodes use.
///
/// # Errors
/// What the API server refused, with the permission that is missing.
pub async fn list_snapshot(client: &Client, with_usage: bool) -> Result<Snapshot, AccessError> {
    let mut skipped = Vec::new();
    let nodes = views(&listed::<Node>(client).await?, &mut skipped);
    let pods = views(&listed::<Pod>(client).await?, &mut skipped);
    let extras = list_extras(client, &mut skipped).await?;
    let usage = if with_usage { usage_if_readable(client, &mut skipped).await } else { MeasuredUsage::NotAsked };
    Ok(Snapshot::new(nodes, pods, skipped).with_extras(extras).with_usage(usage))
}

async fn list_extras(client: &Client, skipped: &mut Vec<Skipped>) -> Result<Extras, AccessError> {
    Ok(Extras {
        namespaces: list_if_allowed(client, Watched::cluster_name, skipped).await?,
        claims: list_if_allowed(client, Watched::object_name, skipped).await?,
        volumes: list_if_allowed(client, Watched::cluster_name, skipped).await?,
        storage_classes: list_if_allowed(client, Watched::cluster_name, skipped).await?,
        attach_limits: list_if_allowed(client, Watched::cluster_name, skipped).await?,
        budgets: list_if_allowed(client, Watched::object_name, skipped).await?,
    })
}

async fn list_if_allowed<K: Ord, T: View>(
    client: &Client,
    key: impl Fn(&Watched<T>) -> K,
    skipped: &mut Vec<Skipped>,
) -> Result<Option<BTreeMap<K, Arc<T>>>, AccessError> {
    match listed(client).await {
        Ok(objects) => Ok(Some(views_by(key, &objects, skipped))),
        Err(AccessError::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn listed<T: View>(client: &Client) -> Result<Vec<Watched<T>>, AccessError> {
    list(client).await.map_err(|error| explain_read(&plural::<T>(), &error))
}

/// All objects of a kind.
pub(super) async fn list<T: View>(client: &Client) -> Result<Vec<Watched<T>>, kube::Error> {
    let api = Api::<T::Raw>::all(client.clone());
    let mut objects = Vec::new();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = api.list(&page).await?;
        objects.extend(list.items.iter().map(Watched::of));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(objects),
        }
    }
}
