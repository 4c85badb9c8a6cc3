//! Reads values that an answer did not show in another way. Such a value is not empty: a list may misunderstand the
//! name of a property, or the token may not read it.

use std::collections::HashMap;

use domain::ids::{ObjectType, RecordId};
use domain::ports::crm::{CrmError, CrmErrorKind};
use domain::rows::RowBuffer;

use crate::by_id::{ReadById, Selection};
use crate::client::HubSpot;
use crate::endpoints::MAX_RECORDS;

impl HubSpot {
    /// Reads the values that `rows` do not show by the ids of their records. A property that this does not show either
    /// stays not shown, and is not read in this way again for a while.
    pub(crate) async fn complete(
        &self,
        object: &ObjectType,
        properties: &[&str],
        rows: &mut RowBuffer,
        found: &mut ReadById,
    ) -> Result<(), CrmError> {
        // Nearly every page is complete.
        if rows.is_complete() {
            return Ok(());
        }
        let Some(gaps) = self.gaps(object, properties, rows) else { return Ok(()) };
        let names: Vec<&str> = gaps.columns.iter().map(|&column| properties[column]).collect();
        let mut late = RowBuffer::new(names.len());
        let (mut helped, mut seen) = (vec![false; names.len()], false);
        for ids in gaps.ids.chunks(usize::from(MAX_RECORDS)) {
            match self.read_by_id(Selection::properties(object, &names), ids, &mut late).await {
                Ok(more) => {
                    found.mended_values += more.mended_values;
                    found.response_bytes += more.response_bytes;
                }
                // The CRM rejects these names, so the rows stay incomplete.
                Err(error) if error.kind == CrmErrorKind::Refused => late.clear(),
                Err(error) => return Err(error),
            }
            seen |= !late.is_empty();
            fill(rows, &late, &gaps.columns, &mut helped);
        }
        if seen {
            let hidden: Vec<&str> =
                names.into_iter().zip(helped).filter(|(_, helped)| !helped).map(|(name, _)| name).collect();
            self.habits.of(self.account, object, |habit| {
                for name in hidden {
                    habit.stays_hidden(name, self.clock.now());
                }
            });
        }
        Ok(())
    }

    /// `None` if reading again could not show anything new.
    fn gaps(&self, object: &ObjectType, properties: &[&str], rows: &RowBuffer) -> Option<Gaps> {
        let now = self.clock.now();
        let hopeless: Vec<bool> = self.habits.of(self.account, object, |habit| {
            properties.iter().map(|property| habit.is_hidden(property, now)).collect()
        });
        let mut missing = vec![false; properties.len()];
        let mut ids = Vec::new();
        for (row, id) in rows.ids().iter().enumerate() {
            let mut any = false;
            for column in rows.not_shown(row).filter(|&column| !hopeless[column]) {
                (any, missing[column]) = (true, true);
            }
            if any {
                ids.push(*id);
            }
        }
        let columns: Vec<usize> = (0..missing.len()).filter(|&column| missing[column]).collect();
        (!ids.is_empty()).then_some(Gaps { ids, columns })
    }
}

/// The records and the columns with values that are not shown.
struct Gaps {
    ids: Vec<RecordId>,
    columns: Vec<usize>,
}

/// Copies values from `late` into cells of `rows` that are not shown. The columns of `late` are `columns` of `rows`.
fn fill(rows: &mut RowBuffer, late: &RowBuffer, columns: &[usize], helped: &mut [bool]) {
    let places: HashMap<RecordId, usize> = rows.ids().iter().enumerate().map(|(row, id)| (*id, row)).collect();
    for (from, id) in late.ids().iter().enumerate() {
        let Some(&row) = places.get(id) else { continue };
        for (place, &column) in columns.iter().enumerate() {
            if late.is_shown(from, place) && !rows.is_shown(row, column) {
                rows.fill(row, column, late.value(from, place));
                helped[place] = true;
            }
        }
    }
}
