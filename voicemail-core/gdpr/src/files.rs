//! The files of the command: the input, `output.json`, exported media, `execution.log`.

use super::Failure;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use voicemail_api::gdpr::{self, GdprBody};

fn fault(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::Local(format!("{}: {error}", path.display()))
}

/// Reads the script's input. Faults are told by place, never by content.
pub(super) fn read_input(given: &Path) -> Result<GdprBody, Failure> {
    let file = if given.is_dir() { given.join("input.json") } else { given.to_owned() };
    let text = fs::read(&file).map_err(fault(&file))?;
    gdpr::read_input(&text).map_err(|error| Failure::Local(format!("{} {error}", file.display())))
}

/// The files hold names of people: nobody else on this machine may read them.
fn create(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    let file =
        options.create(true).write(true).truncate(true).mode(PRIVATE).open(path).map_err(fault(path))?;
    restrict(&file, path)?;
    Ok(file)
}

/// A file of before, too.
fn restrict(file: &File, path: &Path) -> Result<(), Failure> {
    file.set_permissions(fs::Permissions::from_mode(PRIVATE)).map_err(fault(path))
}

const PRIVATE: u32 = 0o600;
/// Names the run whose recordings stand in the folder, and a digest of whom it is about.
const RUN_FILE: &str = "run.txt";

/// The output folder, and its log.
pub(super) struct Output {
    folder: PathBuf,
    log: File,
    bar: Option<indicatif::ProgressBar>,
}

impl Output {
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fault(folder))?;
        let path = folder.join("execution.log");
        let mut options = OpenOptions::new();
        let log = options.create(true).append(true).mode(PRIVATE).open(&path).map_err(fault(&path))?;
        restrict(&log, &path)?;
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

    /// Takes the folder for the recordings of a run. A folder that holds another person's would hand these out with the
    /// other's; a newer export about the same people takes the place of the one before.
    pub(super) fn claim(&self, run: &str, people: &str) -> Result<(), Failure> {
        let other = match self.owner()? {
            Some((owner, known)) if owner == run || known.as_deref() == Some(people) => {
                if owner != run {
                    self.remove_recordings()?;
                }
                return self.sign(run, people);
            }
            Some((owner, _)) => format!("the recordings of run {owner}"),
            None if self.holds_recordings()? => "recordings of a run that it doesn't name".to_owned(),
            None => return self.sign(run, people),
        };
        Err(Failure::Local(format!(
            "{} holds {other}: name another folder (-o) for run {run}",
            self.folder.display()
        )))
    }

    fn sign(&self, run: &str, people: &str) -> Result<(), Failure> {
        let path = self.folder.join(RUN_FILE);
        write!(create(&path)?, "{run}\n{people}\n").map_err(fault(&path))
    }

    /// The run and the subject of the recordings in this folder: as we wrote it, or as an archive of a former release
    /// says.
    fn owner(&self) -> Result<Option<(String, Option<String>)>, Failure> {
        let read = |name: &str| {
            let path = self.folder.join(name);
            match fs::read_to_string(&path) {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(fault(&path)(error)),
            }
        };
        if let Some(text) = read(RUN_FILE)? {
            let mut lines = text.lines().map(str::to_owned);
            return Ok(lines.next().map(|run| (run, lines.next())));
        }
        let manifest = read("manifest.json")?.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        Ok(manifest.and_then(|manifest| Some((manifest["run"].as_str()?.to_owned(), None))))
    }

    fn recordings(&self) -> Result<Vec<PathBuf>, Failure> {
        let entries = fs::read_dir(&self.folder).map_err(fault(&self.folder))?;
        let paths = entries.flatten().map(|entry| entry.path());
        Ok(paths.filter(|path| path.extension().is_some_and(|end| end == "wav")).collect())
    }

    fn remove_recordings(&self) -> Result<(), Failure> {
        self.recordings()?.iter().try_for_each(|path| fs::remove_file(path).map_err(fault(path)))
    }

    fn holds_recordings(&self) -> Result<bool, Failure> {
        Ok(!self.recordings()?.is_empty())
    }

    pub(super) fn write_answer(&self, answer: &Value) -> Result<(), Failure> {
        let path = self.folder.join("output.json");
        let text = serde_json::to_string_pretty(answer).map_err(|error| Failure::Local(error.to_string()))?;
        create(&path)?.write_all((text + "\n").as_bytes()).map_err(fault(&path))
    }

    /// A file for the archive, which is gone afterwards.
    pub(super) fn archive(&self) -> Result<tempfile::NamedTempFile, Failure> {
        tempfile::NamedTempFile::new_in(&self.folder).map_err(fault(&self.folder))
    }

    /// Unpacks media, manifest and output.json; gives how many media there are. Names with a path are refused.
    pub(super) fn unpack(&self, archive: &Path) -> Result<u64, Failure> {
        let broken = fault(&self.folder);
        let (mut media, mut names) = (0, HashSet::new());
        let mut archive = tar::Archive::new(File::open(archive).map_err(&broken)?);
        for entry in archive.entries().map_err(&broken)? {
            let mut entry = entry.map_err(&broken)?;
            let name = entry.path().map_err(&broken)?.into_owned();
            if name.components().count() != 1 || name.file_name().is_none() {
                return Err(Failure::Local("the archive holds a path, which was not unpacked".into()));
            }
            if !names.insert(name.clone()) {
                let words = "the archive holds two files of one name, and one of them isn't unpacked: upgrade the service";
                return Err(Failure::Local(words.into()));
            }
            let mut file = create(&self.folder.join(&name))?;
            std::io::copy(&mut entry, &mut file).map_err(&broken)?;
            media += u64::from(name.extension().is_some_and(|extension| extension == "wav"));
        }
        Ok(media)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(folder: &Path) -> Output {
        Output::open(folder).unwrap()
    }

    #[test]
    fn a_folder_with_recordings_of_one_run_takes_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out");
        output(&place).claim("c/exportme.1", "anna").unwrap();
        output(&place).claim("c/exportme.1", "anna").unwrap();
        let error = output(&place).claim("d/exportme.1", "bert").unwrap_err().to_string();
        assert!(error.contains("c/exportme.1") && error.contains("d/exportme.1"), "{error}");
        fs::write(place.join("1.wav"), "RIFF").unwrap();
        output(&place).claim("c/exportme.2", "anna").unwrap();
        assert!(!place.join("1.wav").exists(), "what a newer export doesn't hold is gone");
    }

    #[test]
    fn a_folder_of_a_former_release_is_known_by_its_manifest_and_one_without_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.wav"), "RIFF").unwrap();
        assert!(output(folder.path()).claim("c/exportme.1", "anna").is_err());
        fs::write(folder.path().join("manifest.json"), r#"{"run":"c/exportme.1"}"#).unwrap();
        assert!(output(folder.path()).claim("c/exportme.2", "anna").is_err());
        output(folder.path()).claim("c/exportme.1", "anna").unwrap();
    }

    #[test]
    fn nobody_else_may_read_what_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out");
        fs::create_dir(&place).unwrap();
        fs::write(place.join("output.json"), "of before").unwrap();
        let output = output(&place);
        output.write_answer(&json!({})).unwrap();
        output.claim("c/exportme.1", "anna").unwrap();
        for name in ["output.json", "execution.log", RUN_FILE] {
            let mode = fs::metadata(place.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, PRIVATE, "{name}");
        }
    }

    fn archive(names: &[&str], folder: &Path) -> PathBuf {
        let path = folder.join("export.tar");
        let mut archive = tar::Builder::new(File::create(&path).unwrap());
        for name in names {
            let mut header = tar::Header::new_ustar();
            header.set_size(3);
            archive.append_data(&mut header, name, &b"abc"[..]).unwrap();
        }
        archive.finish().unwrap();
        path
    }

    #[test]
    fn every_member_of_an_archive_is_a_file_or_the_archive_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::open(&folder.path().join("out")).unwrap();
        let good = archive(&["1.wav", "1-1002.wav", "output.json"], folder.path());
        assert!(matches!(output.unpack(&good), Ok(2)));
        assert!(["1.wav", "1-1002.wav"].iter().all(|name| folder.path().join("out").join(name).exists()));
        let bad = archive(&["2.wav", "2.wav"], folder.path());
        assert!(matches!(output.unpack(&bad), Err(Failure::Local(words)) if words.contains("two files")));
    }
}
