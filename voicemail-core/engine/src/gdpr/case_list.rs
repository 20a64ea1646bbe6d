//! The list of cases, page by page, in the order of their ids as keys have them.
//!
//! A page reads what it shows, and where it has to choose by state or end at most 200 cases, however long the history is:
//! it may be shorter than asked for, or empty, and another one follow. Cases received since some time are found by
//! the register's months, so that those of former years aren't read at all. What can't be read is left out: `fsck`
//! finds it.

use super::open_runs::run_key;
use super::runs::is_run;
use super::{Gdpr, GdprError, register};
use crate::context::Context;
use futures::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet};
use voicemail_api::gdpr::{CasePage, CaseView, RunState};
use voicemail_model::{Run, Time};
use voicemail_store::{Family, Key, StoreError};

/// Cases that are read for one page that chooses among them.
const LOOKS: usize = 200;

/// Which cases to list.
#[derive(Clone, Debug, Default)]
pub struct CaseFilter {
    /// With a run in that state.
    pub state: Option<RunState>,
    /// Received from then on.
    pub from: Option<Time>,
    /// Received before then.
    pub to: Option<Time>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// At most this many.
    pub limit: usize,
}

impl CaseFilter {
    fn takes(&self, run: &Run, now: Time) -> bool {
        self.state.is_none_or(|state| run.state_at(now) == state)
            && self.from.is_none_or(|from| run.received_at() >= from)
            && self.to.is_none_or(|to| run.received_at() < to)
    }

    fn looks(&self) -> usize {
        let chooses = self.state.is_some() || self.to.is_some();
        if chooses { LOOKS.max(self.limit) } else { self.limit }
    }

    /// A key behind all of the cases of the pages before.
    fn begin(&self) -> String {
        let cursor = self.cursor.as_deref().filter(|cursor| !cursor.is_empty());
        // What comes next after a slash.
        cursor.map(|case| format!("{}{case}0", Family::Run.prefix())).unwrap_or_default()
    }
}

/// Keys of runs by case, in the order of a listing: the slash behind a name counts.
type Cases = BTreeMap<String, Vec<Key>>;

pub(super) async fn list(gdpr: &Gdpr, filter: &CaseFilter) -> Result<CasePage, GdprError> {
    let context = &gdpr.context;
    let (cases, more) = match filter.from {
        Some(from) => find_since(context, from, filter).await?,
        None => find_next(context, filter).await?,
    };
    let (now, master) = (context.world().now(), context.master());
    let (mut page, mut left) = (CasePage::default(), cases.len());
    let cases: Vec<_> = cases.into_iter().collect();
    'page: for some in cases.chunks(context.abreast()) {
        for (case, runs) in read(context, some).await? {
            if page.cases.len() == filter.limit {
                break 'page;
            }
            (left, page.next) = (left - 1, Some(case.to_owned()));
            if runs.iter().any(|run| filter.takes(run, now)) {
                let caseid = runs.first().map(|run| run.case.as_str().to_owned()).unwrap_or_default();
                let runs = runs.iter().map(|run| run.view(now, &master)).collect();
                page.cases.push(CaseView { caseid, runs });
            }
        }
    }
    page.next = page.next.filter(|_| more || left > 0);
    Ok(page)
}

/// The cases that come next, and whether there are more.
async fn find_next(context: &Context, filter: &CaseFilter) -> Result<(Cases, bool), StoreError> {
    let (mut cases, begin) = (Cases::new(), filter.begin());
    let mut keys = context.store().list_after(Family::Run.prefix(), &begin);
    while let Some(key) = keys.try_next().await? {
        let Some((case, key)) = parse(&key) else { continue };
        if cases.len() == filter.looks() && !cases.contains_key(&case) {
            return Ok((cases, true));
        }
        cases.entry(case).or_default().push(key);
    }
    Ok((cases, false))
}

/// The same of the cases that the register has from that month on.
async fn find_since(context: &Context, from: Time, filter: &CaseFilter) -> Result<(Cases, bool), StoreError> {
    let to = filter.to.unwrap_or(context.world().now().plus_months(1));
    let (entries, _) = register::list(context, (from, to), "", usize::MAX).await?;
    let named = |key: &Key| run_key(key.as_str().rsplit('/').next()?).and_then(|run| parse(run.as_str()));
    let begin = filter.begin();
    let cases: BTreeSet<String> = entries.iter().filter_map(named).map(|(case, _)| case).collect();
    let mut next = cases.into_iter().filter(|case| *case > begin);
    let found: Vec<String> = next.by_ref().take(filter.looks()).collect();
    let list = |case: String| async move {
        let keys: Vec<String> = context.store().list(&case).try_collect().await?;
        Ok::<_, StoreError>((case, keys.iter().filter_map(|key| Some(parse(key)?.1)).collect()))
    };
    Ok((context.all(found, list).await?.into_iter().collect(), next.next().is_some()))
}

/// The folder of a run's case, with the slash behind it, and the run.
fn parse(key: &str) -> Option<(String, Key)> {
    let (case, _) = key.rsplit_once('/').filter(|_| is_run(key))?;
    Some((format!("{case}/"), Key::listed(key)?))
}

/// The runs of some cases, oldest first. A damaged one must not hide the others.
async fn read<'a>(
    context: &Context,
    cases: &'a [(String, Vec<Key>)],
) -> Result<Vec<(&'a str, Vec<Run>)>, StoreError> {
    let load = |key: &Key| {
        let key = key.clone();
        async move {
            match context.documents().load::<Run>(&key).await {
                Err(error) if error.is_about_one() => Ok(None),
                other => other,
            }
        }
    };
    let mut loaded = context.all(cases.iter().flat_map(|(_, keys)| keys), load).await?.into_iter();
    let mut read = Vec::new();
    for (folder, keys) in cases {
        let mut runs: Vec<Run> = loaded.by_ref().take(keys.len()).flatten().collect();
        runs.sort_by_key(|run| (run.created_at, run.id.clone()));
        read.push((folder.split('/').nth(1).unwrap_or_default(), runs));
    }
    Ok(read)
}
