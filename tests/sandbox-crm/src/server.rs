//! The server process: its portals, and the port that it listens on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::{PortalConfig, SandboxConfig};
use crate::config_error::ConfigError;
use crate::listener::{Cut, CuttableListener};
use crate::portal::Portal;
use crate::portals::Portals;
use crate::{control, gate};

/// How long calls under way may take to end when the server stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The default portal cannot be made.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The port cannot be listened on.
    #[error("cannot listen on port {port}: {source}")]
    Listen { port: u16, source: io::Error },
}

/// A running server. Dropping it stops it at once; [`Sandbox::shutdown`] lets calls under way end.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    portals: Portals,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<()>>,
}

impl Sandbox {
    /// Starts a server on 127.0.0.1. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] when the default portal cannot be made or the port is taken.
    pub async fn start(config: SandboxConfig) -> Result<Self, StartError> {
        let portals = Portals::new(&config)?;
        let port = config.port;
        let listen = |source| StartError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let router: Router =
            Router::new().nest("/_sandbox", control::router()).fallback(gate::serve).with_state(portals.clone());
        let service = router.into_make_service_with_connect_info::<Cut>();
        let (stop, stopped) = oneshot::channel();
        let server = axum::serve(CuttableListener(listener), service).with_graceful_shutdown(async {
            // An error means that the handle is gone, which stops the server too.
            let _ = stopped.await;
        });
        let task = tokio::spawn(async move { server.await });
        Ok(Self { address, portals, stop: Some(stop), task })
    }

    /// Scheme, host and port; no path.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The portal that answers for tokens which belong to no other.
    ///
    /// # Panics
    /// Never: the default portal is there from the start.
    pub fn default_portal(&self) -> Portal {
        self.portals.default_portal().expect("the default portal is there from the start")
    }

    /// Adds a portal.
    ///
    /// # Errors
    /// [`ConfigError`] when its id or token is taken or something in it cannot be done.
    pub fn add_portal(&self, config: &PortalConfig) -> Result<Portal, ConfigError> {
        self.portals.add(config)
    }

    /// The portal with that id.
    pub fn portal(&self, portal_id: u64) -> Option<Portal> {
        self.portals.by_id(portal_id)
    }

    /// Stops listening, and lets calls under way end for up to two seconds.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = tokio::time::timeout(FAREWELL, &mut self.task).await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}
