//! What the command reads and leaves: the input, `output.json`, exported media, `execution.log`.

use super::Failure;
use crate::gdpr_api::GdprBody;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

fn fault(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::Local(format!("{}: {error}", path.display()))
}

/// Reads the script's input. What is wrong with it is told by place, never by content.
pub(super) fn read_input(given: &Path) -> Result<GdprBody, Failure> {
    let file = if given.is_dir() { given.join("input.json") } else { given.to_owned() };
    let text = fs::read(&file).map_err(fault(&file))?;
    serde_json::from_slice(&text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        Failure::Local(format!("{}: it isn't as expected at {place}", file.display()))
    })
}

/// The output folder, and its log.
pub(super) struct Output {
    folder: PathBuf,
    log: File,
    bar: Option<indicatif::ProgressBar>,
}

impl Output {
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder).map_err(fault(folder))?;
        let path = folder.join("execution.log");
        let log = OpenOptions::new().create(true).append(true).open(&path).map_err(fault(&path))?;
        let bar = std::io::stderr().is_terminal().then(indicatif::ProgressBar::new_spinner);
        Ok(Self { folder: folder.to_owned(), log, bar })
    }

    /// Tells how far it is: in the log always, and as a line of JSON where nobody looks at a terminal.
    pub(super) fn tell(&mut self, mut event: Value) -> Result<(), Failure> {
        event["at"] = json!(jiff::Timestamp::now().to_string());
        writeln!(self.log, "{event}").map_err(fault(&self.folder))?;
        match &self.bar {
            Some(bar) => {
                bar.set_message(format!("{} {}", event["event"], event["state"]));
                bar.tick();
                Ok(())
            }
            None => writeln!(std::io::stdout(), "{event}").map_err(|error| Failure::Local(error.to_string())),
        }
    }

    pub(super) fn write_answer(&self, answer: &Value) -> Result<(), Failure> {
        let path = self.folder.join("output.json");
        let text = serde_json::to_string_pretty(answer).map_err(|error| Failure::Local(error.to_string()))?;
        fs::write(&path, text + "\n").map_err(fault(&path))
    }

    /// A file for the archive, which is gone afterwards.
    pub(super) fn archive(&self) -> Result<tempfile::NamedTempFile, Failure> {
        tempfile::NamedTempFile::new_in(&self.folder).map_err(fault(&self.folder))
    }

    /// Unpacks media, manifest and output.json; gives how many media there are. Names with a path are refused.
    pub(super) fn unpack(&self, archive: &Path) -> Result<u64, Failure> {
        let broken = fault(&self.folder);
        let mut media = 0;
        let mut archive = tar::Archive::new(File::open(archive).map_err(&broken)?);
        for entry in archive.entries().map_err(&broken)? {
            let mut entry = entry.map_err(&broken)?;
            let name = entry.path().map_err(&broken)?.into_owned();
            if name.components().count() != 1 || name.file_name().is_none() {
                return Err(Failure::Local("the archive holds a path, which was not unpacked".into()));
            }
            let mut file = File::create(self.folder.join(&name)).map_err(&broken)?;
            std::io::copy(&mut entry, &mut file).map_err(&broken)?;
            media += u64::from(name.extension().is_some_and(|extension| extension == "wav"));
        }
        Ok(media)
    }
}
