//! How a client sends calls: through the gate, never waiting longer for an answer than the real one does, and again
//! where none has come.

use std::sync::{Arc, Mutex};

use domain::budget::CallKind;
use domain::ids::ObjectType;
use domain::lease::WRITE_MARGIN;
use domain::ports::call_gate::{CallGate, RefusedPolicy};
use domain::ports::clock::Clock;
use domain::ports::crm::{CrmError, CrmErrorKind};
use domain::ports::crm_batch::{BatchUpdate, RecordUpdate};
use in_memory::lock;
use jiff::{SignedDuration, Timestamp};

use super::{SimulatedCrm, State, Trouble, Writer, trouble};

/// The pause after the limit per day is used up, as the CRM names none.
const DAILY_PAUSE: SignedDuration = SignedDuration::from_mins(15);

/// No answer is waited for longer than this.
const ANSWER: SignedDuration = SignedDuration::from_secs(20);

/// A write that is to wait longer for its rate is given up.
const LONGEST_PAUSE_OF_A_WRITE: SignedDuration = SignedDuration::from_secs(5);

/// A call is sent this often when no answer comes.
const SENDINGS: u32 = 5;

pub(super) struct Client {
    pub(super) crm: SimulatedCrm,
    pub(super) gate: Arc<dyn CallGate>,
    /// The base URL and the token.
    pub(super) sends_to: (String, String),
    /// No answer is waited for beyond this.
    pub(super) deadline: Timestamp,
    pub(super) writer: Arc<Mutex<Writer>>,
}

/// One sending of a call that no limit is in the way of.
struct Sending {
    at: Timestamp,
    gives_up_at: Timestamp,
    fate: Fate,
}

/// What becomes of a sending.
#[derive(Clone, Copy)]
enum Fate {
    /// It arrives, and its answer does too.
    Answered,
    /// It arrives, and its answer is lost.
    Unheard,
    /// The call arrives this time after it was sent, and its answer comes too late.
    Late(SignedDuration),
    /// It never arrives: the client was frozen for too long.
    Lost,
}

impl Client {
    fn now(&self) -> Timestamp {
        self.crm.clock.now()
    }

    /// Sends a call that reads, for as long as no answer comes and the gate admits it.
    pub(super) async fn call<T>(
        &self,
        name: &'static str,
        kind: CallKind,
        mut answer: impl FnMut(&mut State, Timestamp) -> Result<T, CrmError> + Send,
    ) -> Result<T, CrmError> {
        for _ in 0..SENDINGS {
            let sending = self.send(name, kind).await?;
            match sending.fate {
                Fate::Answered => return answer(&mut lock(&self.crm.state), self.now()),
                Fate::Unheard => drop(answer(&mut lock(&self.crm.state), self.now())),
                Fate::Late(_) => self.crm.clock.pass_until(sending.gives_up_at).await,
                Fate::Lost => {}
            }
        }
        Err(trouble::unavailable())
    }

    /// Sends updates. An answer is only given when no sending before it can land any more.
    pub(super) async fn write(&self, object: &ObjectType, updates: &[RecordUpdate]) -> Result<BatchUpdate, CrmError> {
        let mut unanswered = None;
        for _ in 0..SENDINGS {
            let sent = self.send("update_batch", CallKind::Ordinary).await;
            let sending = sent.map_err(|error| {
                let is_silence = matches!(error.kind, CrmErrorKind::Unavailable { .. } | CrmErrorKind::Malformed);
                error.or_landed(is_silence || unanswered.is_some())
            })?;
            match sending.fate {
                Fate::Answered => {
                    let answer = self.land(object, updates).await;
                    if let Some(since) = unanswered {
                        self.until_landed(since).await?;
                    }
                    return answer;
                }
                Fate::Unheard => drop(self.land(object, updates).await),
                Fate::Late(after) => {
                    self.land_at(sending.at + after, object, updates);
                    self.crm.clock.pass_until(sending.gives_up_at).await;
                }
                Fate::Lost => {}
            }
            unanswered = Some(sending.at);
        }
        Err(trouble::unavailable().or_landed(true))
    }

    /// Sends a call again for as long as only a limit is in its way and the gate admits it.
    async fn send(&self, name: &'static str, kind: CallKind) -> Result<Sending, CrmError> {
        loop {
            self.gate.admit(kind).await?;
            let at = self.now();
            let gives_up_at = self.deadline.min(at + ANSWER);
            self.crm.clock.pass(self.crm.latency).await;
            let now = self.now();
            // Its time-out comes first to a client that was frozen.
            if now > gives_up_at {
                return Ok(Sending { at, gives_up_at, fate: Fate::Lost });
            }
            let present = lock(&self.crm.state).called(name, &self.sends_to, now);
            let fate = match present {
                None => Fate::Answered,
                Some(Trouble::AnswerLost) => Fate::Unheard,
                Some(Trouble::Late(after)) => Fate::Late(after),
                Some(Trouble::RateLimit(pause)) => {
                    self.gate.refused(RefusedPolicy::Rate, pause).await;
                    if name == "update_batch" && pause > LONGEST_PAUSE_OF_A_WRITE {
                        return Err(trouble::no_budget(self.now() + pause));
                    }
                    continue;
                }
                Some(Trouble::DailyLimit) => {
                    self.gate.refused(RefusedPolicy::Daily, DAILY_PAUSE).await;
                    continue;
                }
                Some(Trouble::Unavailable) => return Err(trouble::unavailable()),
                Some(Trouble::Malformed) => return Err(trouble::malformed()),
                Some(Trouble::TokenRefused) => return Err(trouble::token_refused()),
                Some(Trouble::ScopeMissing) => return Err(trouble::scopes_missing(&["a.scope".to_owned()])),
                Some(Trouble::Forbidden) => return Err(trouble::forbidden()),
                Some(Trouble::NotFound) => return Err(trouble::nothing_there()),
            };
            return Ok(Sending { at, gives_up_at, fate });
        }
    }

    /// The updates arrive, are held against the restore lock, and are made.
    async fn land(&self, object: &ObjectType, updates: &[RecordUpdate]) -> Result<BatchUpdate, CrmError> {
        let blind_for = lock(&self.writer).writes(updates, self.now());
        let longest = lock(&self.crm.state).longest_blind.max(blind_for);
        lock(&self.crm.state).longest_blind = longest;
        let answer = self.crm.land(&self.writer, object, updates).await;
        self.crm.assert_writes_were_allowed();
        answer
    }

    /// The same at a moment to come, even if the client is gone by then.
    fn land_at(&self, moment: Timestamp, object: &ObjectType, updates: &[RecordUpdate]) {
        let (crm, writer) = (self.crm.clone(), self.writer.clone());
        let (object, updates) = (object.clone(), updates.to_vec());
        lock(&crm.state).landings.push(moment);
        tokio::spawn(async move {
            crm.clock.pass_until(moment).await;
            // The answer reaches no client.
            drop(crm.land(&writer, &object, &updates).await);
            let landings = &mut lock(&crm.state).landings;
            let place = landings.iter().position(|landing| *landing == moment);
            place.map(|place| landings.swap_remove(place));
        });
    }

    async fn until_landed(&self, sent_at: Timestamp) -> Result<(), CrmError> {
        let landed_at = sent_at + WRITE_MARGIN;
        if landed_at > self.deadline {
            return Err(trouble::unavailable().or_landed(true));
        }
        self.crm.clock.pass_until(landed_at).await;
        Ok(())
    }
}

impl SimulatedCrm {
    async fn land(
        &self,
        writer: &Mutex<Writer>,
        object: &ObjectType,
        updates: &[RecordUpdate],
    ) -> Result<BatchUpdate, CrmError> {
        if let Some(oracle) = self.oracle.get()
            && let Err(wrong) = oracle.judge(writer, updates, self.clock.now()).await
        {
            lock(&self.state).wrongs.push(wrong);
        }
        lock(&self.state).object(object)?.update_batch(updates)
    }
}

#[cfg(test)]
mod tests;
