//! Reads the bytes of a page of records directly into a [`RowBuffer`], without a JSON tree or a string for each value.
//!
//! A page contains the same few hundred property names a hundred times, nearly always in the same order. So the reader
//! remembers the names of the first record as they stand in the document. It compares each later name, byte by byte,
//! with the name that is next in that order, and decodes it only if they differ.

use domain::ids::RecordId;
use domain::rows::RowBuffer;

use crate::scan::{Literal, Malformed, Scanner, Value};

/// Where a record has its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// In its member `properties`.
    Nested,
    Flat,
}

/// Reads a page of records into `rows`, which is cleared first and must have a column for each of `properties`. Returns
/// the cursor of the next page, if there is one.
///
/// A value goes into the column of its property. Other properties are ignored. Null is an empty value, and a value that
/// is missing in the document stays not shown. A value that is not a string is stored as its JSON text.
///
/// # Errors
/// [`Malformed`] if the document is not JSON, has no `results`, or a record has no decimal `id`.
pub fn read_page(
    document: &[u8],
    shape: Shape,
    properties: &[&str],
    rows: &mut RowBuffer,
) -> Result<Option<String>, Malformed> {
    read_records(document, shape, properties, rows).map(|page| page.next)
}

/// The members of a page other than its records.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// The cursor of the next page.
    pub(crate) next: Option<String>,
    /// Counts values that contained half a surrogate pair.
    pub(crate) mended_values: u64,
    /// The state of a batch.
    pub(crate) status: Option<String>,
    /// Counts the records that a search found.
    pub(crate) total: Option<u64>,
    /// The member `numErrors`.
    pub(crate) error_count: Option<u64>,
    /// The JSON text of `errors`.
    pub(crate) errors: Option<String>,
}

/// As [`read_page`], but returns all other members of the page.
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
    /// The columns in the order of their names. `None` if they have this order already.
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

/// The order of the names in the first record.
struct Order<'b> {
    /// Each name with its column, as it stands in the document from its quote to its colon.
    names: Vec<(&'b [u8], Option<usize>)>,
    /// For each column, the place after its name in `names`.
    place_after: Vec<usize>,
    /// The place of the name that is expected next.
    next: usize,
    learned: bool,
}

impl<'b> Order<'b> {
    fn new(columns: usize) -> Self {
        Self { names: Vec::with_capacity(columns + 8), place_after: vec![0; columns], next: 0, learned: false }
    }

    /// Notes a name that is not the expected one.
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

    /// `paging.next.after`, if there is one. Deeper members are skipped, so that no document exceeds the stack.
    fn cursor(&mut self) -> Result<Option<String>, Malformed> {
        self.last_member("next", |next| next.last_member("after", Self::text))
    }

    /// Reads the last member with this name. `None` if there is none, or the next value is not an object.
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

    /// A number or a text that contains one. `None` for other values.
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

    /// If `properties` is null, no value is shown, so none counts as empty.
    fn properties(&mut self) -> Result<(), Malformed> {
        if self.scan.peek()? == b'n' {
            return self.scan.ignore();
        }
        self.order.next = 0;
        let mut more = self.scan.enter(b'{', b'}')?;
        while more {
            let column = self.property_name()?;
            // Most properties of most records are null.
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

    /// Sets `column` of the current row to the next value.
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
