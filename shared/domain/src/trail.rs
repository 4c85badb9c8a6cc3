//! Notices that a list of the CRM leads nowhere.

use serde::{Deserialize, Serialize};

use crate::ports::crm::Cursor;

/// The most empty pages in a row. A list with more is broken.
const EMPTY_PAGES: u32 = 100;

/// Why a list leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It came back to an earlier page.
    InACircle,
    /// It shows one empty page after another.
    InEmptyPages,
}

/// Notices a circle of cursors of any length, but stores only one cursor (Brent's algorithm). The stored cursor is
/// replaced after 1, 2, 4, 8… pages. Once this distance exceeds the circle, the list comes back to the stored cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trail {
    remembered: Option<Cursor>,
    pages: u64,
    keep_for: u64,
    /// Empty pages since the last page with a record.
    #[serde(default)]
    empty_pages: u32,
}

impl Trail {
    /// Follows the list from a page to `next`.
    ///
    /// # Errors
    /// [`Lost`] if the list leads nowhere. Nothing has changed then.
    pub fn follow(&mut self, was_empty: bool, next: &Cursor) -> Result<(), Lost> {
        if self.remembered.as_ref() == Some(next) {
            return Err(Lost::InACircle);
        }
        let empty_pages = if was_empty { self.empty_pages + 1 } else { 0 };
        if empty_pages > EMPTY_PAGES {
            return Err(Lost::InEmptyPages);
        }
        self.empty_pages = empty_pages;
        self.pages += 1;
        if self.pages >= self.keep_for {
            let keep_for = (self.keep_for * 2).max(1);
            *self = Self { remembered: Some(next.clone()), pages: 0, keep_for, empty_pages };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to(page: usize) -> Cursor {
        Cursor::Opaque(page.to_string())
    }

    proptest! {
        /// A list that comes back to one of its pages is noticed. Another list is read to its end.
        #[test]
        fn a_circle_is_noticed_whatever_its_length(straight in 0_usize..60, circle in 1_usize..60) {
            let mut trail = Trail::default();
            let mut pages = (0..straight).chain((0..circle).cycle().map(|page| straight + page));
            let noticed = pages.by_ref().take(8 * (straight + circle)).any(|page| trail.follow(false, &to(page)).is_err());
            prop_assert!(noticed);

            let mut trail = Trail::default();
            prop_assert!((0..straight + circle).all(|page| trail.follow(false, &to(page)).is_ok()));
        }
    }

    /// B11: a few empty pages are followed, an endless row of them is not.
    #[test]
    fn endless_empty_pages_are_noticed() {
        let mut trail = Trail::default();
        let mut pages = 0..;
        let mut follow = |was_empty| trail.follow(was_empty, &to(pages.next().unwrap_or_default()));
        for _ in 0..3 {
            assert!((0..EMPTY_PAGES).all(|_| follow(true).is_ok()));
            assert_eq!(follow(false), Ok(()));
        }
        assert_eq!((0..=EMPTY_PAGES).find_map(|_| follow(true).err()), Some(Lost::InEmptyPages));
    }
}
