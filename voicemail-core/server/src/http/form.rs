//! A deposit's fields but its audio: which names they have, and what is made of them.
//!
//! Pure. A field is known by its name before a byte of it is kept. A field that identifies the caller, or says when the
//! message was left, must be readable; whatever else can't be used is left out, and the answer tells so in [`Note`]s.
//!
//! What can go wrong: an [`ApiError`] that says which field to write how.

use super::ApiError;
use super::decoration::{NoteCode, caller_text, display_name, read_urgent};
use super::times::parse_time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;
use voicemail_engine::context::Context;
use voicemail_model::{CallerId, Time};
use voicemail_store::StoreError;

/// Which field it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldName {
    Caller,
    CallerName,
    Urgent,
    Left,
    Audio,
    Other,
}

impl FieldName {
    /// By a name as media servers write it: neither case nor dashes nor underscores count.
    pub(super) fn of(name: Option<&str>) -> Self {
        let name = name.unwrap_or_default().trim();
        let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_')).take(32).collect();
        match plain.to_ascii_lowercase().as_str() {
            "caller" | "callerid" | "calleridnumber" | "calleridnum" | "callernumber" | "ani" | "from" => {
                Self::Caller
            }
            "callername" | "calleridname" => Self::CallerName,
            "urgent" => Self::Urgent,
            "left" => Self::Left,
            "audio" => Self::Audio,
            _ => Self::Other,
        }
    }

    /// How many bytes of it are kept at most.
    pub(super) fn most(self) -> usize {
        match self {
            Self::Caller => CallerId::MOST_GIVEN,
            // In an encoding of four bytes a character that is what a name may measure.
            Self::CallerName => 1_024,
            Self::Urgent | Self::Left => 64,
            Self::Audio | Self::Other => 0,
        }
    }
}

/// Something of a deposit that was left out or changed, though its recording was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Note {
    /// For programs; it never changes.
    pub code: String,
    /// For people.
    pub detail: String,
}

/// The changes made to a deposit's fields, each kind once.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(BTreeSet<NoteCode>);

impl Notes {
    pub(super) fn add(&mut self, code: NoteCode) {
        self.0.insert(code);
    }

    /// As the answer has them.
    pub(super) fn list(&self) -> Vec<Note> {
        let note = |code: &NoteCode| Note { code: code.code().into(), detail: code.detail().into() };
        self.0.iter().map(note).collect()
    }
}

/// A field's value, as far as it is kept.
pub(super) struct Value<'a> {
    /// Its first bytes.
    pub(super) bytes: &'a [u8],
    /// The charset that its part names.
    pub(super) charset: Option<&'a str>,
    /// Whether these are all.
    pub(super) whole: bool,
}

/// The fields before the audio.
#[derive(Default)]
pub(super) struct Form {
    callers: Vec<CallerId>,
    /// A field for the caller was there but named nobody.
    withheld: bool,
    caller_name: Option<Option<String>>,
    urgent: Option<Option<bool>>,
    left: Option<Time>,
}

impl Form {
    /// Takes a field.
    ///
    /// # Errors
    /// `InvalidValue` for a caller that is too long, or a time that is none.
    pub(super) fn take(
        &mut self,
        name: FieldName,
        value: &Value<'_>,
        notes: &mut Notes,
    ) -> Result<(), ApiError> {
        match name {
            FieldName::Caller => self.take_caller(value, notes)?,
            FieldName::CallerName if self.caller_name.is_some() => notes.add(NoteCode::FieldRepeated),
            FieldName::CallerName => {
                let (name, changed) = display_name(value.bytes, value.charset, value.whole);
                changed.into_iter().for_each(|code| notes.add(code));
                self.caller_name = Some(name);
            }
            FieldName::Urgent if self.urgent.is_some() => notes.add(NoteCode::FieldRepeated),
            FieldName::Urgent => {
                let urgent = read_urgent(value.bytes).filter(|_| value.whole);
                if urgent.is_none() {
                    notes.add(NoteCode::UrgentIgnored);
                }
                self.urgent = Some(urgent);
            }
            FieldName::Left => self.take_left(value)?,
            FieldName::Audio | FieldName::Other => notes.add(NoteCode::FieldIgnored),
        }
        Ok(())
    }

    fn take_caller(&mut self, value: &Value<'_>, notes: &mut Notes) -> Result<(), ApiError> {
        if !value.whole {
            let most = CallerId::MOST_GIVEN;
            return Err(ApiError::invalid(format!(
                "caller: write at most {most} bytes, since it is never cut"
            )));
        }
        let (text, escaped) = caller_text(value.bytes);
        if escaped {
            notes.add(NoteCode::CallerEscaped);
        }
        match CallerId::new(&text) {
            Some(caller) if !self.callers.contains(&caller) => self.callers.push(caller),
            // A blank one is as good as none: it says nothing that another would contradict.
            None if !text.is_empty() => self.withheld = true,
            _ => {}
        }
        Ok(())
    }

    fn take_left(&mut self, value: &Value<'_>) -> Result<(), ApiError> {
        let text = std::str::from_utf8(value.bytes).unwrap_or_default();
        let left = parse_time("left", text.trim())?;
        if self.left.replace(left).is_some_and(|first| first != left) {
            return Err(ApiError::invalid("left: there are two that differ"));
        }
        Ok(())
    }

    /// Whether a caller was named.
    pub(super) fn has_caller(&self) -> bool {
        !self.callers.is_empty()
    }

    /// When the message was left, if that was said.
    pub(super) fn left(&self) -> Option<Time> {
        self.left
    }

    /// The caller's display name.
    pub(super) fn caller_name(&self) -> Option<String> {
        self.caller_name.clone().flatten()
    }

    /// Whether the caller marked it urgent.
    pub(super) fn urgent(&self) -> bool {
        self.urgent.flatten().unwrap_or_default()
    }

    /// The one caller that all fields mean: two spellings are one caller if they are filed as one.
    ///
    /// # Errors
    /// `InvalidValue` for different callers; the store's.
    pub(super) fn caller(&self, context: &Context) -> Result<Option<CallerId>, ApiError> {
        let Some((first, others)) = self.callers.split_first() else { return Ok(None) };
        let filed = |caller: &CallerId| Ok::<_, StoreError>(context.file_caller(Some(caller))?.hash);
        if !others.is_empty() {
            let hash = filed(first)?;
            for other in others {
                if filed(other)? != hash {
                    return Err(differing());
                }
            }
        }
        if self.withheld { Err(differing()) } else { Ok(Some(first.clone())) }
    }
}

fn differing() -> ApiError {
    ApiError::invalid("caller: several fields name different callers (caller, callerId, ani, from): send one")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::ProblemKind;

    fn take(form: &mut Form, name: &str, bytes: &[u8]) -> (Result<(), ApiError>, Vec<String>) {
        let name = FieldName::of(Some(name));
        let (kept, whole) = (&bytes[..bytes.len().min(name.most())], bytes.len() <= name.most());
        let mut notes = Notes::default();
        let taken = form.take(name, &Value { bytes: kept, charset: None, whole }, &mut notes);
        (taken, notes.list().into_iter().map(|note| note.code).collect())
    }

    #[test]
    fn names_of_fields_ignore_case_and_what_joins_their_words() {
        for name in
            ["caller", "Caller", "callerId", "caller_id", "Caller-ID", "ANI", "from", "caller_id_number"]
        {
            assert_eq!(FieldName::of(Some(name)), FieldName::Caller, "{name}");
        }
        for name in ["callerName", "CALLERNAME", "caller_name", "caller_id_name"] {
            assert_eq!(FieldName::of(Some(name)), FieldName::CallerName, "{name}");
        }
        for name in [None, Some(""), Some("to"), Some("callers"), Some("name")] {
            assert_eq!(FieldName::of(name), FieldName::Other, "{name:?}");
        }
        assert_eq!(FieldName::of(Some("Audio")), FieldName::Audio);
    }

    #[test]
    fn a_caller_is_read_whole_or_refused() {
        let mut form = Form::default();
        let (taken, notes) = take(&mut form, "caller", &vec![b'1'; CallerId::MOST_GIVEN]);
        assert!(taken.is_ok() && notes.is_empty() && form.has_caller());
        let (taken, _) = take(&mut form, "caller", &vec![b'1'; CallerId::MOST_GIVEN + 1]);
        assert_eq!(taken.unwrap_err().kind(), ProblemKind::InvalidValue);
    }

    #[test]
    fn the_longest_caller_with_escapes_can_be_named_by_a_request() {
        let (text, _) = caller_text(&vec![0xFF; CallerId::MOST_GIVEN]);
        assert!(text.len() <= CallerId::MAX_BYTES);
    }

    #[test]
    fn what_decorates_is_told_and_costs_nothing() {
        let mut form = Form::default();
        assert_eq!(take(&mut form, "urgent", b"perhaps").1, ["urgent-ignored"]);
        assert_eq!(take(&mut form, "callerName", "汉".repeat(400).as_bytes()).1, ["caller-name-cut"]);
        assert_eq!(take(&mut form, "caller_name", b"Other").1, ["field-repeated"]);
        assert!(!form.urgent() && form.caller_name().unwrap().starts_with('汉'));
    }

    #[test]
    fn a_time_that_is_none_is_refused() {
        let mut form = Form::default();
        assert!(take(&mut form, "left", b"yesterday").0.is_err());
        assert!(take(&mut form, "left", b"2026-09-21T14:13:20Z").0.is_ok());
        assert!(take(&mut form, "left", b"2026-09-21T14:13:20+00:00").0.is_ok());
        assert!(take(&mut form, "left", b"2026-09-21T14:13:21Z").0.is_err());
    }
}
