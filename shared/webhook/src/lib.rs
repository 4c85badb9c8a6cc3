//! Signed webhooks over HTTP that reach public addresses only.
