//! Searches, with the CRM's bounds: 200 a page, 10,000 results a query, 3,000 characters of body.

use std::cmp::Ordering;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::ApiRequest;
use super::columns::{Reader, columns};
use super::errors::ApiError;
use super::filter::{Comparable, Filter, FilterInput, Operator, known_property, value_of};
use super::reply::Reply;
use crate::data::base::Base;
use crate::data::clock::now;
use crate::data::store::{Reading, Store};
use crate::data::view::RecordView;
use crate::json::{RecordWriter, write_string};
use crate::portal::Portal;
use crate::property::{Property, Source};
use crate::schema::Schema;

const MOST_PER_PAGE: usize = 200;
const MOST_RESULTS: usize = 10_000;
const MOST_CHARACTERS: usize = 3_000;
const MOST_GROUPS: usize = 5;
const MOST_FILTERS: usize = 18;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SearchInput {
    #[serde(default)]
    filter_groups: Vec<GroupInput>,
    #[serde(default)]
    sorts: Vec<Value>,
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    properties: Vec<String>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    after: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct GroupInput {
    filters: Vec<FilterInput>,
}

/// A search that makes sense.
struct Search {
    /// Any of these groups, if all its conditions are met; every record if there are no groups.
    groups: Vec<Vec<Filter>>,
    /// By which property, and whether in descending order.
    sort: Option<(Arc<Property>, bool)>,
    text: Option<String>,
    /// What was created and archived later is not in the index yet; milliseconds since 1970.
    known_until: i64,
}

pub(super) fn search(portal: &Portal, store: &Store, request: &ApiRequest) -> Result<Reply, ApiError> {
    if String::from_utf8_lossy(&request.body).chars().count() > MOST_CHARACTERS {
        return Err(ApiError::invalid(format!("The request body exceeds {MOST_CHARACTERS} characters")));
    }
    let input: SearchInput = request.json()?;
    let schema = store.schema();
    let limit = input.limit.unwrap_or(10);
    if limit > MOST_PER_PAGE {
        return Err(ApiError::invalid(format!("limit must be at most {MOST_PER_PAGE}")));
    }
    let offset = offset(input.after.as_ref())?;
    if offset.saturating_add(limit) > MOST_RESULTS {
        return Err(ApiError::invalid(format!("Paging past {MOST_RESULTS} results is not supported")));
    }
    let writer = RecordWriter::new(columns(portal, &schema, &input.properties, Reader::Other)?);
    let lag = portal.settings().faults.search_lag_ms;
    let known_until = if lag == 0 { i64::MAX } else { now().saturating_sub_unsigned(lag) };
    let search = Search { known_until, ..Search::new(input.filter_groups, &input.sorts, input.query, &schema)? };
    let reading = store.read();
    let (total, ids) = search.run(&reading, offset, limit, &schema);
    Ok(render(&reading, writer, total, &ids, offset))
}

fn offset(after: Option<&Value>) -> Result<usize, ApiError> {
    let refused = || ApiError::invalid("Invalid paging offset");
    match after {
        None | Some(Value::Null) => Ok(0),
        Some(Value::String(text)) if text.is_empty() => Ok(0),
        Some(Value::String(text)) => text.parse().map_err(|_| refused()),
        Some(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()).ok_or_else(refused),
    }
}

fn render(reading: &Reading<'_>, mut writer: RecordWriter, total: u64, ids: &[u64], offset: usize) -> Reply {
    let mut body = format!("{{\"total\":{total},\"results\":[").into_bytes();
    for (at, view) in ids.iter().filter_map(|id| reading.get(*id)).enumerate() {
        if at > 0 {
            body.push(b',');
        }
        writer.write(&view, &mut body);
    }
    body.push(b']');
    let next = offset + ids.len();
    if !ids.is_empty() && (next as u64) < total {
        body.extend_from_slice(b",\"paging\":{\"next\":{\"after\":");
        write_string(&next.to_string(), &mut body);
        body.extend_from_slice(b"}}");
    }
    body.push(b'}');
    Reply::bytes(200, body, ids.len())
}

impl Search {
    fn new(groups: Vec<GroupInput>, sorts: &[Value], text: Option<String>, schema: &Schema) -> Result<Self, ApiError> {
        let filters: usize = groups.iter().map(|group| group.filters.len()).sum();
        if groups.len() > MOST_GROUPS || filters > MOST_FILTERS {
            return Err(ApiError::invalid(format!("At most {MOST_GROUPS} filterGroups and {MOST_FILTERS} filters")));
        }
        if sorts.len() > 1 {
            return Err(ApiError::invalid("Results can be sorted by one property only"));
        }
        let understand =
            |group: GroupInput| group.filters.into_iter().map(|filter| Filter::new(filter, schema)).collect();
        Ok(Self {
            groups: groups.into_iter().map(understand).collect::<Result<_, _>>()?,
            sort: sorts.first().map(|sort| understand_sort(sort, schema)).transpose()?,
            text: text.filter(|text| !text.is_empty()).map(|text| text.to_lowercase()),
            known_until: i64::MAX,
        })
    }

    fn matches(&self, view: &RecordView<'_>, schema: &Schema) -> bool {
        let groups = &self.groups;
        view.is_indexed(self.known_until)
            && (groups.is_empty() || groups.iter().any(|group| group.iter().all(|filter| filter.matches(view))))
            && self.text.as_ref().is_none_or(|text| has_text(view, schema, text))
    }

    /// How many records match, and the ids of the page.
    fn run(&self, reading: &Reading<'_>, offset: usize, limit: usize, schema: &Schema) -> (u64, Vec<u64>) {
        let (Some(span), Some(descending)) = (self.span(reading), self.order()) else {
            return self.scan(reading, offset, limit, schema);
        };
        let wanted = (offset + limit).min(usize::try_from(span.total).unwrap_or(usize::MAX));
        let collect = |views: &mut dyn Iterator<Item = RecordView<'_>>| {
            let matching = views.filter(|view| self.matches(view, schema)).map(|view| view.id);
            matching.take(wanted).skip(offset).collect()
        };
        let ids = if descending {
            collect(&mut reading.all_before(span.last.saturating_add(1)))
        } else {
            collect(&mut reading.all_after(span.first.saturating_sub(1)))
        };
        (span.total, ids)
    }

    fn scan(&self, reading: &Reading<'_>, offset: usize, limit: usize, schema: &Schema) -> (u64, Vec<u64>) {
        let matching = reading.all_after(0).filter(|view| self.matches(view, schema));
        let mut found: Vec<(Option<Comparable>, u64)> = match &self.sort {
            None => matching.map(|view| (None, view.id)).collect(),
            Some((property, _)) => matching.map(|view| (value_of(&view, property), view.id)).collect(),
        };
        if let Some((_, descending)) = &self.sort {
            found.sort_by(|a, b| {
                let order = a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal);
                if *descending { order.reverse() } else { order }
            });
        }
        let page = found.iter().skip(offset).take(limit).map(|(_, id)| *id).collect();
        (found.len() as u64, page)
    }

    /// Whether results come in descending order of ids; None when in another order.
    fn order(&self) -> Option<bool> {
        match &self.sort {
            None => Some(false),
            Some((property, descending)) if property.source == Source::RecordId => Some(*descending),
            Some(_) => None,
        }
    }

    /// What matches, where that takes no look at every record: no condition, or only bounds of the id and of the time
    /// of creation.
    fn span(&self, reading: &Reading<'_>) -> Option<Span> {
        if self.text.is_some() || self.groups.len() > 1 {
            return None;
        }
        let filters = self.groups.first().map_or([].as_slice(), Vec::as_slice);
        let base = reading.base();
        let (mut from, mut until) = (0, base.len());
        for filter in filters {
            let (low, high) = index_range(filter, base)?;
            from = from.max(low);
            until = until.min(high);
        }
        let mut span = Span { total: until.saturating_sub(from), first: u64::MAX, last: 0 };
        if from < until {
            (span.first, span.last) = (base.id_at(from), base.id_at(until - 1));
        }
        for (id, entry) in reading.entries() {
            match (entry.is_base, entry.is_indexed(self.known_until)) {
                (true, false) => {
                    let inside = base.index_of(id).is_some_and(|at| (from..until).contains(&at));
                    span.total -= u64::from(inside);
                }
                (false, true) => {
                    let view = reading.get(id);
                    if view.is_some_and(|view| filters.iter().all(|filter| filter.matches(&view))) {
                        span.total += 1;
                        (span.first, span.last) = (span.first.min(id), span.last.max(id));
                    }
                }
                _ => {}
            }
        }
        Some(span)
    }
}

/// The records that match a search for bounds.
struct Span {
    total: u64,
    /// No matching record has a smaller id.
    first: u64,
    /// No matching record has a greater id.
    last: u64,
}

/// The indexes of the base records that meet a bound of the id or of the time of creation, both of which ascend.
fn index_range(filter: &Filter, base: &Base) -> Option<(u64, u64)> {
    let below: &dyn Fn(i64) -> Option<u64> = match filter.property.source {
        Source::RecordId => {
            &|id| Some(id.checked_sub(1).and_then(|id| u64::try_from(id).ok()).map_or(0, |id| base.first_after(id)))
        }
        Source::CreatedAt => &|millis| base.first_created_since(millis),
        _ => return None,
    };
    // The index of the first record whose value is at least `value`.
    let at_least = |operand: usize, more: i64| match filter.operands.get(operand)? {
        Comparable::Whole(value) => below(value.saturating_add(more)),
        _ => None,
    };
    let end = base.len();
    match filter.operator {
        Operator::Eq => Some((at_least(0, 0)?, at_least(0, 1)?)),
        Operator::Gt => Some((at_least(0, 1)?, end)),
        Operator::Gte => Some((at_least(0, 0)?, end)),
        Operator::Lt => Some((0, at_least(0, 0)?)),
        Operator::Lte => Some((0, at_least(0, 1)?)),
        Operator::Between => Some((at_least(0, 0)?, at_least(1, 1)?)),
        Operator::HasProperty => Some((0, end)),
        _ => None,
    }
}

fn understand_sort(sort: &Value, schema: &Schema) -> Result<(Arc<Property>, bool), ApiError> {
    let (name, direction) = match sort {
        Value::String(name) => (name.as_str(), "ASCENDING"),
        _ => (sort["propertyName"].as_str().unwrap_or_default(), sort["direction"].as_str().unwrap_or("ASCENDING")),
    };
    let property = known_property(schema, name)?;
    match direction {
        "ASCENDING" => Ok((property, false)),
        "DESCENDING" => Ok((property, true)),
        other => Err(ApiError::invalid(format!("'{other}' is not a sort direction"))),
    }
}

fn has_text(view: &RecordView<'_>, schema: &Schema, text: &str) -> bool {
    let searched = schema.selection::<&str>(&[]);
    searched.iter().filter_map(|property| view.value(property)).any(|value| value.to_lowercase().contains(text))
}
