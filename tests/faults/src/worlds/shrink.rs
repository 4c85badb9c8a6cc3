//! Makes a plan smaller for as long as it fails: leaves out what can be left out and lowers numbers, on the plan as it
//! is written down, so that nothing has to be said about single parts of it.

use serde_json::Value;

use super::plan::WorldPlan;

/// Tries smaller plans, at most `most` of them, and returns the smallest that still fails.
///
/// # Panics
/// Never: a plan is JSON.
pub fn shrink(plan: &WorldPlan, most: usize, mut fails: impl FnMut(&WorldPlan) -> bool) -> WorldPlan {
    let mut best = serde_json::to_value(plan).expect("a plan is JSON");
    let mut tried = 0;
    loop {
        let mut is_smaller = false;
        let mut place = 0;
        // Each place stays where it is for as long as what is there can be made smaller.
        while let Some(path) = paths(&best).get(place).cloned() {
            let mut changed = false;
            for candidate in smaller(&best, &path) {
                if tried >= most {
                    return parse(&best).expect("it was tried");
                }
                let Some(smaller) = parse(&candidate).filter(|smaller| parse(&best).as_ref() != Some(smaller)) else {
                    continue;
                };
                tried += 1;
                if fails(&smaller) {
                    (best, changed, is_smaller) = (candidate, true, true);
                    break;
                }
            }
            place += usize::from(!changed);
        }
        if !is_smaller {
            return parse(&best).expect("it was tried");
        }
    }
}

fn parse(value: &Value) -> Option<WorldPlan> {
    serde_json::from_value(value.clone()).ok()
}

/// A way to a value inside of another one.
type Path = Vec<Part>;

#[derive(Clone)]
enum Part {
    Key(String),
    Place(usize),
}

/// The ways to all values, the outer ones first.
fn paths(value: &Value) -> Vec<Path> {
    let mut found = vec![Path::new()];
    let inner: Vec<(Part, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(key, value)| (Part::Key(key.clone()), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(place, value)| (Part::Place(place), value)).collect(),
        _ => Vec::new(),
    };
    for (part, value) in inner {
        let below = paths(value).into_iter().map(|path| std::iter::once(part.clone()).chain(path).collect());
        found.extend(below.collect::<Vec<Path>>());
    }
    found
}

fn at<'a>(value: &'a mut Value, path: &[Part]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, part| match part {
        Part::Key(key) => value.get_mut(key),
        Part::Place(place) => value.get_mut(place),
    })
}

/// `whole` with the value at `path` made smaller in one way or another.
fn smaller(whole: &Value, path: &[Part]) -> Vec<Value> {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut copy = whole.clone();
        at(&mut copy, path).map(change);
        copy
    };
    let mut copy = whole.clone();
    match at(&mut copy, path) {
        Some(Value::Array(items)) => {
            let length = items.len();
            let halves = (length > 3).then_some([0..length / 2, length / 2..length]).into_iter().flatten();
            let singles = (0..length).rev().map(|place| place..place + 1);
            halves
                .chain(singles)
                .map(|range| with(&|value| drop(value.as_array_mut().map(|items| items.drain(range.clone())))))
                .collect()
        }
        Some(Value::Object(members)) => {
            let keys: Vec<String> = members.keys().cloned().collect();
            keys.iter()
                .map(|key| with(&|value| drop(value.as_object_mut().map(|members| members.remove(key)))))
                .collect()
        }
        Some(Value::Number(number)) => {
            let number = number.as_i64().unwrap_or(0);
            let lower = [0, number / 2, number * 9 / 10, number - number.signum()];
            let lower = lower.into_iter().filter(|lower| *lower != number);
            lower.map(|lower| with(&|value| *value = Value::from(lower))).collect()
        }
        _ => Vec::new(),
    }
}
