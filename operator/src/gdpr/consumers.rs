//! Reads the data subjects' identifiers out of the labelled Secret. Pure.
//!
//! They stay in memory for one call. No message here holds any part of them: even the parser's own words
//! would quote the value that it stumbled over.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use voicemail_api::gdpr::{GdprBody, read_input};
use voicemail_resources::CONSUMERS_LABEL;

/// Key of the Secret: the vendor's script's input file.
pub const INPUT: &str = "input.json";

/// Why the Secret can't be used. All of it a person can mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// It isn't there.
    #[error("there is no Secret {0} in this namespace")]
    NotFound(String),
    /// Nobody said that it is meant for this.
    #[error(
        "Secret {0} lacks the label voicemail.dev/gdpr-consumers=true, which says that it is meant for this"
    )]
    NotLabelled(String),
    /// It can't be read.
    #[error("Secret {name}: {INPUT} {fault}")]
    NotReadable {
        /// The Secret.
        name: String,
        /// The fault, without any content.
        fault: String,
    },
    /// It is another case's.
    #[error("Secret {0}: {INPUT} names another caseid than this request")]
    OtherCase(String),
}

impl Unusable {
    /// Stable name.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "ConsumersNotFound",
            Self::NotLabelled(_) => "ConsumersNotLabelled",
            Self::NotReadable { .. } => "ConsumersNotReadable",
            Self::OtherCase(_) => "ConsumersOfAnotherCase",
        }
    }
}

/// Reads the Secret as the body of a call.
///
/// # Errors
/// [`Unusable`].
pub fn read_consumers(secret: Option<&Secret>, name: &str, case: &str) -> Result<GdprBody, Unusable> {
    let secret = secret.ok_or_else(|| Unusable::NotFound(name.into()))?;
    if secret.labels().get(CONSUMERS_LABEL).map(String::as_str) != Some("true") {
        return Err(Unusable::NotLabelled(name.into()));
    }
    let fault = |fault: String| Unusable::NotReadable { name: name.into(), fault };
    let input = secret.data.as_ref().and_then(|data| data.get(INPUT));
    let input = input.ok_or_else(|| fault("is missing".into()))?;
    let body = read_input(&input.0).map_err(|error| fault(error.to_string()))?;
    if body.caseid != case {
        return Err(Unusable::OtherCase(name.into()));
    }
    if body.consumers.is_empty() {
        return Err(fault("names no consumers".into()));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(label: &str, input: &str) -> Secret {
        let labels = if label.is_empty() {
            String::new()
        } else {
            format!(", labels: {{{CONSUMERS_LABEL}: '{label}'}}")
        };
        let mut secret: Secret = serde_yaml::from_str(&format!("{{metadata: {{name: c{labels}}}}}")).unwrap();
        let bytes = k8s_openapi::ByteString(input.as_bytes().to_vec());
        secret.data = Some([(INPUT.to_owned(), bytes)].into());
        secret
    }

    const INPUT_JSON: &str = r#"{"caseid":"7","consumers":[{"phone":["+441632960001"]}]}"#;

    fn reason(secret: Option<&Secret>) -> &'static str {
        read_consumers(secret, "c", "7").unwrap_err().reason()
    }

    #[test]
    fn a_labelled_secret_is_read() {
        let body = read_consumers(Some(&secret("true", INPUT_JSON)), "c", "7").unwrap();
        assert_eq!(body.consumers.len(), 1);
    }

    #[test]
    fn each_fault_has_its_reason() {
        assert_eq!(reason(None), "ConsumersNotFound");
        assert_eq!(reason(Some(&secret("", INPUT_JSON))), "ConsumersNotLabelled");
        assert_eq!(reason(Some(&secret("false", INPUT_JSON))), "ConsumersNotLabelled");
        assert_eq!(reason(Some(&secret("true", "{"))), "ConsumersNotReadable");
        assert_eq!(reason(Some(&secret("true", r#"{"caseid":"7"}"#))), "ConsumersNotReadable");
        assert_eq!(
            reason(Some(&secret("true", r#"{"caseid":"8","consumers":[{}]}"#))),
            "ConsumersOfAnotherCase"
        );
    }

    #[test]
    fn an_input_with_a_byte_order_mark_is_read() {
        let marked = secret("true", &format!("\u{FEFF}{INPUT_JSON}"));
        assert_eq!(read_consumers(Some(&marked), "c", "7").unwrap().caseid, "7");
    }

    #[test]
    fn no_message_quotes_the_content() {
        let broken = secret("true", r#"{"caseid":"7","consumers":"+441632960001"}"#);
        let error = read_consumers(Some(&broken), "c", "7").unwrap_err();
        assert!(!error.to_string().contains("1632960001"), "{error}");
    }
}
