//! What the records are made of: pure functions of a seed, and the overlay of what has been written since.

pub(crate) mod base;
pub(crate) mod clock;
pub(crate) mod digits;
pub(crate) mod layout;
pub(crate) mod loaded;
pub(crate) mod meaning;
pub(crate) mod overlay;
pub(crate) mod random;
pub(crate) mod store;
pub(crate) mod text;
pub(crate) mod values;
pub(crate) mod view;
pub(crate) mod vocabulary;
