//! HTTP: whether the process is alive, whether it is ready, and what it has counted.

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::document::Metrics;

/// Answers on `listener` until the process ends. `ready` turns true once the stores hold the cluster.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(
    listener: TcpListener,
    ready: watch::Receiver<bool>,
    metrics: watch::Receiver<Metrics>,
) -> anyhow::Result<()> {
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
    let counted = move || {
        let text = metrics.borrow().text();
        async move { ([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], text) }
    };
    let routes = Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(readiness))
        .route("/metrics", get(counted));
    axum::serve(listener, routes).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use super::*;
    use crate::document::PlanMetrics;

    /// Head and body of an answer, as a client on the network sees them.
    async fn get(address: SocketAddr, path: &'static str) -> String {
        let ask = move || {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }

    #[tokio::test]
    async fn answers_are_of_the_moment_in_which_they_are_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ready, is_ready) = watch::channel(false);
        let (metrics, counted) = watch::channel(Metrics::default());
        let server = tokio::spawn(serve(listener, is_ready, counted));

        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200 OK"));
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 503 "));
        let rejected = |count: u64| format!("\nmini_karpenter_plans_rejected_total{{kind=\"provisioning\"}} {count}\n");
        let before = get(address, "/metrics").await;
        assert!(before.starts_with("HTTP/1.1 200 OK") && before.contains(&rejected(0)), "{before}");
        assert!(before.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{before}");

        ready.send_replace(true);
        let provisioning = PlanMetrics { plans: 3, rejected: 2, ..PlanMetrics::default() };
        metrics.send_modify(|metrics| metrics.provisioning = provisioning);
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200 OK"));
        let after = get(address, "/metrics").await;
        assert!(after.contains(&rejected(2)), "{after}");
        server.abort();
    }
}
