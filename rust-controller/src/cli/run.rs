//! The controller: stores, loops, publisher and web, in one set of tasks of which each one's end ends the process.

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::arguments::{RunArguments, UsageArguments, catalog_choice, check_capacity_types};
use super::{BadInput, PLANNED};
use crate::cluster::{Publisher, Stores, connect, preflight};
use crate::loops::{CatalogChoice, Outlets, Settings, consolidation_loop, pending_loop};
use crate::web;

pub(super) fn run(arguments: RunArguments) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        tokio::select! {
            signal = until_signal() => signal,
            ended = control(arguments) => ended,
        }
    });
    // A planning thread may still be busy; nothing that it does is needed any more.
    runtime.shutdown_background();
    ended.map(|()| PLANNED)
}

async fn control(arguments: RunArguments) -> anyhow::Result<()> {
    let RunArguments {
        namespace,
        listen,
        pending_interval,
        consolidation_interval,
        max_plans,
        types,
        threshold,
        usage,
    } = arguments;
    let UsageArguments { usage } = usage;
    let settings = Arc::new(Settings {
        catalog: catalog_choice(&types.catalog)?,
        provision: types.options()?,
        consolidate: threshold.options(),
        max_plans,
    });
    // Of `auto` the nodes decide, which nobody has seen yet.
    if let CatalogChoice::BuiltIn(catalog) | CatalogChoice::File(catalog) = &settings.catalog {
        check_capacity_types(catalog, &settings.provision)?;
    }
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| BadInput(format!("--listen {listen}: {error}; name another address or port")))?;
    let address = listener.local_addr()?;
    let (announce, ready) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let outlets = Arc::new(Outlets::default());
    tasks.spawn(web::serve(listener, ready, outlets.metrics.subscribe()));

    let client = connect().await?;
    preflight(&client, &namespace).await?;
    let stores = Stores::start(&client, &namespace, usage, announce, &mut tasks);
    tasks.spawn(Publisher::new(client, &namespace, &stores, outlets.desired.subscribe()).run());
    tasks.spawn(pending_loop(stores.clone(), Arc::clone(&settings), pending_interval, Arc::clone(&outlets)));
    tasks.spawn(consolidation_loop(stores, settings, consolidation_interval, outlets));
    tracing::info!("planning for ConfigMaps in namespace {namespace}; health on http://{address}/healthz");

    match tasks.join_next().await {
        Some(ended) => ended?.and_then(|()| anyhow::bail!("a task has ended")).context("stopping"),
        None => Ok(()),
    }
}

/// Returns on the first of SIGINT and SIGTERM.
async fn until_signal() -> anyhow::Result<()> {
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        terminated = terminated() => terminated?,
    }
    Ok(())
}

/// How the kubelet asks a process to end.
#[cfg(unix)]
async fn terminated() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}

/// Only Unix has that signal.
#[cfg(not(unix))]
async fn terminated() -> anyhow::Result<()> {
    std::future::pending().await
}
