//! The portals of a server.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::config::{PortalConfig, SandboxConfig};
use crate::config_error::ConfigError;
use crate::portal::Portal;

/// The id of the first portal that is not given one.
const FIRST_PORTAL_ID: u64 = 14_000_000;

/// All portals of a server; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Portals {
    inner: Arc<PortalsInner>,
}

#[derive(Debug)]
struct PortalsInner {
    default_portal: u64,
    known_tokens_only: bool,
    by_id: RwLock<BTreeMap<u64, Portal>>,
}

impl Portals {
    pub(crate) fn new(config: &SandboxConfig) -> Result<Self, ConfigError> {
        let portal_id = config.default_portal.portal_id.unwrap_or(FIRST_PORTAL_ID);
        let inner = PortalsInner {
            default_portal: portal_id,
            known_tokens_only: config.known_tokens_only,
            by_id: RwLock::default(),
        };
        let portals = Self { inner: Arc::new(inner) };
        portals.add(&config.default_portal)?;
        Ok(portals)
    }

    pub(crate) fn add(&self, config: &PortalConfig) -> Result<Portal, ConfigError> {
        let mut by_id = self.inner.by_id.write().unwrap_or_else(PoisonError::into_inner);
        let next = by_id.last_key_value().map_or(FIRST_PORTAL_ID, |(last, _)| last + 1);
        let portal_id = config.portal_id.unwrap_or(next);
        if by_id.contains_key(&portal_id) {
            return Err(ConfigError::PortalTaken(portal_id));
        }
        let token = config.token.clone().unwrap_or_else(|| format!("pat-eu1-sandbox-{portal_id}"));
        if by_id.values().any(|portal| portal.token() == token) {
            return Err(ConfigError::TokenTaken);
        }
        let portal = Portal::new(portal_id, token, config)?;
        by_id.insert(portal_id, portal.clone());
        Ok(portal)
    }

    pub(crate) fn all(&self) -> Vec<Portal> {
        self.inner.by_id.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn by_id(&self, portal_id: u64) -> Option<Portal> {
        self.inner.by_id.read().unwrap_or_else(PoisonError::into_inner).get(&portal_id).cloned()
    }

    pub(crate) fn default_portal(&self) -> Option<Portal> {
        self.by_id(self.inner.default_portal)
    }

    /// The portal that a token belongs to.
    pub(crate) fn by_token(&self, token: &str) -> Option<Portal> {
        let by_id = self.inner.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let known = by_id.values().find(|portal| portal.token() == token);
        let default = (!self.inner.known_tokens_only).then(|| by_id.get(&self.inner.default_portal)).flatten();
        known.or(default).cloned()
    }
}
