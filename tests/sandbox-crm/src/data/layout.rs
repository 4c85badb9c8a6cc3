//! Where the ids and the creation times of generated records lie, as pure functions of the record's index.
//!
//! Ids of a real account ascend with time but are clumpy: old ones are small and 50 apart, later ones lie in clusters
//! with gaps of thousands of millions between them.

use super::clock::{GENERATED_UNTIL, OPENED};
use super::random::mix;
use crate::config::IdSpacing;

/// Records of one cluster: ids `first_id + k * stride + jitter` with `jitter < stride`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cluster {
    first_index: u64,
    records: u64,
    first_id: u64,
    stride: u64,
}

/// The ids and creation times of `records` generated records.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    seed: u64,
    records: u64,
    clusters: Vec<Cluster>,
}

/// Share of the records (per cent), stride and gap before the cluster, for clumpy ids.
const CLUMPS: [(u64, u64, u64); 7] = [
    (6, 50, 1),
    (14, 3, 1_200_000),
    (5, 25, 310_000_000),
    (28, 7, 5_100_000_000),
    (12, 40, 9_000_000_000),
    (25, 11, 41_000_000_000),
    (10, 17, 120_000_000_000),
];

impl Layout {
    /// The layout of `records` records.
    pub(crate) fn new(seed: u64, records: u64, spacing: IdSpacing) -> Self {
        let clusters = match spacing {
            IdSpacing::Dense => vec![Cluster { first_index: 0, records, first_id: 1, stride: 1 }],
            IdSpacing::Clumpy => clumps(seed, records),
        };
        Self { seed, records, clusters }
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> u64 {
        self.records
    }

    /// The id of record `index`.
    pub(crate) fn id_at(&self, index: u64) -> u64 {
        let found = self.clusters.partition_point(|cluster| cluster.first_index <= index);
        let cluster = &self.clusters[found.saturating_sub(1)];
        let place = index - cluster.first_index;
        cluster.first_id + place * cluster.stride + mix(self.seed, index) % cluster.stride
    }

    /// The index of the first record whose id is greater than `id`; the number of records if there is no such record.
    pub(crate) fn first_after(&self, id: u64) -> u64 {
        let found = self.clusters.partition_point(|cluster| cluster.first_id <= id);
        let Some(cluster) = found.checked_sub(1).map(|at| &self.clusters[at]) else { return 0 };
        let place = (id - cluster.first_id) / cluster.stride;
        if place >= cluster.records {
            return cluster.first_index + cluster.records;
        }
        let index = cluster.first_index + place;
        if self.id_at(index) > id { index } else { index + 1 }
    }

    /// When record `index` was created, in milliseconds since 1970; ascends with the index.
    pub(crate) fn created_at(&self, index: u64) -> i64 {
        let step = self.step();
        let jitter = i64::try_from(mix(self.seed ^ 0xC0FF_EE00, index) % step.unsigned_abs()).unwrap_or(0);
        OPENED + step * i64::try_from(index).unwrap_or(i64::MAX / step) + jitter
    }

    /// When record `index` was changed last.
    pub(crate) fn updated_at(&self, index: u64) -> i64 {
        let created = self.created_at(index);
        let random = mix(self.seed ^ 0x0DD0_BEEF, index);
        let left = (GENERATED_UNTIL - created).max(1);
        // Most records are not touched for long after they were made.
        let reach = if random.is_multiple_of(4) { left } else { left.min(90 * 86_400_000) };
        created + i64::try_from((random >> 8) % reach.unsigned_abs()).unwrap_or(0)
    }

    /// The index of the first record created at or after `millis`.
    pub(crate) fn first_created_since(&self, millis: i64) -> u64 {
        let (mut low, mut high) = (0, self.records);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.created_at(middle) < millis { low = middle + 1 } else { high = middle }
        }
        low
    }

    fn step(&self) -> i64 {
        let records = i64::try_from(self.records.max(1)).unwrap_or(i64::MAX);
        ((GENERATED_UNTIL - OPENED) / records).max(1)
    }
}

fn clumps(seed: u64, records: u64) -> Vec<Cluster> {
    let wanted = usize::try_from(1 + records / 3).unwrap_or(CLUMPS.len()).min(CLUMPS.len());
    let total_share: u64 = CLUMPS[..wanted].iter().map(|clump| clump.0).sum();
    let mut clusters = Vec::with_capacity(wanted);
    let (mut first_index, mut next_id) = (0, 0);
    for (at, (share, stride, gap)) in CLUMPS[..wanted].iter().copied().enumerate() {
        let left = records - first_index;
        let records = if at + 1 == wanted { left } else { (records * share / total_share).min(left) };
        let first_id = next_id + gap + mix(seed, at as u64) % gap.div_ceil(3);
        clusters.push(Cluster { first_index, records, first_id, stride });
        first_index += records;
        next_id = first_id + records * stride;
    }
    // A cluster without records would answer for indexes that belong to the next one.
    clusters.retain(|cluster| cluster.records > 0 || records == 0);
    clusters
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spacing() -> impl Strategy<Value = IdSpacing> {
        prop_oneof![Just(IdSpacing::Dense), Just(IdSpacing::Clumpy)]
    }

    proptest! {
        #[test]
        fn ids_and_times_ascend_and_every_id_is_found_again(
            seed: u64,
            records in 1_u64..3_000,
            spacing in spacing(),
        ) {
            let layout = Layout::new(seed, records, spacing);
            for index in 0..records {
                let id = layout.id_at(index);
                prop_assert!(id > 0);
                prop_assert_eq!(layout.first_after(id - 1), index);
                prop_assert_eq!(layout.first_after(id), index + 1);
                if index > 0 {
                    prop_assert!(layout.id_at(index - 1) < id);
                    prop_assert!(layout.created_at(index - 1) <= layout.created_at(index));
                }
                prop_assert!(layout.created_at(index) <= layout.updated_at(index));
                prop_assert!(layout.updated_at(index) <= GENERATED_UNTIL);
            }
        }

        #[test]
        fn a_start_anywhere_is_honoured(seed: u64, records in 0_u64..50_000_000, id: u64) {
            let layout = Layout::new(seed, records, IdSpacing::Clumpy);
            let id = id % 400_000_000_000;
            let index = layout.first_after(id);
            prop_assert!(index <= records);
            prop_assert!(index == records || layout.id_at(index) > id);
            prop_assert!(index == 0 || layout.id_at(index - 1) <= id);
        }
    }

    #[test]
    fn clumpy_ids_have_gaps_larger_than_all_clusters_together() {
        let layout = Layout::new(7, 10_000, IdSpacing::Clumpy);
        let ids: Vec<u64> = (0..10_000).map(|index| layout.id_at(index)).collect();
        assert!(ids.windows(2).filter(|pair| pair[1] - pair[0] > 1_000_000).count() >= 5);
        assert!(ids.windows(2).filter(|pair| pair[1] - pair[0] < 100).count() > 9_000);
    }
}
