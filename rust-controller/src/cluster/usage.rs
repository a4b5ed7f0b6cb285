//! What nodes use, as `metrics.k8s.io` measured it. That API has no watch: it is listed, and never depended on.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::access::status;
use super::listing::list;
use super::watched::{Watched, views_by};
use crate::model::Usage;
use crate::snapshot::{MeasuredUsage, NoUsage, Skipped};

/// Between two answers that were read. Use changes all the time, and every change is written to ConfigMaps: seldom enough
/// that a large cluster does not write without end, often enough for a person.
const EVERY: Duration = Duration::from_mins(5);

/// Waits after an attempt in vain: doubled each time, from the first up to [`EVERY`].
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// What one answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What was last read. Cheap to clone.
#[derive(Clone)]
pub(super) struct UsageStore {
    /// Nothing until the first attempt has ended.
    known: watch::Receiver<Option<(MeasuredUsage, Vec<Skipped>)>>,
}

impl UsageStore {
    /// Starts to read it, where it was asked for.
    pub(super) fn start(asked: bool, client: &Client, tasks: &mut JoinSet<anyhow::Result<()>>) -> Self {
        let unasked = (!asked).then_some((MeasuredUsage::NotAsked, Vec::new()));
        let (announce, known) = watch::channel(unasked);
        if asked {
            tasks.spawn(read_again_and_again(client.clone(), announce));
        }
        Self { known }
    }

    /// Returns once the first attempt has ended.
    pub(super) async fn settle(&self) {
        // An error means that the task has ended, which ends the process.
        let _ = self.known.clone().wait_for(Option::is_some).await;
    }

    /// What was last read. What could not be lowered goes to `skipped`.
    pub(super) fn get(&self, skipped: &mut Vec<Skipped>) -> MeasuredUsage {
        let known = self.known.borrow();
        known.as_ref().map_or(MeasuredUsage::Unread(NoUsage::NoAnswer), |(usage, left_out)| {
            skipped.extend(left_out.iter().cloned());
            usage.clone()
        })
    }
}

/// Never ends. Of attempts in a row that end alike the first is told.
async fn read_again_and_again(
    client: Client,
    announce: watch::Sender<Option<(MeasuredUsage, Vec<Skipped>)>>,
) -> anyhow::Result<()> {
    let mut last = None;
    let mut wait = FIRST_RETRY;
    loop {
        let mut skipped = Vec::new();
        let read = read_usage(&client, &mut skipped).await;
        let outcome = read.as_ref().err().map(|(reason, _)| *reason);
        if last != Some(outcome) {
            match &read {
                Ok(_) => tracing::info!("reading what nodes use from metrics.k8s.io"),
                Err((_, message)) => tracing::warn!("{message}"),
            }
        }
        last = Some(outcome);
        // A metrics-server that has just started knows of no node yet.
        let in_vain = !matches!(&read, Ok(MeasuredUsage::Read(nodes)) if !nodes.is_empty());
        announce.send_replace(Some((read.unwrap_or_else(|(reason, _)| MeasuredUsage::Unread(reason)), skipped)));
        sleep(if in_vain { wait } else { EVERY }).await;
        wait = if in_vain { (wait * 2).min(EVERY) } else { FIRST_RETRY };
    }
}

/// Lists it once, and says so where that does not work.
pub(super) async fn usage_if_readable(client: &Client, skipped: &mut Vec<Skipped>) -> MeasuredUsage {
    read_usage(client, skipped).await.unwrap_or_else(|(reason, message)| {
        tracing::warn!("{message}");
        MeasuredUsage::Unread(reason)
    })
}

async fn read_usage(client: &Client, skipped: &mut Vec<Skipped>) -> Result<MeasuredUsage, (NoUsage, String)> {
    match timeout(PATIENCE, list::<Usage>(client)).await {
        Ok(Ok(objects)) => Ok(MeasuredUsage::Read(Arc::new(views_by(Watched::cluster_name, &objects, skipped)))),
        Ok(Err(error)) => Err(no_usage(status(&error).map(|status| status.code), &error.to_string())),
        Err(_) => Err(no_usage(None, &format!("no answer within {PATIENCE:?}"))),
    }
}

/// What an answer that is none means, and what to do about it.
fn no_usage(code: Option<u16>, problem: &str) -> (NoUsage, String) {
    let (reason, advice) = match code {
        Some(403) => (NoUsage::Forbidden, "k8s/optional/extras-rbac.yaml allows it"),
        Some(404) => (NoUsage::NoApi, "metrics-server serves it; install it, or leave out --usage"),
        _ => (NoUsage::NoAnswer, "see kubectl get apiservice v1beta1.metrics.k8s.io"),
    };
    (reason, format!("cannot read what nodes use from metrics.k8s.io: {problem}; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_not_to_be_read_has_its_reason_and_what_to_do() {
        let told = |code| no_usage(code, "so it is");
        assert_eq!(told(Some(403)).0, NoUsage::Forbidden);
        assert_eq!(told(Some(404)).0, NoUsage::NoApi);
        assert_eq!(told(Some(503)).0, NoUsage::NoAnswer);
        assert_eq!(told(None).0, NoUsage::NoAnswer);
        assert!(told(Some(403)).1.ends_with("so it is; k8s/optional/extras-rbac.yaml allows it"));
    }

    #[test]
    fn before_the_first_answer_nothing_is_known_and_where_nobody_asks_nothing_is_missing() {
        let (announce, known) = watch::channel(None);
        let store = UsageStore { known };
        assert_eq!(store.get(&mut Vec::new()), MeasuredUsage::Unread(NoUsage::NoAnswer));
        let left_out = Skipped::new("NodeMetrics", "n", "usage.cpu: missing");
        announce.send_replace(Some((MeasuredUsage::NotAsked, vec![left_out.clone()])));
        let mut skipped = Vec::new();
        assert_eq!(store.get(&mut skipped), MeasuredUsage::NotAsked);
        assert_eq!(skipped, [left_out]);
    }
}
