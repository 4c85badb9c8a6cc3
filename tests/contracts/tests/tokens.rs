//! The contract of the token store on every store.

use contracts::backends::{MINISTACK, with_tokens};
use contracts::tokens;

#[tokio::test]
async fn the_latest_token_comes_back_in_memory() {
    tokens::the_latest_token_comes_back(&in_memory::MemoryTokens::new()).await;
}

#[tokio::test]
async fn the_latest_token_comes_back_on_ministack() {
    with_tokens(MINISTACK, async |store| tokens::the_latest_token_comes_back(&store).await).await;
}
