//! HTTP: whether the process is alive, and whether it is ready.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Answers on `listener` until the process ends. `ready` turns true once the stores hold the cluster.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(listener: TcpListener, ready: watch::Receiver<bool>) -> anyhow::Result<()> {
    let readiness = move || {
        let ready = *ready.borrow();
        async move {
            if ready {
                (StatusCode::OK, "ready\n")
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, "the stores do not hold the whole cluster yet\n")
            }
        }
    };
    let routes = Router::new().route("/healthz", get(async || "alive\n")).route("/readyz", get(readiness));
    axum::serve(listener, routes).await?;
    Ok(())
}
