//! The plans of an account that are being made now.

use domain::account::Account;
use domain::ids::{AccountId, RestoreId};
use domain::ports::ledger::{self, Change, Ledger, LedgerError, ListRequest, Versioned};
use domain::restore::open_plans::{MOST_OPEN_PLANS, OpenPlans, may_be_open};
use domain::restore::{Restore, RestoreState};
use domain::work::RestoreRef;
use jiff::Timestamp;

use crate::listing;

/// Restores per read, for an account without the record. The names of their properties can make restores large.
const PER_READ: u32 = 25;

/// A restore whose plan is being made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenPlan {
    pub(super) restore_id: RestoreId,
    /// None if the present code cannot read the restore. It takes a place until it is too old to be planned.
    pub(super) state: Option<RestoreState>,
}

/// The open plans of an account as they were loaded, in order of their requests.
pub(super) struct LoadedPlans {
    account: AccountId,
    record: Option<Versioned<OpenPlans>>,
    /// All of them, or the first [`MOST_OPEN_PLANS`].
    pub(super) open: Vec<OpenPlan>,
}

impl LoadedPlans {
    /// The change that adds the plan of `new`.
    ///
    /// # Errors
    /// The open plans, if no further plan may be made now.
    pub(super) fn add(&self, new: &RestoreId) -> Result<Change, Vec<RestoreId>> {
        let open = self.open.iter().map(|plan| plan.restore_id.clone()).collect();
        let next = OpenPlans::with(self.account.clone(), open, new)?;
        Ok(self.record.as_ref().map_or_else(|| Change::create(&next), |loaded| Change::replace(loaded, &next)))
    }
}

/// Loads the open plans of an account. If a version without the record has accepted all its restores, they are listed.
///
/// # Errors
/// [`LedgerError`].
pub(super) async fn load(ledger: &dyn Ledger, account: &AccountId, now: Timestamp) -> Result<LoadedPlans, LedgerError> {
    let record = ledger::load::<OpenPlans>(ledger, &OpenPlans::key_of(account)).await?;
    let open = match &record {
        Some(loaded) => named(ledger, &loaded.record, now).await?,
        None => listed(ledger, account, now).await?,
    };
    Ok(LoadedPlans { account: account.clone(), record, open })
}

async fn named(ledger: &dyn Ledger, plans: &OpenPlans, now: Timestamp) -> Result<Vec<OpenPlan>, LedgerError> {
    let mut open = Vec::new();
    for restore_id in plans.candidates(now) {
        let restore = RestoreRef { account_id: plans.account_id.clone(), restore_id: restore_id.clone() };
        let loaded = ledger::load::<Restore>(ledger, &Restore::key_of(&restore)).await;
        open.extend(open_plan(restore_id, loaded.map(|loaded| loaded.map(|loaded| loaded.record.state)))?);
        if open.len() >= MOST_OPEN_PLANS {
            break;
        }
    }
    Ok(open)
}

async fn listed(ledger: &dyn Ledger, account: &AccountId, now: Timestamp) -> Result<Vec<OpenPlan>, LedgerError> {
    let (mut open, mut after) = (Vec::new(), None);
    loop {
        let request = ListRequest {
            partition: Account::partition(account),
            prefix: Restore::PREFIX.to_owned(),
            after: after.take(),
            newest_first: true,
            limit: PER_READ,
        };
        let page = ledger.list(&request).await?;
        after = page.records.last().map(|stored| stored.key.sort.clone());
        let mut too_old = false;
        for stored in page.records {
            let id = stored.key.sort.strip_prefix(Restore::PREFIX).and_then(|id| RestoreId::parse(id).ok());
            let Some(restore_id) = id else { continue };
            too_old |= !may_be_open(&restore_id, now);
            let state = ledger::read::<Restore>(stored).map(|loaded| Some(loaded.record.state));
            open.extend(open_plan(&restore_id, state)?.filter(|_| !too_old));
        }
        if too_old || !page.more || after.is_none() {
            // The oldest ones come first, as in the record.
            open.reverse();
            open.truncate(MOST_OPEN_PLANS);
            return Ok(open);
        }
    }
}

fn open_plan(
    restore_id: &RestoreId,
    state: Result<Option<RestoreState>, LedgerError>,
) -> Result<Option<OpenPlan>, LedgerError> {
    let state = match state {
        Ok(None) => return Ok(None),
        Ok(state) => state,
        Err(error @ LedgerError::Unreadable(..)) => {
            listing::unreadable(&error);
            None
        }
        Err(error) => return Err(error),
    };
    let is_open = state.is_none_or(RestoreState::is_being_planned);
    Ok(is_open.then(|| OpenPlan { restore_id: restore_id.clone(), state }))
}
