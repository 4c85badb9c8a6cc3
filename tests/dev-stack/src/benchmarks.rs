//! What `cargo dev bench` can measure. Named here, so that a wrong name fails before anything is built.

use clap::ValueEnum;

/// Figures that are taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Benchmark {
    /// Page JSON to CSV to DEFLATE, on one core
    Codec,
    /// Start times of the smallest and the largest function, and the sizes of all functions
    ColdStart,
    /// How much of the CRM's call limit a backup uses, at several limits and latencies
    Saturation,
    /// How fast a backup is where cursors are texts that only the CRM can read
    Opaque,
    /// What compressed answers of the CRM cost and save
    Compression,
    /// An archive of more than 1 GiB, assembled inside object storage
    Assembly,
    /// A million records with the call limit off
    Million,
    /// How much two accounts use of their limits when they are backed up at the same time
    TwoAccounts,
    /// Time and calls of a backup of eleven kinds of objects with a hundred records each
    Small,
    /// The memory of functions that read values of 64 kB
    Wide,
    /// Backups beside a script with HubSpot's own client, in turn (a quarter of an hour; needs pip)
    Peers,
    /// The part of these that is about processor time, without a limit (needs pip)
    Processor,
    /// Calls that a restore takes, and how much of the CRM's call limit it uses
    Restore,
    /// What backups, a restore and an idle deployment cost at list prices (half an hour)
    Cost,
}

impl Benchmark {
    /// The name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
