//! Reads pages whose ids come from a search, for objects whose lists cannot start in the middle. A search finds 200
//! ids, and two concurrent calls read their records.

use domain::ids::RecordId;
use domain::ports::crm::{CrmError, CrmErrorKind, Cursor, PageEnd, PageRequest};
use domain::rows::RowBuffer;

use crate::answers::{self, Unusable};
use crate::by_id::{Selection, check_takes_ids};
use crate::client::HubSpot;
use crate::endpoints::{MAX_FOUND, MAX_RECORDS};
use crate::records::{Page, Shape, read_records};
use crate::row_order::{append_new, arrange};
use crate::scan::Malformed;
use crate::search::Search;

impl HubSpot {
    pub(crate) async fn searched_page(
        &self,
        request: &PageRequest<'_>,
        rows: &mut RowBuffer,
    ) -> Result<PageEnd, CrmError> {
        check_takes_ids(request.object)?;
        let Cursor::AfterId(after) = *request.cursor else {
            let sentence = "HubSpot's searches continue after an id, not at the cursor of a list.".to_owned();
            return Err(CrmError::new(CrmErrorKind::Refused, sentence));
        };
        let wanted = Selection::properties(request.object, request.properties);
        let mut others = RowBuffer::new(rows.columns());
        let (ids, end, mut found, more) = loop {
            let (ids, end) = self.ids_above(request, after).await?;
            let (first, second) = ids.split_at(ids.len().min(usize::from(MAX_RECORDS)));
            let (first, second) =
                tokio::join!(self.read_page(wanted, first, rows), self.read_page(wanted, second, &mut others));
            if let (Some(found), Some(more)) = (first?, second?) {
                break (ids, end, found, more);
            }
        };
        append_new(rows, &others);
        arrange(rows, &ids);
        self.complete(request.object, request.properties, rows, &mut found).await?;
        Ok(more.added_to(found.added_to(end)))
    }

    /// The next ids above `after`, in ascending order.
    async fn ids_above(
        &self,
        request: &PageRequest<'_>,
        after: RecordId,
    ) -> Result<(Vec<RecordId>, PageEnd), CrmError> {
        // Two batches read the values at the same time.
        let most = 2 * self.fitting(request.object, MAX_RECORDS);
        let limit = request.limit.clamp(1, MAX_FOUND).min(most);
        let call = self.endpoints.search(request.object, Search::above(after, limit).body());
        let mut found = RowBuffer::new(0);
        self.fetch(&call, |answer| {
            let page = answers::check_complete(read_records(&answer.body, Shape::Nested, &[], &mut found)?)?;
            let ids = found.ids().to_vec();
            check_order(&ids, after)?;
            let end = PageEnd {
                next: has_more(&page, ids.len(), limit).then(|| ids.last().map(RecordId::to_string)).flatten(),
                last_listed: ids.last().copied(),
                response_bytes: answer.wire_bytes,
                ..PageEnd::default()
            };
            Ok((ids, end))
        })
        .await
    }
}

/// Whether more ids follow those in the answer to a search. It may contain fewer than the limit.
fn has_more(page: &Page, shown: usize, limit: u16) -> bool {
    shown >= usize::from(limit) || page.total.is_some_and(|total| total > shown as u64)
}

/// Checks that ids ascend. Otherwise the ids between them would be missing in the backup.
fn check_order(ids: &[RecordId], after: RecordId) -> Result<(), Unusable> {
    let ascend = ids.is_sorted_by(|a, b| a < b) && ids.first().is_none_or(|first| *first > after);
    if ascend { Ok(()) } else { Err(Malformed { at: 0 }.into()) }
}
