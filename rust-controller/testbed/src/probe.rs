//! Asking a server whether it is ready: one GET, the status alone.
//!
//! This is not left to `kubectl`, which takes longer to start than a server
//! takes to answer, on a machine that is busy starting servers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// One answer. A server that has just bound its port may hold a request back.
const LIMIT: Duration = Duration::from_secs(2);

/// Asks the servers of one control plane.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    tls: Arc<ClientConfig>,
    token: String,
}

impl Probe {
    /// Trusts `authority` alone and shows `token`.
    pub(crate) fn new(authority: CertificateDer<'_>, token: &str) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.into_owned())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls), token: token.to_owned() })
    }

    /// `Some` if `GET https://127.0.0.1:port/path` answers 200.
    pub(crate) fn https(&self, port: u16, path: &str) -> io::Result<Option<()>> {
        let server = ServerName::from(Ipv4Addr::LOCALHOST);
        let session = ClientConnection::new(Arc::clone(&self.tls), server);
        let session = session.map_err(io::Error::other)?;
        get(StreamOwned::new(session, connect(port)?), path, &self.token)
    }
}

/// `Some` if `GET http://127.0.0.1:port/path` answers 200.
pub(crate) fn http(port: u16, path: &str) -> io::Result<Option<()>> {
    get(connect(port)?, path, "")
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// HTTP/1.0: no keep-alive and no chunks, so the first line is all there is to read.
fn get(mut stream: impl Read + Write, path: &str, token: &str) -> io::Result<Option<()>> {
    let authorization = match token {
        "" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut line = String::new();
    BufReader::new(stream.take(1024)).read_line(&mut line)?;
    match line.split_whitespace().nth(1) {
        Some("200") => Ok(Some(())),
        _ => Err(io::Error::other(format!("GET {path}: {}", line.trim_end()))),
    }
}
