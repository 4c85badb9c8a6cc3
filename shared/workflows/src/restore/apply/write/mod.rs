//! Sends updates. Refused calls are bisected to the single record, and then to the property that the CRM names. The
//! values that the CRM returns are compared with those sent.

mod looks;
mod pending;

use std::collections::{HashMap, VecDeque};

use domain::ids::RecordId;
use domain::ports::crm::CrmError;
use domain::ports::crm_batch::{BatchUpdate, RecordUpdate, UpdatedRecord, WriteRefusal};
use domain::restore::difference::Difference;
use domain::restore::outcome::{Clearing, Fate, OutcomeCounts, reasons};
use domain::restore::property::RestoredProperty;
use domain::restore::unique::Exchange;
use domain::storage_keys;

pub(super) use self::pending::PendingUpdate;
use self::pending::{apart, by_record};
use super::Application;
use crate::restore::begun::ROUNDS_OF_CLEARING;
use crate::run::StepError;
use crate::stored_json;

/// Daily calls reserved for setting cleared values: enough for all batches in progress at the same time.
const KEPT_FOR_SETTING: u32 = 200;

/// The fate of each value that was sent.
pub(super) type Fates = HashMap<(RecordId, u16), Fate>;

#[derive(Default)]
pub(super) struct ToWrite {
    /// Values whose present value is known and untouched.
    pub(super) values: Vec<PendingUpdate>,
    /// Values that an earlier run has cleared. Their earlier value is the one to put back.
    pub(super) cleared: Vec<PendingUpdate>,
}

/// The values that a round sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Empty values, in place of unique values that other records of the batch will get.
    Free,
    Set,
    /// Empty values, in place of values that can only go back to an earlier option in this way.
    Clear,
    /// The targets of the cleared values.
    SetCleared,
    /// The earlier values, if the CRM does not accept the target even then.
    PutBack,
}

/// Writes the values of a batch and finds out the fate of each.
pub(super) struct Writer<'a> {
    application: &'a Application<'a>,
    batch: u64,
    counts: &'a mut OutcomeCounts,
    fates: Fates,
    next_round: Vec<PendingUpdate>,
    /// Values that are cleared, to be set after all others.
    cleared: Vec<PendingUpdate>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(application: &'a Application<'a>, batch: u64, counts: &'a mut OutcomeCounts) -> Self {
        Self { application, batch, counts, fates: Fates::new(), next_round: Vec::new(), cleared: Vec::new() }
    }

    /// Writes all values.
    ///
    /// # Errors
    /// [`StepError`]. Some values may have been written.
    pub(super) async fn write(mut self, to_write: ToWrite) -> Result<Fates, StepError> {
        let (blocking, values) = self.application.blocking(to_write.values);
        self.cleared = to_write.cleared;
        self.clear(blocking, Round::Free).await?;
        self.write_round(values, Round::Set).await?;
        let to_clear = std::mem::take(&mut self.next_round);
        self.clear(to_clear, Round::Clear).await?;
        let cleared = by_record(std::mem::take(&mut self.cleared));
        self.write_round(cleared, Round::SetCleared).await?;
        let to_put_back = std::mem::take(&mut self.next_round);
        self.write_round(to_put_back, Round::PutBack).await?;
        Ok(self.fates)
    }

    /// Clears values that are set again at once, unless the day's calls may not last until then. First stores that they
    /// may be empty from now on, so that a later run can distinguish them from values that a user has cleared.
    async fn clear(&mut self, updates: Vec<PendingUpdate>, round: Round) -> Result<(), StepError> {
        if updates.is_empty() {
            return Ok(());
        }
        self.application.gate.check_left_today(KEPT_FOR_SETTING).await.map_err(CrmError::from)?;
        self.application.put_clearings(self.batch, round, &updates).await?;
        self.write_round(updates, round).await
    }

    /// Writes `updates`, in halves if the CRM refuses the whole.
    async fn write_round(&mut self, updates: Vec<PendingUpdate>, round: Round) -> Result<(), StepError> {
        let mut left = VecDeque::from([updates]);
        while let Some(updates) = left.pop_front() {
            let mut updates = self.without_hopeless(updates, round);
            if updates.is_empty() {
                continue;
            }
            self.refresh(&mut updates, round).await?;
            match self.send(&updates, round).await? {
                BatchUpdate::Written { records, refused } => {
                    for updates in apart(self.compare(updates, &records, refused, round).await?) {
                        left.push_front(updates);
                    }
                }
                BatchUpdate::Refused(_) if updates.len() > 1 => {
                    let second = updates.split_off(updates.len() / 2);
                    left.push_front(second);
                    left.push_front(updates);
                }
                BatchUpdate::Refused(refusal) => {
                    for update in updates {
                        for updates in apart(self.refuse(update, &refusal, round).await?) {
                            left.push_front(updates);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    async fn send(&self, updates: &[PendingUpdate], round: Round) -> Result<BatchUpdate, StepError> {
        let application = self.application;
        let records: Vec<RecordUpdate> = updates
            .iter()
            .map(|update| {
                let value =
                    |value: &Difference| (application.name(value.property).to_owned(), round.sends(value).to_owned());
                RecordUpdate { id: update.id, values: update.values.iter().map(value).collect() }
            })
            .collect();
        Ok(application.crm.update_batch(&application.restore.object_type, &records).await?)
    }

    /// Removes the refused values of one record, and returns the rest to try again.
    async fn refuse(
        &mut self,
        mut update: PendingUpdate,
        refusal: &WriteRefusal,
        round: Round,
    ) -> Result<Vec<PendingUpdate>, StepError> {
        let application = self.application;
        let is_named =
            |value: &Difference| refusal.properties.iter().any(|property| property == application.name(value.property));
        let taken = is_about_uniqueness(&refusal.code);
        // If the CRM says that a value is taken but not which one, it is the value of a unique property.
        let may_be_taken =
            |value: &Difference| taken && application.property(value.property).is_some_and(RestoredProperty::is_unique);
        let (mut refused, mut rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut update.values).into_iter().partition(is_named);
        if refused.is_empty() {
            (refused, rest) = rest.into_iter().partition(may_be_taken);
        }
        // If the CRM does not name the value, cleared values are tried one by one. Otherwise all of them would stay
        // empty.
        if refused.is_empty() && rest.len() > 1 && matches!(round, Round::SetCleared | Round::PutBack) {
            return Ok(rest.into_iter().map(|value| PendingUpdate { values: vec![value], ..update.clone() }).collect());
        }
        if refused.is_empty() {
            refused = std::mem::take(&mut rest);
        }
        // Only refusals that a property or a value caused itself count against it, not those about other values that
        // the record lacks.
        let named = !refusal.properties.is_empty();
        let alone = refused.len() == 1;
        for value in refused.iter().filter(|value| if named { is_named(value) } else { alone }) {
            application.refused(value, round.sends(value), refusal, alone, self.counts).await?;
        }
        let own = taken.then(|| format!("{TAKEN} The CRM says {}: {}", refusal.code, refusal.message));
        let reason = match &own {
            Some(message) => (reasons::UNIQUE_VALUE_TAKEN, message.as_str()),
            None => (refusal.code.as_str(), refusal.message.as_str()),
        };
        for value in refused {
            self.failed(update.id, value, reason, round);
        }
        Ok(if rest.is_empty() { Vec::new() } else { vec![PendingUpdate { values: rest, ..update }] })
    }

    /// Compares the sent values with those that the CRM now has, and reads again if its answer does not contain them.
    /// If the CRM refused single records of an accepted call, returns their other values to try again.
    async fn compare(
        &mut self,
        updates: Vec<PendingUpdate>,
        records: &[UpdatedRecord],
        refused: Vec<(RecordId, WriteRefusal)>,
        round: Round,
    ) -> Result<Vec<PendingUpdate>, StepError> {
        let returned: HashMap<RecordId, &UpdatedRecord> = records.iter().map(|record| (record.id, record)).collect();
        let refused: HashMap<RecordId, WriteRefusal> = refused.into_iter().collect();
        let (mut again, mut unconfirmed) = (Vec::new(), Vec::new());
        for mut update in updates {
            if let Some(refusal) = refused.get(&update.id) {
                again.extend(self.refuse(update, refusal, round).await?);
                continue;
            }
            let record = returned.get(&update.id).copied();
            let mut unseen = Vec::new();
            for value in std::mem::take(&mut update.values) {
                match record.and_then(|record| self.application.shown(record, value.property)) {
                    Some(now) => self.settle(update.id, value, now, round),
                    None => unseen.push(value),
                }
            }
            if !unseen.is_empty() {
                unconfirmed.push(PendingUpdate { values: unseen, ..update });
            }
        }
        if !unconfirmed.is_empty() {
            self.look_again(unconfirmed, round).await?;
        }
        Ok(again)
    }

    /// The CRM has accepted a value, and now has `now`.
    fn settle(&mut self, id: RecordId, value: Difference, now: &str, round: Round) {
        let Some(property) = self.application.property(value.property) else { return };
        let (sent, before) = (round.sends(&value), round.finds(&value));
        match (round, property.comparison.same(now, sent)) {
            (Round::Set | Round::SetCleared, true) => {
                self.application.accepted(value.property);
                let after = (now != sent).then(|| now.to_owned());
                self.fates.insert((id, value.property), Fate::Written { after });
            }
            (Round::Free | Round::Clear, true) => self.cleared.push(self.application.seen_now(id, value)),
            (Round::PutBack, true) => self.put_back(id, value.property),
            (Round::Set, false) if property.forward_only && property.comparison.same(now, before) => {
                self.next(id, value);
            }
            (Round::Free | Round::Set | Round::Clear, false) => {
                let changed = (!property.comparison.same(now, &value.before)).then(|| now.to_owned());
                self.failed_with(id, value.property, IGNORED, changed);
            }
            (Round::SetCleared | Round::PutBack, false) => self.failed(id, value, IGNORED, round),
        }
    }

    /// The value is unchanged.
    fn put_back(&mut self, id: RecordId, property: u16) {
        if let Some(Fate::Failed { now, .. }) = self.fates.get_mut(&(id, property)) {
            *now = None;
        }
    }

    fn next(&mut self, id: RecordId, value: Difference) {
        match self.next_round.last_mut() {
            Some(last) if last.id == id => last.values.push(value),
            _ => self.next_round.push(self.application.seen_now(id, value)),
        }
    }

    /// Gives up the values of dropped properties, and those that the CRM has refused for other records. Values that are
    /// already cleared are set again.
    fn without_hopeless(&mut self, updates: Vec<PendingUpdate>, round: Round) -> Vec<PendingUpdate> {
        if matches!(round, Round::SetCleared | Round::PutBack) {
            return updates;
        }
        let mut left = Vec::with_capacity(updates.len());
        for mut update in updates {
            for value in std::mem::take(&mut update.values) {
                if self.application.is_dropped(value.property) {
                    self.failed(update.id, value, (reasons::PROPERTY_DROPPED, DROPPED), round);
                } else if let Some((code, message)) = self.application.refused_before(&value) {
                    self.failed(update.id, value, (&code, &message), round);
                } else {
                    update.values.push(value);
                }
            }
            if !update.values.is_empty() {
                left.push(update);
            }
        }
        left
    }

    /// A value was not written in `round`. A value that was cleared before gets its earlier value back.
    fn failed(&mut self, id: RecordId, value: Difference, reason: (&str, &str), round: Round) {
        match round {
            Round::Free | Round::Set | Round::Clear => self.failed_with(id, value.property, reason, None),
            Round::SetCleared => {
                self.failed_with(id, value.property, reason, Some(String::new()));
                self.next(id, value);
            }
            // The reason why the target was not written is already recorded.
            Round::PutBack => {}
        }
    }

    fn failed_with(&mut self, id: RecordId, property: u16, (code, message): (&str, &str), now: Option<String>) {
        let fate = Fate::Failed { code: code.to_owned(), message: message.to_owned(), now };
        self.fates.insert((id, property), fate);
    }
}

impl Round {
    fn sends(self, value: &Difference) -> &str {
        match self {
            Self::Set | Self::SetCleared => &value.target,
            Self::Free | Self::Clear => "",
            Self::PutBack => &value.before,
        }
    }

    /// The record's value before the round.
    fn finds(self, value: &Difference) -> &str {
        match self {
            Self::Free | Self::Set | Self::Clear => &value.before,
            Self::SetCleared | Self::PutBack => "",
        }
    }
}

/// Why values of a dropped property are not written.
pub(super) const DROPPED: &str = "The CRM refused this property repeatedly, so the restore no longer writes it.";

const IGNORED: (&str, &str) = (reasons::WRITE_IGNORED, "The CRM accepted the write but stored another value.");

const TAKEN: &str = "Another record has this value, but only one record may have it. If this restore has given that \
                     record another value, plan again.";

/// Whether the CRM refuses a value because another record has it.
pub(super) fn is_about_uniqueness(code: &str) -> bool {
    ["CONFLICT", "UNIQUE", "DUPLICATE", "ALREADY_EXISTS"].iter().any(|word| code.contains(word))
}

impl Application<'_> {
    async fn put_clearings(&self, batch: u64, round: Round, updates: &[PendingUpdate]) -> Result<(), StepError> {
        let mut lines = Vec::new();
        for update in updates {
            for value in &update.values {
                stored_json::add_line(&Clearing { id: update.id, property: value.property }, &mut lines)?;
            }
        }
        let [first, second] = ROUNDS_OF_CLEARING;
        let round = if round == Round::Free { first } else { second };
        let restore = self.restore.reference();
        let key = storage_keys::clearings(&restore, self.slice.number, batch, self.lease, round);
        self.work.put_lines(&key, lines).await
    }

    /// Removes from `updates` the unique values that other records of the batch need.
    fn blocking(&self, updates: Vec<PendingUpdate>) -> (Vec<PendingUpdate>, Vec<PendingUpdate>) {
        let is_unique = |place: u16| self.property(place).is_some_and(RestoredProperty::is_unique);
        let values = updates.iter().flat_map(|update| update.values.iter().map(|value| (update.id, value)));
        let exchange = Exchange::of(values, is_unique);
        let (mut blocking, mut others) = (Vec::new(), Vec::new());
        for PendingUpdate { id, values, seen_at } in updates {
            let is_blocking = |value: &Difference| exchange.is_in_the_way(id, value);
            let (first, then): (Vec<_>, Vec<_>) = values.into_iter().partition(is_blocking);
            let some = |values: Vec<Difference>| (!values.is_empty()).then_some(PendingUpdate { id, values, seen_at });
            blocking.extend(some(first));
            others.extend(some(then));
        }
        (blocking, others)
    }

    pub(super) fn property(&self, place: u16) -> Option<&RestoredProperty> {
        self.definition.properties.get(usize::from(place))
    }

    /// A value that an answer has just contained.
    fn seen_now(&self, id: RecordId, value: Difference) -> PendingUpdate {
        PendingUpdate { id, values: vec![value], seen_at: self.work.now() }
    }

    /// An updated record's value of a property, if it was returned.
    fn shown<'r>(&self, record: &'r UpdatedRecord, place: u16) -> Option<&'r str> {
        let name = self.name(place);
        record.values.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn name(&self, place: u16) -> &str {
        self.property(place).map_or("", |property| property.name.as_str())
    }
}
