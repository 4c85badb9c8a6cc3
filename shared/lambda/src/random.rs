//! The operating system's randomness.

/// Enough random bytes for a key.
///
/// # Panics
/// When the operating system has no randomness, in which case nothing here is safe to go on.
pub fn key() -> [u8; 32] {
    let mut random = [0; 32];
    getrandom::fill(&mut random).expect("the operating system gives random bytes");
    random
}

/// Ten random bytes: what makes a backup's id, or a run's name, unique.
///
/// # Panics
/// When the operating system has no randomness, in which case nothing here is safe to go on.
pub fn bytes() -> [u8; 10] {
    let mut random = [0; 10];
    getrandom::fill(&mut random).expect("the operating system gives random bytes");
    random
}
