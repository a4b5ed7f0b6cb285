//! Free ports on 127.0.0.1.

use std::net::{Ipv4Addr, TcpListener};

use crate::error::{Error, Result};

/// A free port, held until it is released to the program that will listen on it.
///
/// Between release and that program's own bind somebody else may take the port.
/// Holding it as long as possible makes that rare; the start is tried again for
/// the rest.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    /// Kept for its socket alone.
    listener: TcpListener,
}

impl Port {
    pub(crate) fn reserve() -> Result<Self> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let bound = bound.and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
        let (number, listener) = bound.map_err(Error::io("find a free port on 127.0.0.1"))?;
        Ok(Self { number, listener })
    }

    pub(crate) const fn number(&self) -> u16 {
        self.number
    }

    /// Frees the port for the program that is about to start.
    pub(crate) fn release(self) {
        drop(self.listener);
    }
}

/// A free port for each server.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) etcd: Port,
    pub(crate) api_server: Port,
    pub(crate) controller_manager: Port,
    pub(crate) scheduler: Port,
    pub(crate) kwok: Port,
    pub(crate) metrics_server: Port,
}

impl Ports {
    pub(crate) fn reserve() -> Result<Self> {
        Ok(Self {
            etcd: Port::reserve()?,
            api_server: Port::reserve()?,
            controller_manager: Port::reserve()?,
            scheduler: Port::reserve()?,
            kwok: Port::reserve()?,
            metrics_server: Port::reserve()?,
        })
    }

    pub(crate) const fn numbers(&self) -> PortNumbers {
        PortNumbers {
            etcd: self.etcd.number(),
            api_server: self.api_server.number(),
            controller_manager: self.controller_manager.number(),
            scheduler: self.scheduler.number(),
            kwok: self.kwok.number(),
            metrics_server: self.metrics_server.number(),
        }
    }
}

/// The port each server listens on, all on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PortNumbers {
    pub(crate) etcd: u16,
    pub(crate) api_server: u16,
    pub(crate) controller_manager: u16,
    pub(crate) scheduler: u16,
    pub(crate) kwok: u16,
    pub(crate) metrics_server: u16,
}
