//! Unique values: which records of a plan exchange them, and in which order these are written.

use std::collections::{HashMap, HashSet};

use super::difference::Difference;
use super::plan::PlannedRecord;
use crate::ids::RecordId;
use crate::ports::crm_batch::BATCH;

/// A value as the CRM compares it: without case and without spaces around it.
fn key(value: &str) -> String {
    value.trim().to_lowercase()
}

/// The order in which records are written. Records that exchange unique values follow each other, and are in one batch
/// if they fit into one. All others keep their order.
pub fn arranged(records: &[PlannedRecord], is_unique: impl Fn(u16) -> bool) -> Vec<usize> {
    let linked = linked(records, is_unique);
    if linked.is_empty() {
        return (0..records.len()).collect();
    }
    let grouped: HashSet<usize> = linked.iter().flatten().copied().collect();
    let mut alone = (0..records.len()).filter(|place| !grouped.contains(place));
    let mut order = Vec::with_capacity(records.len());
    let mut written = 0;
    for group in &linked {
        let room = BATCH - written % BATCH;
        let mut to_fill = if (room + 1..=BATCH).contains(&group.len()) { room } else { 0 };
        while to_fill > 0 {
            let Some(place) = alone.next() else { break };
            order.push(place);
            let counts = usize::from(!records[place].differences.is_empty());
            written += counts;
            to_fill -= counts;
        }
        order.extend(group);
        written += group.len();
    }
    order.extend(alone);
    order
}

/// Groups of records in which one record gets a unique value that another one loses.
fn linked(records: &[PlannedRecord], is_unique: impl Fn(u16) -> bool) -> Vec<Vec<usize>> {
    let unique = |record: &PlannedRecord| -> Vec<Difference> {
        record.differences.iter().filter(|difference| is_unique(difference.property)).cloned().collect()
    };
    let mut holders: HashMap<(u16, String), usize> = HashMap::new();
    for (place, record) in records.iter().enumerate() {
        for value in unique(record).into_iter().filter(|value| !value.before.is_empty()) {
            holders.insert((value.property, key(&value.before)), place);
        }
    }
    let mut leader: Vec<usize> = (0..records.len()).collect();
    for (place, record) in records.iter().enumerate() {
        for value in unique(record).into_iter().filter(|value| !value.target.is_empty()) {
            if let Some(&holder) = holders.get(&(value.property, key(&value.target))) {
                let (a, b) = (lead(&leader, place), lead(&leader, holder));
                leader[a.max(b)] = a.min(b);
            }
        }
    }
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    for place in 0..records.len() {
        groups.entry(lead(&leader, place)).or_default().push(place);
    }
    let mut linked: Vec<Vec<usize>> = groups.into_values().filter(|group| group.len() > 1).collect();
    linked.sort_unstable();
    linked
}

fn lead(leader: &[usize], mut place: usize) -> usize {
    while leader[place] != place {
        place = leader[place];
    }
    place
}

/// The unique values that records of a batch get. A record that has such a value is cleared before the batch is
/// written.
pub struct Exchange {
    wanted: HashMap<(u16, String), RecordId>,
}

impl Exchange {
    /// Collects the unique values that a batch writes.
    pub fn of<'a>(
        values: impl IntoIterator<Item = (RecordId, &'a Difference)>,
        is_unique: impl Fn(u16) -> bool,
    ) -> Self {
        let unique = values.into_iter().filter(|(_, value)| is_unique(value.property) && !value.target.is_empty());
        Self { wanted: unique.map(|(id, value)| ((value.property, key(&value.target)), id)).collect() }
    }

    /// Whether the present value of record `id` is one that another record gets.
    pub fn is_in_the_way(&self, id: RecordId, value: &Difference) -> bool {
        let wanted = self.wanted.get(&(value.property, key(&value.before)));
        !value.before.is_empty() && wanted.is_some_and(|by| *by != id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::plan::Gone;

    fn record(id: u64, before: &str, target: &str) -> PlannedRecord {
        let difference = Difference { property: 0, before: before.into(), target: target.into() };
        PlannedRecord { gone: None, differences: vec![difference], ..PlannedRecord::gone(RecordId(id), Gone::Deleted) }
    }

    /// D11: two records that exchange addresses, at both ends of 250 records.
    #[test]
    fn records_that_exchange_unique_values_are_written_in_one_batch() {
        let mut records: Vec<_> = (0..250).map(|id| record(id, &format!("a{id}"), &format!("b{id}"))).collect();
        records[0] = record(0, "left@x.org", "right@x.org");
        records[249] = record(249, "Right@x.org", "left@x.org ");
        for (chain, place) in (100..).zip(&mut records[100..110]) {
            *place = record(chain, &format!("c{chain}"), &format!("c{}", chain + 1));
        }
        let order = arranged(&records, |_| true);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..250).collect::<Vec<_>>(), "every record once");
        let batch = |wanted: usize| order.iter().position(|place| *place == wanted).expect("in it") / BATCH;
        assert_eq!(batch(0), batch(249));
        assert!((100..110).all(|place| batch(place) == batch(100)));
        assert_eq!(arranged(&records, |_| false), (0..250).collect::<Vec<_>>());
    }

    #[test]
    fn a_group_that_fits_into_a_batch_is_not_divided() {
        let swap = |id: u64| {
            [record(id, &format!("x{id}"), &format!("y{id}")), record(id + 1, &format!("y{id}"), &format!("x{id}"))]
        };
        let mut records: Vec<_> = (0..33).map(|n| record(n, &format!("c{n}"), &format!("c{}", n + 1))).collect();
        records.extend((0..40).flat_map(|n| swap(1_000 + n * 2)));
        records.extend((0..300).map(|n| record(5_000 + n, &format!("o{n}"), &format!("n{n}"))));
        let order = arranged(&records, |_| true);
        for pair in (33..113).step_by(2) {
            let batch = |wanted: usize| order.iter().position(|place| *place == wanted).expect("in it") / BATCH;
            assert_eq!(batch(pair), batch(pair + 1), "pair {pair}");
        }
    }

    #[test]
    fn a_value_that_another_record_gets_is_in_the_way() {
        let records = [record(1, "a", "B "), record(2, "b", "c"), record(3, "x", "x2")];
        let values = records.iter().map(|record| (record.id, &record.differences[0]));
        let exchange = Exchange::of(values, |_| true);
        let blocked = records.iter().map(|record| exchange.is_in_the_way(record.id, &record.differences[0]));
        assert_eq!(blocked.collect::<Vec<_>>(), [false, true, false]);
    }
}
