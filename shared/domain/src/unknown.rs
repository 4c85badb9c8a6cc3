//! Members of a stored record that the present code does not know, because a later version wrote them. They are kept
//! when the record is loaded and written back when it is replaced: during a deployment, functions of two versions work
//! on the same records.
//!
//! A member of an object is unknown, at every depth, if the loaded value does not write it itself. It is written back
//! to its place, under these rules:
//! - A member that the new value writes itself wins.
//! - If an object is gone, its unknown members are gone too: a lease that was given back, an entry that was removed
//!   from a map. An object that the present code omits because it looks empty stays if it has unknown members.
//! - Elements of a list that did not change keep their unknown members; they are matched from both ends of the list. An
//!   element that changed may be another one, so it keeps nothing.
//! - The present code must read the result exactly as it would read the new value alone. Members that break this are
//!   omitted.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Unknown members of a stored record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unknown(Option<Node>);

/// Unknown members of a value, or of values inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Object {
        /// Members that are unknown as a whole.
        members: Map<String, Value>,
        /// Known members that have unknown members inside.
        inside: BTreeMap<String, Node>,
    },
    List {
        /// The elements as the present code writes them.
        known: Vec<Value>,
        /// By place: elements that have unknown members inside.
        inside: BTreeMap<usize, Node>,
    },
}

impl Unknown {
    /// The unknown members of `stored`, from which `loaded` was read.
    pub fn of<T: Serialize>(stored: &Value, loaded: &T) -> Self {
        // A value that cannot be written as JSON fails when it is written.
        Self(serde_json::to_value(loaded).ok().and_then(|known| Node::of(stored, &known)))
    }

    /// `own`, the JSON of a new value, together with the unknown members.
    pub fn with<T: Serialize + DeserializeOwned>(&self, own: Value) -> Value {
        let Some(node) = &self.0 else { return own };
        let mut all = own.clone();
        let mut left_out = Vec::new();
        node.add_to(&mut all, &mut Vec::new(), &mut left_out);
        if !reads_as::<T>(&all, &own) {
            all = own.clone();
        }
        for (path, value) in left_out {
            let mut more = all.clone();
            if insert(&mut more, &path, value) && reads_as::<T>(&more, &own) {
                all = more;
            }
        }
        all
    }
}

/// Whether the present code reads `stored` as a value that it writes as `own`.
fn reads_as<T: Serialize + DeserializeOwned>(stored: &Value, own: &Value) -> bool {
    let read = T::deserialize(stored).ok().and_then(|read| serde_json::to_value(read).ok());
    read.as_ref() == Some(own)
}

impl Node {
    fn of(stored: &Value, known: &Value) -> Option<Self> {
        match (stored, known) {
            (Value::Object(stored), Value::Object(known)) => {
                let (mut members, mut inside) = (Map::new(), BTreeMap::new());
                for (name, value) in stored {
                    match known.get(name) {
                        None => drop(members.insert(name.clone(), value.clone())),
                        Some(known) => inside.extend(Self::of(value, known).map(|node| (name.clone(), node))),
                    }
                }
                (!members.is_empty() || !inside.is_empty()).then_some(Self::Object { members, inside })
            }
            (Value::Array(stored), Value::Array(known)) if stored.len() == known.len() => {
                let elements = stored.iter().zip(known).enumerate();
                let inside: BTreeMap<_, _> =
                    elements.filter_map(|(place, (stored, known))| Some((place, Self::of(stored, known)?))).collect();
                (!inside.is_empty()).then(|| Self::List { known: known.clone(), inside })
            }
            _ => None,
        }
    }

    /// Adds the unknown members to `value`, which is at `path`. Objects that `value` does not have are put into
    /// `left_out`.
    fn add_to(&self, value: &mut Value, path: &mut Vec<String>, left_out: &mut Vec<(Vec<String>, Value)>) {
        match (self, value) {
            (Self::Object { members, inside }, Value::Object(own)) => {
                members.iter().for_each(|(name, member)| merge(own, name, member));
                for (name, node) in inside {
                    path.push(name.clone());
                    match own.get_mut(name) {
                        Some(own) => node.add_to(own, path, left_out),
                        None => left_out.extend(node.alone().map(|value| (path.clone(), value))),
                    }
                    path.pop();
                }
            }
            (Self::List { known, inside }, Value::Array(own)) => {
                let same = known.iter().zip(&*own).take_while(|(known, own)| known == own).count();
                let rest = known.len().min(own.len()) - same;
                let same_at_end = known.iter().rev().zip(own.iter().rev()).take(rest);
                let same_at_end = same_at_end.take_while(|(known, own)| known == own).count();
                for (&place, node) in inside {
                    let from_end = known.len() - place;
                    let present = if place < same {
                        Some(place)
                    } else {
                        (from_end <= same_at_end).then(|| own.len() - from_end)
                    };
                    if let Some(element) = present.and_then(|place| own.get_mut(place)) {
                        // An element that did not change has all its objects.
                        node.add_to(element, &mut Vec::new(), &mut Vec::new());
                    }
                }
            }
            _ => {}
        }
    }

    /// An object of the unknown members alone. None for a list.
    fn alone(&self) -> Option<Value> {
        let Self::Object { members, inside } = self else { return None };
        let inside = inside.iter().filter_map(|(name, node)| Some((name.clone(), node.alone()?)));
        Some(Value::Object(members.clone().into_iter().chain(inside).collect()))
    }
}

/// Adds `member` to an object, unless it has a member of that name. If both are objects, adds the members that only
/// `member` has: the present code omitted the object as empty before, and writes it now.
fn merge(own: &mut Map<String, Value>, name: &str, member: &Value) {
    match (own.get_mut(name), member) {
        (None, member) => drop(own.insert(name.to_owned(), member.clone())),
        (Some(Value::Object(own)), Value::Object(members)) => {
            members.iter().for_each(|(name, member)| merge(own, name, member));
        }
        _ => {}
    }
}

/// Inserts `value` at `path`, if the object around it exists.
fn insert(into: &mut Value, path: &[String], value: Value) -> bool {
    let Some((last, before)) = path.split_last() else { return false };
    let parent = before.iter().try_fold(into, |object, name| object.get_mut(name));
    let Some(parent) = parent.and_then(Value::as_object_mut) else { return false };
    parent.insert(last.clone(), value);
    true
}

#[cfg(test)]
mod tests;
