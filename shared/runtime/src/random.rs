//! Random bytes from the operating system.

/// Random bytes for a key.
///
/// # Panics
/// If the operating system has no randomness. It would not be safe to continue.
pub fn key() -> [u8; 32] {
    let mut random = [0; 32];
    getrandom::fill(&mut random).expect("the operating system gives random bytes");
    random
}

/// Random bytes that make an id or the name of a run unique.
///
/// # Panics
/// If the operating system has no randomness. It would not be safe to continue.
pub fn bytes() -> [u8; 10] {
    let mut random = [0; 10];
    getrandom::fill(&mut random).expect("the operating system gives random bytes");
    random
}
