//! The cluster, once: for `plan` and `consolidate` without files.

use std::fmt::Debug;

use kube::api::ListParams;
use kube::{Api, Client};
use serde::de::DeserializeOwned;

use super::access::{AccessError, explain_read};
use super::watched::{View, Watched};
use crate::model::{Node, Pod};
use crate::snapshot::Snapshot;

/// Objects in one answer: the API server's memory stays small however large the cluster is.
const PAGE: u32 = 500;

/// Lists pods and nodes.
///
/// # Errors
/// What the API server refused, with the permission that is missing.
pub async fn list_snapshot(client: &Client) -> Result<Snapshot, AccessError> {
    let mut skipped = Vec::new();
    let mut nodes = Vec::new();
    for watched in list::<Node>(Api::all(client.clone()), "nodes").await? {
        watched.view().map_or_else(|reason| skipped.push(reason), |node| nodes.push(node));
    }
    let mut pods = Vec::new();
    for watched in list::<Pod>(Api::all(client.clone()), "pods").await? {
        watched.view().map_or_else(|reason| skipped.push(reason), |pod| pods.push(pod));
    }
    Ok(Snapshot::new(nodes, pods, skipped))
}

async fn list<T: View>(api: Api<T::Raw>, resource: &str) -> Result<Vec<Watched<T>>, AccessError>
where
    T::Raw: Clone + Debug + DeserializeOwned,
{
    let mut objects = Vec::new();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = api.list(&page).await.map_err(|error| explain_read(resource, &error))?;
        objects.extend(list.items.iter().map(Watched::of));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(objects),
        }
    }
}
