//! The file of a language's clips: `"VMP1"`, the length of the index (u32, little endian), the index as JSON, samples in µ-law
//! at 8 kHz. Pure but for reading the file.

use super::PromptsError;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const MAGIC: &[u8; 4] = b"VMP1";

#[derive(Serialize, Deserialize)]
struct Index {
    language: String,
    /// Begin and length of each clip's samples.
    clips: BTreeMap<String, (usize, usize)>,
}

/// The clips of a language.
#[derive(Clone)]
pub struct Pack {
    language: String,
    clips: BTreeMap<String, Bytes>,
}

impl Pack {
    /// Reads a file.
    ///
    /// # Errors
    /// [`PromptsError`].
    pub fn read(file: &Path) -> Result<Self, PromptsError> {
        let bytes = std::fs::read(file).map_err(|error| PromptsError::File(file.to_owned(), error))?;
        Self::parse(Bytes::from(bytes)).ok_or(PromptsError::Foreign)
    }

    /// Reads a file's bytes.
    pub fn parse(bytes: Bytes) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let index: Index = serde_json::from_slice(rest.get(..length)?).ok()?;
        let samples = bytes.slice(8 + length..);
        let clip = |(name, (begin, length)): (String, (usize, usize))| {
            let end = begin.checked_add(length).filter(|end| *end <= samples.len())?;
            Some((name, samples.slice(begin..end)))
        };
        let clips = index.clips.into_iter().map(clip).collect::<Option<_>>()?;
        Some(Self { language: index.language, clips })
    }

    /// A file's bytes.
    pub fn write(language: &str, clips: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
        let mut at = 0;
        let place = |(name, samples): (&String, &Vec<u8>)| {
            let begin = at;
            at += samples.len();
            (name.clone(), (begin, samples.len()))
        };
        let index = Index { language: language.to_owned(), clips: clips.iter().map(place).collect() };
        let index = serde_json::to_vec(&index).unwrap_or_default();
        let length = u32::try_from(index.len()).unwrap_or_default();
        let mut bytes = [&MAGIC[..], &length.to_le_bytes(), &index].concat();
        clips.values().for_each(|samples| bytes.extend_from_slice(samples));
        bytes
    }

    /// One of clips that are there.
    pub fn of(language: &str, clips: BTreeMap<String, Bytes>) -> Self {
        Self { language: language.to_owned(), clips }
    }

    /// The same with some in the place of its own, or beside them.
    pub fn with(&self, clips: BTreeMap<String, Bytes>) -> Self {
        let mut all = self.clips.clone();
        all.extend(clips);
        Self::of(&self.language, all)
    }

    /// Whether it has that clip.
    pub fn has(&self, name: &str) -> bool {
        self.clips.contains_key(name)
    }

    /// Its language's tag.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// A clip's samples.
    pub fn clip(&self, name: &str) -> Option<Bytes> {
        self.clips.get(name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_are_found_where_they_were_written() {
        let clips = BTreeMap::from([("a".to_owned(), vec![1; 3]), ("b".to_owned(), vec![2; 5])]);
        let bytes = Pack::write("en", &clips);
        let pack = Pack::parse(bytes.clone().into()).unwrap();
        assert_eq!((pack.language(), pack.clip("b").unwrap().as_ref()), ("en", &[2; 5][..]));
        assert!(pack.clip("c").is_none());
        assert!(Pack::parse(Bytes::from(bytes[..bytes.len() - 1].to_vec())).is_none());
        assert!(Pack::parse(Bytes::from_static(b"RIFF")).is_none());
    }
}
