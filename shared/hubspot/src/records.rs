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
    /// Beside its id.
    Flat,
}

/// Reads a page of records into `rows`, which is cleared first and must have as many columns as there are
/// `properties`. Values land in the column of their property; other properties are ignored, null leaves a value unset,
/// and what is not a string is written as its JSON text. Returns the cursor of the next page, if there is one.
///
/// # Errors
/// [`Malformed`] when the document is not JSON, has no `results`, or a record has no decimal `id`.
pub fn read_page(
    document: &[u8],
    shape: Shape,
    properties: &[&str],
    rows: &mut RowBuffer,
) -> Result<Option<String>, Malformed> {
    rows.clear();
    let mut reader = Reader {
        scan: Scanner::new(document)?,
        columns: Columns::new(properties),
        order: Order::new(properties.len()),
        scratch: String::new(),
        shape,
        rows,
    };
    let next = reader.page()?;
    reader.scan.finish()?;
    Ok(next)
}

/// Finds the column of a property name.
struct Columns<'p> {
    names: &'p [&'p str],
    /// Columns in the order of their names; None when they are in that order already.
    sorted: Option<Vec<usize>>,
}

impl<'p> Columns<'p> {
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

enum Member {
    Results,
    Paging,
    Next,
    After,
    Id,
    Properties,
    Other(Option<usize>),
}

struct Reader<'b, 'p, 'r> {
    scan: Scanner<'b>,
    columns: Columns<'p>,
    order: Order<'b>,
    scratch: String,
    shape: Shape,
    rows: &'r mut RowBuffer,
}

impl Reader<'_, '_, '_> {
    fn page(&mut self) -> Result<Option<String>, Malformed> {
        let (mut results, mut next) = (false, None);
        let mut more = self.scan.enter(b'{', b'}')?;
        while more {
            match self.member()? {
                Member::Results => {
                    results = true;
                    self.results()?;
                }
                Member::Paging => next = self.cursor()?,
                _ => self.scan.ignore()?,
            }
            more = self.scan.goes_on(b'}')?;
        }
        if results { Ok(next) } else { Err(self.scan.malformed()) }
    }

    /// The name of the next member of an object that is not a record's properties.
    fn member(&mut self) -> Result<Member, Malformed> {
        let (name, _) = self.scan.name()?;
        Ok(match name.decode(&mut self.scratch)? {
            "results" => Member::Results,
            "paging" => Member::Paging,
            "next" => Member::Next,
            "after" => Member::After,
            "id" => Member::Id,
            "properties" => Member::Properties,
            other if self.shape == Shape::Flat => Member::Other(self.columns.find(other)),
            _ => Member::Other(None),
        })
    }

    /// `paging.next.after`, where there is one.
    fn cursor(&mut self) -> Result<Option<String>, Malformed> {
        let mut after = None;
        if self.scan.peek()? != b'{' {
            return self.scan.ignore().map(|()| after);
        }
        let mut more = self.scan.enter(b'{', b'}')?;
        while more {
            match self.member()? {
                Member::Next => after = self.cursor()?,
                Member::After => after = self.text()?,
                _ => self.scan.ignore()?,
            }
            more = self.scan.goes_on(b'}')?;
        }
        Ok(after)
    }

    fn text(&mut self) -> Result<Option<String>, Malformed> {
        Ok(match self.scan.value()? {
            Value::Null => None,
            Value::Text(literal) => Some(literal.decode(&mut self.scratch)?.to_owned()),
            Value::Other(json) => Some(json.to_owned()),
        })
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
                Member::Id => id = Some(self.id()?),
                Member::Properties if self.shape == Shape::Nested => self.properties()?,
                Member::Other(column) => self.set(column)?,
                _ => self.scan.ignore()?,
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

    fn properties(&mut self) -> Result<(), Malformed> {
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
                let text = literal.decode(&mut self.scratch)?;
                if let Some(column) = column {
                    self.rows.set(column, text);
                }
            }
        }
        Ok(())
    }
}
