//! Values of generated records: what a property of a certain meaning holds in a certain record.

use std::fmt::Write;

use super::clock::{GENERATED_UNTIL, OPENED, write_date, write_time};
use super::random::{Random, mix};
use super::text;
use super::vocabulary as words;
use crate::property::Property;

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
    /// Always false.
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
    IpAddress,
}

/// Which record a value is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    /// The object's own seed.
    pub(crate) seed: u64,
    /// The record's index.
    pub(crate) index: u64,
}

impl Subject {
    /// Numbers that belong to one aspect of this record, the same whichever property asks.
    fn aspect(self, aspect: u64) -> Random {
        Random::new(mix(mix(self.seed, self.index), aspect))
    }
}

const NAME: u64 = 0xA11CE;
const COMPANY: u64 = 0xC0_4BA7;

/// Appends the value of `property` in the record `subject`.
pub(crate) fn write_value(meaning: Meaning, property: &Property, subject: Subject, out: &mut String) {
    let random = &mut subject.aspect(property.salt);
    match meaning {
        Meaning::FirstName => out.push_str(first_name(subject)),
        Meaning::LastName => out.push_str(last_name(subject)),
        Meaning::FullName => {
            let _ = write!(out, "{} {}", first_name(subject), last_name(subject));
        }
        Meaning::Email => write_email(subject, out),
        Meaning::EmailDomain | Meaning::Domain => write_domain(subject, out),
        Meaning::Phone => write_phone(random, out),
        Meaning::City => out.push_str(random.pick(words::CITIES)),
        Meaning::Country => out.push_str(random.pick(words::COUNTRIES)),
        Meaning::Street => {
            let _ = write!(out, "{} {}", random.pick(words::STREETS), 1 + random.below(240));
        }
        Meaning::Zip => {
            let _ = write!(out, "{:05}", random.below(100_000));
        }
        Meaning::Company => write_company(subject, out),
        Meaning::Url => {
            out.push_str("https://www.");
            write_domain(subject, out);
            let _ = write!(out, "/{}?utm_source=mail&id={}", random.pick(words::COLOURS), random.below(9_999));
        }
        Meaning::JobTitle => out.push_str(random.pick(words::JOB_TITLES)),
        Meaning::DealName => {
            write_company(subject, out);
            let _ = write!(out, " - {}", random.pick(words::DEAL_NOUNS));
        }
        Meaning::ProductName => {
            let (noun, colour) = (random.pick(words::PRODUCT_NOUNS), random.pick(words::COLOURS));
            let _ = write!(out, "{noun}, {colour}");
        }
        Meaning::TicketSubject => out.push_str(random.pick(words::TICKET_SUBJECTS)),
        Meaning::TaskSubject => out.push_str(random.pick(words::TASK_SUBJECTS)),
        Meaning::Text => text::write_short(random, out),
        Meaning::Note => text::write_note(random, out),
        Meaning::Colour => out.push_str(random.pick(words::COLOURS)),
        Meaning::Choice => write_choice(random, property, out),
        Meaning::Choices => write_choices(random, property, out),
        Meaning::No => out.push_str("false"),
        Meaning::Flag => out.push_str(if random.chance(400) { "true" } else { "false" }),
        _ => write_figure(meaning, random, out),
    }
}

/// Appends a number, a time or an identifier.
fn write_figure(meaning: Meaning, random: &mut Random, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match meaning {
        Meaning::Whole(low, high) => write!(out, "{}", between(random, low, high)),
        Meaning::Decimal(low, high) => {
            let cents = between(random, low * 100, high * 100);
            let sign = if cents < 0 { "-" } else { "" };
            match cents.unsigned_abs() {
                whole if whole.is_multiple_of(100) => write!(out, "{sign}{}", whole / 100),
                broken => write!(out, "{sign}{}.{:02}", broken / 100, broken % 100),
            }
        }
        Meaning::EpochMillis => write!(out, "{}", between(random, OPENED, GENERATED_UNTIL)),
        Meaning::Owner => write!(out, "{}", 40_000_000 + random.below(25) * 7_919),
        Meaning::OtherRecord => write!(out, "{}", 51 + random.below(9_000_000_000)),
        Meaning::Uuid => {
            let (high, low) = (random.next(), random.next());
            let (a, b, c) = (high >> 32, (high >> 16) & 0xFFFF, high & 0xFFF);
            write!(out, "{a:08x}-{b:04x}-4{c:03x}-9{:03x}-{:012x}", low >> 52, low & 0xFFFF_FFFF_FFFF)
        }
        Meaning::Iban => write!(out, "DE{:02}{:018}", 2 + random.below(97), random.below(1_000_000_000_000_000_000)),
        Meaning::NationalId => {
            let (a, b, c) = (100 + random.below(800), 10 + random.below(90), 1_000 + random.below(9_000));
            write!(out, "{a}-{b}-{c}")
        }
        Meaning::IpAddress => write!(out, "203.0.113.{}", random.below(256)),
        _ => Ok(()),
    };
    match meaning {
        Meaning::Day => write_date(between(random, OPENED, GENERATED_UNTIL), out),
        Meaning::Time => write_time(between(random, OPENED, GENERATED_UNTIL), out),
        _ => {}
    }
}

fn between(random: &mut Random, low: i64, high: i64) -> i64 {
    low + i64::try_from(random.below(high.abs_diff(low) + 1)).unwrap_or(0)
}

fn first_name(subject: Subject) -> &'static str {
    subject.aspect(NAME).pick(words::FIRST_NAMES)
}

fn last_name(subject: Subject) -> &'static str {
    subject.aspect(NAME ^ 1).pick(words::LAST_NAMES)
}

/// Unique per record, since the index is part of it.
fn write_email(subject: Subject, out: &mut String) {
    for name in [first_name(subject), last_name(subject)] {
        out.extend(name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()));
        out.push('.');
    }
    let _ = write!(out, "{}@", subject.index);
    write_domain(subject, out);
}

fn company_stem(subject: Subject) -> &'static str {
    subject.aspect(COMPANY).pick(words::COMPANY_STEMS)
}

fn write_company(subject: Subject, out: &mut String) {
    let form = subject.aspect(COMPANY ^ 1).pick(words::COMPANY_FORMS);
    let _ = write!(out, "{} {form}", company_stem(subject));
}

fn write_domain(subject: Subject, out: &mut String) {
    let letters = company_stem(subject).chars().filter(char::is_ascii_alphanumeric);
    out.extend(letters.map(|letter| letter.to_ascii_lowercase()));
    out.push_str(subject.aspect(COMPANY ^ 2).pick(&[".example", ".example.com", ".example.org", ".test"]));
}

fn write_phone(random: &mut Random, out: &mut String) {
    let (area, number) = (100 + random.below(900), random.below(10_000_000));
    let _ = match random.below(4) {
        0 => write!(out, "+49 {area} {number:07}"),
        1 => write!(out, "({area}) {:03}-{:04}", number / 10_000, number % 10_000),
        2 => write!(out, "+1{area}{number:07}"),
        _ => write!(out, "0{area}/{number:07}"),
    };
}

fn write_choice(random: &mut Random, property: &Property, out: &mut String) {
    if !property.options.is_empty() {
        out.push_str(&property.options[random.index(property.options.len())].value);
    }
}

fn write_choices(random: &mut Random, property: &Property, out: &mut String) {
    let mut first = true;
    for option in &property.options {
        if random.chance(450) {
            if !first {
                out.push(';');
            }
            first = false;
            out.push_str(&option.value);
        }
    }
    if first {
        write_choice(random, property, out);
    }
}
