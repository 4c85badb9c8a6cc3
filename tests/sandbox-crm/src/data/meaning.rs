//! The meanings of properties.

/// What a property means, and so which values it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    FirstName,
    LastName,
    FullName,
    Email,
    EmailDomain,
    Phone,
    City,
    Country,
    Street,
    Zip,
    Company,
    Domain,
    Url,
    JobTitle,
    DealName,
    ProductName,
    TicketSubject,
    TaskSubject,
    /// A few words, sometimes awkward ones.
    Text,
    /// Paragraphs, sometimes very long ones.
    Note,
    /// A plain word, never awkward.
    Colour,
    /// A whole number from the first to the second bound.
    Whole(i64, i64),
    /// A number with up to two decimals from the first to the second bound.
    Decimal(i64, i64),
    Day,
    Time,
    /// Milliseconds since 1970, as some old properties hold them.
    EpochMillis,
    Flag,
    No,
    /// One of the property's options.
    Choice,
    /// Some of the property's options, joined by semicolons.
    Choices,
    Owner,
    /// The id of some other record.
    OtherRecord,
    Uuid,
    Iban,
    NationalId,
}
