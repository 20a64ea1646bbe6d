//! Marks, runs, manifests and receipts, each against the others.

use super::finding::{Code, Finding};
use super::mailbox::is_older;
use super::read::{self, Read};
use super::{Checker, GRACE};
use voicemail_api::gdpr::{Operation, RunState};
use voicemail_model::{Manifest, Mark, MarkState, Run, SignedReceipt};
use voicemail_store::{Key, StoreError};

/// The kind of a key below `gdpr/`.
enum Kind {
    Run,
    Manifest,
    Receipt,
}

/// Kind and run of a key: `gdpr/<case>/<operation>.<number>[.manifest.<round>|.receipt]`.
fn parse(key: &str) -> Option<(Kind, Key)> {
    let [_, case, name] = *key.split('/').collect::<Vec<_>>() else { return None };
    let parts: Vec<&str> = name.split('.').collect();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (kind, operation, number) = match *parts {
        [operation, number] => (Kind::Run, operation, number),
        [operation, number, "manifest", round] if is_number(round) => (Kind::Manifest, operation, number),
        [operation, number, "receipt"] => (Kind::Receipt, operation, number),
        _ => return None,
    };
    let known = [Operation::ForgetMe, Operation::ExportMe].iter().any(|known| known.segment() == operation);
    let run = Key::run_named(case, operation, number)?;
    (known && is_number(number)).then_some((kind, run))
}

impl Checker<'_> {
    pub(super) async fn check_gdpr(&mut self, key: &Key) -> Result<Vec<Finding>, StoreError> {
        match parse(key.as_str()) {
            None => Ok(vec![Finding::new(Code::ForeignKey, key)]),
            Some((Kind::Run, _)) => self.check_run(key).await,
            Some((Kind::Manifest, run)) => {
                let damaged = matches!(read::object::<Manifest>(self.store(), key).await?, Read::Undecodable);
                self.check_beside(key, &run, damaged.then_some(Code::UndecodableManifest)).await
            }
            Some((Kind::Receipt, run)) => {
                let damaged =
                    matches!(read::object::<SignedReceipt>(self.store(), key).await?, Read::Undecodable);
                self.check_beside(key, &run, damaged.then_some(Code::UndecodableReceipt)).await
            }
        }
    }

    async fn check_beside(
        &self,
        key: &Key,
        run: &Key,
        damage: Option<Code>,
    ) -> Result<Vec<Finding>, StoreError> {
        let alone = self.store().load(run).await?.is_none().then_some(Code::LeftOfRun);
        Ok(damage.into_iter().chain(alone).map(|code| Finding::new(code, key)).collect())
    }

    async fn check_run(&self, key: &Key) -> Result<Vec<Finding>, StoreError> {
        let run = match read::document::<Run>(self.store(), key).await? {
            Read::Missing => return Ok(Vec::new()),
            Read::Undecodable => return Ok(vec![Finding::new(Code::UndecodableRun, key)]),
            Read::Newer(_) => return Ok(vec![Finding::new(Code::NewerSchema, key)]),
            Read::Good(run) => run,
        };
        let mut found = Vec::new();
        if Key::run(&run.id) != *key {
            found.push(Finding::new(Code::Misfiled, key));
        }
        let inert = run.state == RunState::Opening && !is_older(run.created_at, self.now, GRACE * 26);
        if !run.has_ended() && !inert && !self.dues.runs.contains(&run.id) {
            found.push(Finding::new(Code::RunWithoutDue, key));
        }
        if run.has_ended() && run.remembers() {
            found.push(Finding::new(Code::RunRemembers, key));
        }
        Ok(found)
    }

    pub(super) async fn check_mark(&self, key: &Key) -> Result<Vec<Finding>, StoreError> {
        let mark = match read::document::<Mark>(self.store(), key).await? {
            Read::Missing => return Ok(Vec::new()),
            Read::Undecodable => return Ok(vec![Finding::new(Code::UndecodableMark, key)]),
            Read::Newer(_) => return Ok(vec![Finding::new(Code::NewerSchema, key)]),
            Read::Good(mark) => mark,
        };
        let mut found = Vec::new();
        for (id, marked) in &mark.runs {
            let read = read::document::<Run>(self.store(), &Key::run(id)).await?;
            let open = matches!(marked.state, MarkState::Marked | MarkState::Purging);
            match &read {
                Read::Missing => found.push(Finding::of(Code::MarkWithoutRun, key, id)),
                Read::Good(run) if run.has_ended() && open => {
                    found.push(Finding::of(Code::MarkDiffers, key, id));
                }
                _ => {}
            }
        }
        Ok(found)
    }
}
