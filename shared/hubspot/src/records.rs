//! From the bytes of a page of records straight into a [`RowBuffer`]: no JSON tree, no string per value.
//!
//! A page holds the same few hundred property names a hundred times, nearly always in the same order. So the names of
//! the first record are remembered as they stand in the document, and every later one is first compared, byte by byte,
//! with the name that comes next in that order; only when that fails is it read and looked up.

use domain::ids::RecordId;
use domain::rows::RowBuffer;

use crate::scan::{Literal, Malformed, Scanner, Value};

/// Where a record's values stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// In its member `properties`.
    Nested,
    Flat,
}

/// Reads a page of records into `rows`, which is cleared first and must have as many columns as there are
/// `properties`. Values land in the column of their property; other properties are ignored, null is no value, what is not
/// in the document stays not shown, and what is not a string is written as its JSON text. Returns the cursor of the next
/// page, if there is one.
///
/// # Errors
/// [`Malformed`] when the document is not JSON, has no `results`, or a record has no decimal `id`.
pub fn read_page(
    document: &[u8],
    shape: Shape,
    properties: &[&str],
    rows: &mut RowBuffer,
) -> Result<Option<String>, Malformed> {
    read_records(document, shape, properties, rows).map(|page| page.next)
}

/// What a page says beside its records.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// The cursor of the next page.
    pub(crate) next: Option<String>,
    /// Values that held half a surrogate pair.
    pub(crate) mended_values: u64,
    /// How far the CRM has come with a batch.
    pub(crate) status: Option<String>,
    /// How many records a search has found.
    pub(crate) total: Option<u64>,
    /// How many errors there are, where that is told by itself.
    pub(crate) error_count: Option<u64>,
    /// The JSON text of `errors`.
    pub(crate) errors: Option<String>,
}

/// As [`read_page`], with all that the page says.
pub(crate) fn read_records(
    document: &[u8],
    shape: Shape,
    properties: &[&str],
    rows: &mut RowBuffer,
) -> Result<Page, Malformed> {
    rows.clear();
    let mut reader = Reader {
        scan: Scanner::new(document)?,
        columns: ColumnFinder::new(properties),
        order: Order::new(properties.len()),
        scratch: String::new(),
        mended_values: 0,
        shape,
        rows,
    };
    let page = reader.page()?;
    reader.scan.finish()?;
    Ok(page)
}

/// Finds the column of a property name.
struct ColumnFinder<'p> {
    names: &'p [&'p str],
    /// ColumnFinder in the order of their names; None when they are in that order already.
    sorted: Option<Vec<usize>>,
}

impl<'p> ColumnFinder<'p> {
    fn new(names: &'p [&'p str]) -> Self {
        let sorted = (!names.is_sorted()).then(|| {
            let mut columns: Vec<usize> = (0..names.len()).collect();
            columns.sort_by_key(|&column| names.get(column));
            columns
        });
        Self { names, sorted }
    }

    fn find(&self, name: &str) -> Option<usize> {
        match &self.sorted {
            None => self.names.binary_search(&name).ok(),
            Some(sorted) => {
                let place = sorted.binary_search_by_key(&Some(&name), |&column| self.names.get(column)).ok()?;
                sorted.get(place).copied()
            }
        }
    }
}

/// The order in which the names of the first record arrived.
struct Order<'b> {
    /// Each name as it stands in the document, from its quote to its colon, and its column.
    names: Vec<(&'b [u8], Option<usize>)>,
    /// For every column the place after its name in `names`.
    place_after: Vec<usize>,
    /// Where the next name is expected.
    next: usize,
    learned: bool,
}

impl<'b> Order<'b> {
    fn new(columns: usize) -> Self {
        Self { names: Vec::with_capacity(columns + 8), place_after: vec![0; columns], next: 0, learned: false }
    }

    /// Takes note of a name that did not come where it was expected.
    fn met(&mut self, raw: &'b [u8], column: Option<usize>) {
        if !self.learned {
            self.names.push((raw, column));
            self.next = self.names.len();
        }
        let place = column.and_then(|column| self.place_after.get_mut(column));
        match place {
            Some(place) if !self.learned => *place = self.next,
            Some(place) if *place > 0 => self.next = *place,
            _ => {}
        }
    }
}

/// A member of the page itself.
enum PageMember {
    Results,
    Paging,
    Status,
    Total,
    ErrorCount,
    Errors,
    Other,
}

/// A member of a record.
enum RecordMember {
    Id,
    Properties,
    Other(Option<usize>),
}

struct Reader<'b, 'p, 'r> {
    scan: Scanner<'b>,
    columns: ColumnFinder<'p>,
    order: Order<'b>,
    scratch: String,
    mended_values: u64,
    shape: Shape,
    rows: &'r mut RowBuffer,
}

impl Reader<'_, '_, '_> {
    fn page(&mut self) -> Result<Page, Malformed> {
        let (mut results, mut page) = (false, Page::default());
        let mut more = self.scan.enter(b'{', b'}')?;
        while more {
            match self.page_member()? {
                PageMember::Results => {
                    results = true;
                    self.results()?;
                }
                PageMember::Paging => page.next = self.cursor()?,
                PageMember::Status => page.status = self.text()?,
                PageMember::Total => page.total = self.number()?,
                PageMember::ErrorCount => page.error_count = self.number()?,
                PageMember::Errors => page.errors = self.text()?,
                PageMember::Other => self.scan.ignore()?,
            }
            more = self.scan.goes_on(b'}')?;
        }
        page.mended_values = self.mended_values;
        if results { Ok(page) } else { Err(self.scan.malformed()) }
    }

    /// The name of the next member of the page.
    fn page_member(&mut self) -> Result<PageMember, Malformed> {
        let (name, _) = self.scan.name()?;
        Ok(match name.decode(&mut self.scratch)? {
            "results" => PageMember::Results,
            "paging" => PageMember::Paging,
            "status" => PageMember::Status,
            "total" => PageMember::Total,
            "numErrors" => PageMember::ErrorCount,
            "errors" => PageMember::Errors,
            _ => PageMember::Other,
        })
    }

    /// The name of the next member of a record.
    fn member(&mut self) -> Result<RecordMember, Malformed> {
        let (name, _) = self.scan.name()?;
        Ok(match (name.decode(&mut self.scratch)?, self.shape) {
            ("id", _) => RecordMember::Id,
            ("properties", Shape::Nested) => RecordMember::Properties,
            (other, Shape::Flat) => RecordMember::Other(self.columns.find(other)),
            _ => RecordMember::Other(None),
        })
    }

    /// `paging.next.after`, where there is one. Anything deeper is passed over, so that no document goes deeper than the
    /// stack.
    fn cursor(&mut self) -> Result<Option<String>, Malformed> {
        self.last_member("next", |next| next.last_member("after", Self::text))
    }

    /// What `read` makes of the last member of this name; None where there is none, or the next value is no object.
    fn last_member(
        &mut self,
        wanted: &str,
        mut read: impl FnMut(&mut Self) -> Result<Option<String>, Malformed>,
    ) -> Result<Option<String>, Malformed> {
        let mut found = None;
        if self.scan.peek()? != b'{' {
            return self.scan.ignore().map(|()| found);
        }
        let mut more = self.scan.enter(b'{', b'}')?;
        while more {
            let (name, _) = self.scan.name()?;
            if name.decode(&mut self.scratch)? == wanted {
                found = read(self)?;
            } else {
                self.scan.ignore()?;
            }
            more = self.scan.goes_on(b'}')?;
        }
        Ok(found)
    }

    fn text(&mut self) -> Result<Option<String>, Malformed> {
        Ok(match self.scan.value()? {
            Value::Null => None,
            Value::Text(literal) => Some(literal.decode(&mut self.scratch)?.to_owned()),
            Value::Other(json) => Some(json.to_owned()),
        })
    }

    /// A number, also one that is written as a text; None for anything else.
    fn number(&mut self) -> Result<Option<u64>, Malformed> {
        Ok(self.text()?.and_then(|text| text.parse().ok()))
    }

    fn results(&mut self) -> Result<(), Malformed> {
        let mut more = self.scan.enter(b'[', b']')?;
        while more {
            self.record()?;
            more = self.scan.goes_on(b']')?;
        }
        Ok(())
    }

    fn record(&mut self) -> Result<(), Malformed> {
        self.rows.begin_row(RecordId::default());
        let mut id = None;
        let mut more = self.scan.enter(b'{', b'}')?;
        while more {
            match self.member()? {
                RecordMember::Id => id = Some(self.id()?),
                RecordMember::Properties => self.properties()?,
                RecordMember::Other(None) => self.scan.ignore()?,
                RecordMember::Other(column) => self.set(column)?,
            }
            more = self.scan.goes_on(b'}')?;
        }
        self.rows.set_id(id.ok_or(self.scan.malformed())?);
        if self.shape == Shape::Flat {
            self.rows.rest_is_none();
        }
        Ok(())
    }

    fn id(&mut self) -> Result<RecordId, Malformed> {
        let malformed = self.scan.malformed();
        let text = match self.scan.value()? {
            Value::Text(literal) => literal.decode(&mut self.scratch)?,
            Value::Other(json) => json,
            Value::Null => return Err(malformed),
        };
        RecordId::parse(text).map_err(|_| malformed)
    }

    /// Null shows no property, and none that there is no value.
    fn properties(&mut self) -> Result<(), Malformed> {
        if self.scan.peek()? == b'n' {
            return self.scan.ignore();
        }
        self.order.next = 0;
        let mut more = self.scan.enter(b'{', b'}')?;
        while more {
            let column = self.property_name()?;
            // Most properties of most records.
            if self.scan.step_over(b"null,") {
                if let Some(column) = column {
                    self.rows.set_none(column);
                }
                continue;
            }
            self.set(column)?;
            more = self.scan.goes_on(b'}')?;
        }
        self.order.learned |= !self.order.names.is_empty();
        Ok(())
    }

    #[inline]
    fn property_name(&mut self) -> Result<Option<usize>, Malformed> {
        self.scan.peek()?;
        if let Some(&(raw, column)) = self.order.names.get(self.order.next)
            && self.scan.step_over(raw)
        {
            self.order.next += 1;
            return Ok(column);
        }
        let (name, raw) = self.scan.name()?;
        let column = self.columns.find(name.decode(&mut self.scratch)?);
        self.order.met(raw, column);
        Ok(column)
    }

    /// Sets `column` of the present row to the next value.
    #[inline]
    fn set(&mut self, column: Option<usize>) -> Result<(), Malformed> {
        match self.scan.value()? {
            Value::Null => {
                if let Some(column) = column {
                    self.rows.set_none(column);
                }
            }
            Value::Text(Literal::Plain(text)) | Value::Other(text) => {
                if let Some(column) = column {
                    self.rows.set(column, text);
                }
            }
            Value::Text(literal) => {
                let (text, mended) = literal.decode_mending(&mut self.scratch)?;
                if let Some(column) = column {
                    self.rows.set(column, text);
                    self.mended_values += u64::from(mended);
                }
            }
        }
        Ok(())
    }
}
