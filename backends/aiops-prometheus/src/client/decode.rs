//! Bodies of the HTTP API v1. serde_json bounds the nesting (128), the body limit bounds the size, and every type is
//! spelled out, so a hostile body ends as an error here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};

use super::ClientError;
use crate::exposition::FamilyType;
use crate::exposition::read_float;
use crate::http::excerpt;
use crate::selector::LabelMap;

/// The outer object of every answer.
#[derive(Debug, Deserialize)]
struct Envelope<T> {
    status: Status,
    data: Option<T>,
    #[serde(rename = "errorType", default)]
    error_type: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    #[serde(default)]
    infos: Option<Vec<String>>,
    /// VictoriaMetrics cluster: some storage nodes did not answer.
    #[serde(rename = "isPartial", default)]
    is_partial: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Success,
    Error,
}

/// An answer and what the server remarked about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// The data.
    pub data: T,
    /// Warnings and notices of the server, in its order: the data may be incomplete.
    pub warnings: Vec<String>,
}

/// Reads an answer with status 2xx.
pub(super) fn decode<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<Answer<T>, ClientError> {
    let envelope: Envelope<T> = serde_json::from_slice(body)
        .map_err(|source| ClientError::Decode { excerpt: excerpt(body), source })?;
    if matches!(envelope.status, Status::Error) {
        return Err(api_error(status, envelope.error_type, envelope.error));
    }
    let data = envelope.data.ok_or_else(|| ClientError::Protocol("success without data".to_owned()))?;
    let mut warnings = envelope.warnings.unwrap_or_default();
    warnings.extend(envelope.infos.unwrap_or_default());
    if envelope.is_partial {
        warnings.push("partial response: some storage nodes did not answer".to_owned());
    }
    Ok(Answer { data, warnings: warnings.iter().map(|text| excerpt(text.as_bytes())).collect() })
}

/// Reads the error of an answer with another status, if its body is one.
pub(super) fn decode_error(status: u16, body: &[u8]) -> Option<ClientError> {
    let envelope: Envelope<de::IgnoredAny> = serde_json::from_slice(body).ok()?;
    matches!(envelope.status, Status::Error).then(|| api_error(status, envelope.error_type, envelope.error))
}

fn api_error(status: u16, error_type: Option<String>, message: Option<String>) -> ClientError {
    ClientError::Api {
        status,
        error_type: excerpt(error_type.unwrap_or_default().as_bytes()),
        message: excerpt(message.unwrap_or_default().as_bytes()),
        retry_after: None,
    }
}

/// `data` of a query.
#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(super) enum QueryData {
    Vector(Vec<VectorItem>),
    Matrix(Vec<MatrixItem>),
    Scalar(Pair),
    String(de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
pub(super) struct VectorItem {
    #[serde(default)]
    pub(super) metric: LabelMap,
    /// Absent for a native histogram.
    pub(super) value: Option<Pair>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MatrixItem {
    #[serde(default)]
    pub(super) metric: LabelMap,
    #[serde(default)]
    pub(super) values: Vec<Pair>,
}

/// `[seconds, "value"]`
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Pair(pub(super) f64, pub(super) Number);

/// A sample value: a string, since JSON has no NaN.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number in a string")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                read_float(text).map(Number).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Metadata of one metric family, as one target declared it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Declared type.
    pub kind: FamilyType,
    /// Help text.
    pub help: String,
    /// Unit, mostly empty.
    pub unit: String,
}

#[derive(Debug, Deserialize)]
struct MetadataItem {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    help: String,
    #[serde(default)]
    unit: String,
}

/// `data` of the metadata API. Targets that disagree about a type leave it unknown.
#[derive(Debug)]
pub(super) struct MetadataData(pub(super) BTreeMap<String, Metadata>);

impl<'de> Deserialize<'de> for MetadataData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let families: BTreeMap<String, Vec<MetadataItem>> = BTreeMap::deserialize(deserializer)?;
        let merged = families.into_iter().filter_map(|(family, items)| {
            let kinds: BTreeSet<FamilyType> = items
                .iter()
                .map(|item| FamilyType::from_name(&item.kind).unwrap_or(FamilyType::Unknown))
                .collect();
            let kind = match kinds.first() {
                Some(kind) if kinds.len() == 1 => *kind,
                _ => FamilyType::Unknown,
            };
            let first = items.into_iter().next()?;
            Some((family, Metadata { kind, help: first.help, unit: first.unit }))
        });
        Ok(Self(merged.collect()))
    }
}
