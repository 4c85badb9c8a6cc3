//! What is wrong with a configuration.

use std::path::PathBuf;

/// Something in a configuration that cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Neither `standard`, `tiny`, `odd`, `odd:N`, `wide:N` nor `columns:N/M`.
    #[error("'{0}' is not a property set; use standard, tiny, odd, odd:1000, wide:1000 or columns:200/60")]
    PropertySet(String),
    /// No such standard object.
    #[error("'{0}' is not a standard object; custom objects are named in customObjects")]
    UnknownObject(String),
    /// A custom object's name is taken or not made of lower-case letters, digits and underscores.
    #[error(
        "'{0}' cannot be the name of a custom object; use a new name of lower-case letters, digits and underscores"
    )]
    CustomObjectName(String),
    /// A token belongs to another portal already.
    #[error("that token belongs to another portal")]
    TokenTaken,
    /// A portal id is taken already.
    #[error("portal {0} exists already")]
    PortalTaken(u64),
    /// So many records archived and merged that the listed ones would be hard to find.
    #[error("archivedPerMille and mergedPerMille may add up to at most 900")]
    TooManyHidden,
    /// Not an IANA time zone.
    #[error("'{0}' is not an IANA time zone")]
    TimeZone(String),
    /// A folder or file to load cannot be read.
    #[error("cannot load {path}: {reason}")]
    Load { path: PathBuf, reason: String },
}
