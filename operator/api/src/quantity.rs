//! Amounts as Kubernetes writes them: `20Gi`, `250m`, or a bare number.
//!
//! In a manifest a number needs no quotes, so the API server may hand out a number as well as a text; both are read.
//! Pure.

use kube::core::Rule;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// An amount, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Amount(pub String);

/// Powers of the suffixes, as (suffix, base, exponent).
const SUFFIXES: [(&str, u128, u32); 12] = [
    ("Ki", 1024, 1),
    ("Mi", 1024, 2),
    ("Gi", 1024, 3),
    ("Ti", 1024, 4),
    ("Pi", 1024, 5),
    ("Ei", 1024, 6),
    ("k", 1000, 1),
    ("M", 1000, 2),
    ("G", 1000, 3),
    ("T", 1000, 4),
    ("P", 1000, 5),
    ("E", 1000, 6),
];
const MEBIBYTE: u128 = 1024 * 1024;

impl Amount {
    /// An amount of MiB.
    pub fn of_mebibytes(count: u32) -> Self {
        Self(format!("{count}Mi"))
    }

    /// Bytes in whole MiB, the rest counted as one; none for what isn't an amount of bytes.
    pub fn mebibytes(&self) -> Option<u32> {
        u32::try_from(self.bytes()?.div_ceil(MEBIBYTE)).ok()
    }

    /// Bytes, a part of one counted as one.
    fn bytes(&self) -> Option<u128> {
        let (digits, factor) = SUFFIXES
            .iter()
            .find_map(|(suffix, base, power)| Some((self.0.strip_suffix(suffix)?, base.pow(*power))))
            .unwrap_or((&self.0, 1));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let whole: u128 = whole.parse().ok()?;
        let scale = 10u128.checked_pow(u32::try_from(part.len()).ok()?)?;
        let part: u128 = if part.is_empty() { 0 } else { part.parse().ok()? };
        let part = part.checked_mul(factor)?.div_ceil(scale);
        whole.checked_mul(factor)?.checked_add(part)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount, such as 20Gi or 250m")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
                Ok(Amount(text.into()))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Amount, E> {
                Ok(Amount(number.to_string()))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Amount, E> {
                Ok(Amount(number.to_string()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": true,
            "maxLength": 20,
        })
    }
}

/// Any amount.
pub(crate) fn any(message: &str) -> Rule {
    crate::rules::invalid("isQuantity(string(self))", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_in_every_form_and_parts_count_whole() {
        for (text, expected) in [
            ("64Mi", Some(64)),
            ("4Gi", Some(4096)),
            ("67108864", Some(64)),
            ("67108865", Some(65)),
            ("1.5Gi", Some(1536)),
            ("100M", Some(96)),
            ("10m", None),
            ("", None),
            ("99999999Ei", None),
        ] {
            assert_eq!(Amount(text.into()).mebibytes(), expected, "{text}");
        }
    }

    #[test]
    fn a_number_is_read_as_its_text() {
        assert_eq!(serde_json::from_str::<Amount>("20").unwrap(), Amount("20".into()));
        assert_eq!(serde_json::from_str::<Amount>("\"20Gi\"").unwrap(), Amount("20Gi".into()));
    }
}
