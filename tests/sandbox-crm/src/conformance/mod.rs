//! Whether calls and answers keep to what is known of HubSpot's API: paths, query parameters, members, limits.
//!
//! This is a second description in words of its own. It knows nothing of how the sandbox answers, so it finds the
//! faults of both sides.

mod answer;
mod endpoints;
mod request;

use endpoints::known;

/// A call, and what was answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    pub method: String,
    /// Without scheme, host and query, percent signs as they were sent.
    pub path: String,
    /// The query as it was sent, without the question mark.
    pub query: String,
    /// The request's media type.
    pub content_type: Option<String>,
    pub body: Vec<u8>,
    /// The answer; None if it was damaged on purpose and proves nothing about the API.
    pub answer: Option<Answered>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
    pub content_type: String,
    pub body: Vec<u8>,
}

/// What is wrong with calls and answers: one sentence each, which begins with the call. Values of properties are not in
/// it.
pub fn violations(exchanges: &[Exchange]) -> Vec<String> {
    exchanges.iter().flat_map(of_one).collect()
}

fn of_one(exchange: &Exchange) -> Vec<String> {
    let Some(known) = known(&exchange.method, &exchange.path) else {
        return vec![format!("{} {}: HubSpot has no such endpoint", exchange.method, exchange.path)];
    };
    let mut found = Findings { call: format!("{} {}", exchange.method, known.shape), sentences: Vec::new() };
    request::check(exchange, &known, &mut found);
    if let Some(answered) = &exchange.answer {
        answer::check(exchange, answered, &known, &mut found);
    }
    found.sentences
}

/// The sentences about one call.
struct Findings {
    call: String,
    sentences: Vec<String>,
}

impl Findings {
    fn add(&mut self, what: impl AsRef<str>) {
        self.sentences.push(format!("{}: {}", self.call, what.as_ref()));
    }

    fn unless(&mut self, is_right: bool, what: impl AsRef<str>) {
        if !is_right {
            self.add(what);
        }
    }
}

#[cfg(test)]
mod tests;
