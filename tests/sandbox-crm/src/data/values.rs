//! Values of generated records: what a property of a certain meaning holds in a certain record.

use std::fmt::Write;

use super::clock::{GENERATED_UNTIL, OPENED, write_date, write_time};
use super::digits::{write_number, write_padded};
use super::meaning::Meaning;
use super::random::{Random, mix};
use super::text;
use super::vocabulary as words;
use crate::property::Property;

/// Which record a value is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    /// The object's own seed.
    pub(crate) seed: u64,
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
    match meaning {
        Meaning::Whole(low, high) => write_signed(between(random, low, high), out),
        Meaning::Decimal(low, high) => write_cents(between(random, low * 100, high * 100), out),
        Meaning::EpochMillis => write_signed(between(random, OPENED, GENERATED_UNTIL), out),
        Meaning::Owner => write_number(40_000_000 + random.below(25) * 7_919, out),
        Meaning::OtherRecord => write_number(51 + random.below(9_000_000_000), out),
        Meaning::Day => write_date(between(random, OPENED, GENERATED_UNTIL), out),
        Meaning::Time => write_time(between(random, OPENED, GENERATED_UNTIL), out),
        Meaning::Uuid => write_uuid(random, out),
        Meaning::Iban => {
            out.push_str("DE");
            write_padded(2 + random.below(97), 2, out);
            write_padded(random.below(1_000_000_000_000_000_000), 18, out);
        }
        Meaning::NationalId => {
            write_number(100 + random.below(800), out);
            for (least, most) in [(10, 90), (1_000, 9_000)] {
                out.push('-');
                write_number(least + random.below(most), out);
            }
        }
        _ => {}
    }
}

fn write_signed(number: i64, out: &mut String) {
    if number < 0 {
        out.push('-');
    }
    write_number(number.unsigned_abs(), out);
}

/// Whole amounts come without decimals.
fn write_cents(cents: i64, out: &mut String) {
    if cents < 0 {
        out.push('-');
    }
    let cents = cents.unsigned_abs();
    write_number(cents / 100, out);
    if !cents.is_multiple_of(100) {
        out.push('.');
        write_padded(cents % 100, 2, out);
    }
}

fn write_uuid(random: &mut Random, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut bits = (u128::from(random.next()) << 64) | u128::from(random.next());
    for place in 0..36 {
        match place {
            8 | 13 | 18 | 23 => out.push('-'),
            14 => out.push('4'),
            _ => {
                out.push(char::from(DIGITS[(bits & 0xF) as usize]));
                bits >>= 4;
            }
        }
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
