//! The documents at the end of an export's archive, written message by message while their audio goes out:
//! `manifest.json`, `output.json` in the vendor's shape, and `index.html` for people.
//!
//! The first and the last hold a row for each message and are kept [packed](super::packed_text) until they are sent, so that
//! an export of a hundred thousand messages takes some megabytes; of the second, only names. All are JSON and HTML as if
//! they were written at once.

use crate::export_page::{self as page, Row};
use crate::packed_text::PackedText;
use crate::{MailboxId, MessageId};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

/// A part of a document.
pub enum Part {
    /// Text as it is.
    Plain(String),
    /// Text that comes in pieces.
    Packed(PackedText),
}

impl Part {
    /// Bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Plain(text) => text.len() as u64,
            Self::Packed(text) => text.length(),
        }
    }
}

/// The request that an archive answers.
pub struct About<'a> {
    /// Its case.
    pub case: &'a str,
    /// Its run.
    pub run: &'a str,
    /// When it was made, RFC 3339.
    pub created: &'a str,
}

/// The documents of the messages that went out until now.
pub struct Documents {
    manifest: PackedText,
    page: PackedText,
    /// Names of files, without the ending, in the order of the archive.
    files: Vec<Box<str>>,
    /// Each phone as given, with its files.
    phones: Vec<(String, Vec<u32>)>,
    /// The request named messages.
    by_message: bool,
}

impl Documents {
    /// Of no message yet.
    pub fn new(phones: &[String], by_message: bool) -> Self {
        let phones = phones.iter().map(|phone| (phone.clone(), Vec::new())).collect();
        Self {
            manifest: PackedText::default(),
            page: PackedText::default(),
            files: Vec::new(),
            phones,
            by_message,
        }
    }

    /// Adds a message: its file's name without the ending, what the manifest says of it, its row of the page, and whether it is
    /// of each phone, in their order.
    ///
    /// # Errors
    /// The compressor's.
    pub fn add(
        &mut self,
        file: &str,
        entry: &Value,
        row: &Row<'_>,
        of_phones: impl IntoIterator<Item = bool>,
    ) -> io::Result<()> {
        let before = if self.manifest.is_empty() { "" } else { ",\n" };
        self.manifest.push(&format!("{before}{}", indented(entry)))?;
        self.page.push(&page::row(row))?;
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.files.push(file.into());
        let theirs = self.phones.iter_mut().zip(of_phones).filter(|(_, is_theirs)| *is_theirs);
        theirs.for_each(|((_, files), _)| files.push(number));
        Ok(())
    }

    /// The documents by their names.
    pub fn finish(self, about: &About<'_>) -> [(&'static str, Vec<Part>); 3] {
        let output = Part::Plain(format!("{:#}\n", self.output(about.case)));
        let page = vec![
            Part::Plain(page::head(about.case, about.created, self.files.len())),
            Part::Packed(self.page),
            Part::Plain(page::TAIL.to_owned()),
        ];
        let manifest = manifest(about, self.manifest);
        [("manifest.json", manifest), ("output.json", vec![output]), ("index.html", page)]
    }

    fn output(&self, case: &str) -> Value {
        let name =
            |number: &u32| self.files.get(*number as usize).map(|file| Value::String(file.to_string()));
        let names = |files: &Vec<u32>| files.iter().filter_map(name).collect::<Vec<_>>();
        let consumers: Map<String, Value> =
            self.phones.iter().map(|(phone, files)| (phone.clone(), names(files).into())).collect();
        let mut output = json!({ "caseid": case, "consumers": consumers });
        if self.by_message {
            output["messages"] = self.files.iter().map(|file| Value::String(file.to_string())).collect();
        }
        output
    }
}

/// Hashes of the names of files that are given away. Two names of one hash only make the second one longer.
#[derive(Default)]
pub struct Names(HashSet<u64>);

impl Names {
    /// The file's name, without the ending: as long as every archiver takes it, and no other file's, whatever case counts.
    pub fn of(&mut self, mailbox: &MailboxId, id: MessageId) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.@+".contains(c) { c } else { '_' };
        let mailbox: String = mailbox.as_str().chars().map(plain).take(40).collect();
        let first = id.to_string();
        let second = format!("{first}-{mailbox}");
        let further = (2u32..).map(|number| format!("{second}-{number}"));
        let mut names = [first, second.clone()].into_iter().chain(further);
        names.find(|name| self.0.insert(hash(&name.to_ascii_lowercase()))).unwrap_or(second)
    }
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// Stands where the manifest's rows go; no text of it holds a line's end.
const ROWS: &str = "\n    \"rows\"\n";

fn manifest(about: &About<'_>, rows: PackedText) -> Vec<Part> {
    let held: &[&str] = if rows.is_empty() { &[] } else { &["rows"] };
    let About { case, run, created } = about;
    let whole = json!({ "caseid": case, "run": run, "createdAt": created, "messages": held });
    let whole = format!("{whole:#}\n");
    match whole.split_once(ROWS) {
        Some((before, after)) => {
            vec![Part::Plain(format!("{before}\n")), Part::Packed(rows), Part::Plain(format!("\n{after}"))]
        }
        None => vec![Part::Plain(whole)],
    }
}

/// A message of the manifest, as deep as it stands there.
fn indented(entry: &Value) -> String {
    let lines = format!("{entry:#}");
    format!("    {}", lines.replace('\n', "\n    "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: Vec<Part>) -> String {
        let (mut read, mut said) = (Vec::new(), 0);
        for part in parts {
            said += part.length();
            match part {
                Part::Plain(text) => read.extend(text.into_bytes()),
                Part::Packed(text) => text.pieces().unwrap().for_each(|piece| read.extend(piece.unwrap())),
            }
        }
        assert_eq!(read.len() as u64, said);
        String::from_utf8(read).unwrap()
    }

    fn entry(number: u32) -> Value {
        json!({ "id": number, "caller": "\n    \"rows\"\n", "nothing": null, "list": [1, 2] })
    }

    fn written(messages: u32) -> [String; 3] {
        let mut documents = Documents::new(&["+44 1".into(), "+44 2".into()], true);
        for number in 0..messages {
            let file = format!("m{number}");
            let row = Row {
                file: &format!("{file}.wav"),
                mailbox: "1001",
                received: "now",
                caller: None,
                name: None,
                duration_ms: 1_000,
            };
            documents.add(&file, &entry(number), &row, [number % 2 == 0, false]).unwrap();
        }
        let about = About { case: "7", run: "7/exportme.1", created: "now" };
        documents.finish(&about).map(|(_, parts)| read(parts))
    }

    #[test]
    fn no_two_files_of_one_archive_have_one_name() {
        let mut names = Names::default();
        let id = MessageId::new(crate::Time(1), &[7; 10]);
        let [one, two]: [MailboxId; 2] = ["1001", "1002"].map(|name| name.parse().unwrap());
        assert_eq!(names.of(&one, id), id.to_string());
        assert_eq!(names.of(&two, id), format!("{id}-1002"));
        assert_eq!(names.of(&two, id), format!("{id}-1002-2"));
    }

    #[test]
    fn documents_are_as_if_they_were_written_at_once() {
        for messages in [0, 1, 3] {
            let [manifest, output, page] = written(messages);
            let entries: Vec<Value> = (0..messages).map(entry).collect();
            let whole =
                json!({ "caseid": "7", "run": "7/exportme.1", "createdAt": "now", "messages": entries });
            assert_eq!(manifest, format!("{whole:#}\n"));
            let all: Vec<String> = (0..messages).map(|number| format!("m{number}")).collect();
            let first: Vec<&String> = all.iter().step_by(2).collect();
            let whole =
                json!({ "caseid": "7", "consumers": { "+44 1": first, "+44 2": [] }, "messages": all });
            assert_eq!(output, format!("{whole:#}\n"));
            assert_eq!(page.matches("<audio ").count(), messages as usize);
            assert!(
                page.contains(&format!(": {messages} messages.")) && page.ends_with("</html>\n"),
                "{page}"
            );
        }
    }
}
