//! Reads a value and records which members and variants its type knows, and which of them the value has.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value};

/// Known members (`Type.member`) and variants (`Type::Variant`), and whether there was an example of each.
#[derive(Debug, Default)]
pub(crate) struct Known(RefCell<BTreeMap<String, bool>>);

impl Known {
    /// Members and variants without an example.
    pub(crate) fn without_example(&self) -> Vec<String> {
        self.0.borrow().iter().filter(|(_, seen)| !**seen).map(|(name, _)| name.clone()).collect()
    }

    fn note(&self, name: String, seen: bool) {
        *self.0.borrow_mut().entry(name).or_default() |= seen;
    }

    fn members(&self, of: &str, names: &[&str], value: &Value) {
        for name in names {
            self.note(format!("{of}.{name}"), value.get(name).is_some_and(|value| !value.is_null()));
        }
    }
}

/// A value that is being read.
pub(crate) struct Watched<'a> {
    value: &'a Value,
    known: &'a Known,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(value: &'a Value, known: &'a Known) -> Self {
        Self { value, known }
    }
}

impl<'de> Deserializer<'de> for Watched<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Array(values) => visitor.visit_seq(Elements { values: values.iter(), known: self.known }),
            Value::Object(members) => {
                visitor.visit_map(Members { rest: members.iter(), value: None, known: self.known })
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.known.members(name, fields, self.value);
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let (variant, content) = match self.value {
            Value::Object(members) => {
                members.iter().next().map_or(("", None), |(name, value)| (name.as_str(), Some(value)))
            }
            other => (other.as_str().unwrap_or_default(), None),
        };
        for known in variants {
            self.known.note(format!("{name}::{known}"), *known == variant);
        }
        visitor.visit_enum(Variant { of: name, word: variant, content, known: self.known })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        identifier ignored_any
    }
}

struct Elements<'a> {
    values: std::slice::Iter<'a, Value>,
    known: &'a Known,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.values.next().map(|value| seed.deserialize(Watched::new(value, self.known))).transpose()
    }
}

struct Members<'a> {
    rest: serde_json::map::Iter<'a>,
    value: Option<&'a Value>,
    known: &'a Known,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        let name: StrDeserializer<'_, Error> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let value = self.value.take().unwrap_or(&Value::Null);
        seed.deserialize(Watched::new(value, self.known))
    }
}

struct Variant<'a> {
    of: &'static str,
    word: &'a str,
    content: Option<&'a Value>,
    known: &'a Known,
}

impl<'de> Variant<'de> {
    fn content(&self) -> Watched<'de> {
        Watched::new(self.content.unwrap_or(&Value::Null), self.known)
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.word.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.content())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.content().deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        let content = self.content();
        self.known.members(&format!("{}::{}", self.of, self.word), fields, content.value);
        content.deserialize_any(visitor)
    }
}
