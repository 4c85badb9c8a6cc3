//! The use cases, over the ports of `domain`. Nothing here knows AWS, HTTP or HubSpot; everything here survives being
//! run twice, late, at once, or being dropped at any point (see `docs/architecture.md`, "What must stay true").

pub mod contention;
pub mod ending;
