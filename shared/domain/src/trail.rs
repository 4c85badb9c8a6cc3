//! Where a list has led so far, as far as it takes to notice that it leads in a circle.

use serde::{Deserialize, Serialize};

use crate::ports::crm::Cursor;

/// Notices a circle of cursors, however long it is, while keeping one cursor (Brent's algorithm): a cursor is remembered
/// and replaced after 1, 2, 4, 8… pages, so that at some time the circle is shorter than that and comes back to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trail {
    remembered: Option<Cursor>,
    pages: u64,
    keep_for: u64,
}

impl Trail {
    /// Follows the list to `next`. False when it has been there before; nothing has changed then.
    pub fn follow(&mut self, next: &Cursor) -> bool {
        if self.remembered.as_ref() == Some(next) {
            return false;
        }
        self.pages += 1;
        if self.pages >= self.keep_for {
            *self = Self { remembered: Some(next.clone()), pages: 0, keep_for: (self.keep_for * 2).max(1) };
        }
        true
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
        /// A list that comes back to one of its pages is noticed; one that does not is read to its end.
        #[test]
        fn a_circle_is_noticed_whatever_its_length(straight in 0_usize..60, circle in 1_usize..60) {
            let mut trail = Trail::default();
            let mut pages = (0..straight).chain((0..circle).cycle().map(|page| straight + page));
            let noticed = pages.by_ref().take(8 * (straight + circle)).any(|page| !trail.follow(&to(page)));
            prop_assert!(noticed);

            let mut trail = Trail::default();
            prop_assert!((0..straight + circle).all(|page| trail.follow(&to(page))));
        }
    }
}
