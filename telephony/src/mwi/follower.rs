//! Streams of the core for the mailboxes that somebody watches, up to 500 each.
//!
//! ```text
//! board: new names ─▶ groups ─▶ one stream a group ─▶ board ─▶ subscriptions
//! ```
//!
//! A stream begins with the state of its whole group, so that nothing that changed while there was none is missed. It ends when
//! the core ends it, is replaced, or is silent for too long; it is opened again at once, and then after growing pauses. While the
//! core has no such stream (a former release) it is asked about each mailbox every half minute.

use super::board::Board;
use crate::core::{CoreError, MOST_WATCHED, Voicemail};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Names that come within this time share a stream.
const GATHER: Duration = Duration::from_millis(300);
/// How often groups are rid of what nobody watches any more.
const TIDY: Duration = Duration::from_secs(60);
/// Before a stream is opened again, the first time and at most.
const SOONEST: Duration = Duration::from_millis(500);
const LATEST: Duration = Duration::from_secs(30);
/// A stream that lived so long has ended in the course of things.
const LASTING: Duration = Duration::from_secs(10);

/// Names in groups: each has a stream of its own.
type Group = BTreeSet<String>;

/// The groups for what is watched now: of those that there are, those whose names are mostly watched stay as they are. A new
/// one takes in those that aren't larger, so that each name changes its group a few times and there are few groups.
fn arrange(groups: Vec<Group>, watched: &BTreeSet<String>) -> Vec<Group> {
    let (mut kept, mut missing): (Vec<Group>, Group) = (Vec::new(), watched.clone());
    for group in groups {
        let used = group.intersection(watched).count();
        if used > 0 && used * 2 >= group.len() {
            group.iter().for_each(|name| {
                missing.remove(name);
            });
            kept.push(group);
        }
    }
    let missing: Vec<String> = missing.into_iter().collect();
    for names in missing.chunks(MOST_WATCHED) {
        let mut fresh: Group = names.iter().cloned().collect();
        let fits = |group: &Group, fresh: &Group| {
            group.len() <= fresh.len() && group.len() + fresh.len() <= MOST_WATCHED
        };
        while let Some(place) = kept.iter().position(|group| fits(group, &fresh)) {
            fresh.extend(kept.swap_remove(place).into_iter().filter(|name| watched.contains(name)));
        }
        kept.push(fresh);
    }
    kept
}

/// Keeps the board right until it is dropped.
pub async fn follow(
    board: Arc<Board>,
    voicemail: Arc<dyn Voicemail>,
    count: impl Fn(&'static str) + Clone + Send + 'static,
) {
    let mut streams = Streams::default();
    loop {
        let groups = arrange(streams.groups(), &board.watched());
        streams.set(groups, |group| follow_group(board.clone(), voicemail.clone(), group, count.clone()));
        tokio::select! {
            () = board.wait_for_new() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(TIDY) => {}
        }
    }
}

/// The stream of each group; they end with this.
#[derive(Default)]
struct Streams(HashMap<Group, AbortHandle>);

impl Streams {
    fn groups(&self) -> Vec<Group> {
        self.0.keys().cloned().collect()
    }

    /// Opens what is new, and then closes what is over.
    fn set<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        groups: Vec<Group>,
        open: impl Fn(Group) -> F,
    ) {
        let mut over = std::mem::take(&mut self.0);
        for group in groups {
            let stream = match over.remove(&group) {
                Some(stream) => stream,
                None => tokio::spawn(open(group.clone())).abort_handle(),
            };
            self.0.insert(group, stream);
        }
        over.values().for_each(AbortHandle::abort);
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.0.values().for_each(AbortHandle::abort);
    }
}

async fn follow_group(
    board: Arc<Board>,
    voicemail: Arc<dyn Voicemail>,
    group: Group,
    count: impl Fn(&'static str),
) {
    let names: Vec<String> = group.iter().cloned().collect();
    let mut pause = SOONEST;
    loop {
        let begun = Instant::now();
        let ended = match voicemail.watch(&names).await {
            Ok(mut stream) => {
                count("opened");
                let ended = loop {
                    match stream.next().await {
                        Ok(step) => board.apply(&group, step),
                        Err(error) => break error,
                    }
                };
                count("ended");
                ended
            }
            Err(error) => {
                count("failed");
                tracing::warn!(%error, "changes of watched mailboxes can't be followed now");
                error
            }
        };
        if begun.elapsed() >= LASTING {
            pause = SOONEST;
        }
        // It answers, and has no such stream for us.
        if matches!(ended, CoreError::Unknown | CoreError::Refused { .. }) {
            board.ask_all(voicemail.as_ref(), &group).await;
            pause = LATEST;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LATEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::MwiStep;
    use crate::core::tests::MemoryCore;
    use proptest::prelude::*;
    use tokio::sync::mpsc;
    use voicemail_api::telephony::Counts;

    fn names(of: impl IntoIterator<Item = u16>) -> BTreeSet<String> {
        of.into_iter().map(|name| name.to_string()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn each_watched_name_is_in_one_group_and_groups_are_few_and_none_too_large(
            rounds in prop::collection::vec((0u16..3_000, 1u16..900, any::<bool>()), 1..16),
        ) {
            let (mut watched, mut groups) = (BTreeSet::new(), Vec::new());
            for (from, many, comes) in rounds {
                let some = names(from..from + many);
                watched = if comes { &watched | &some } else { &watched - &some };
                groups = arrange(groups, &watched);
                let all: usize = groups.iter().map(Group::len).sum();
                let together: BTreeSet<String> = groups.iter().flatten().cloned().collect();
                prop_assert_eq!(all, together.len(), "a name is in two groups");
                prop_assert!(watched.is_subset(&together));
                prop_assert!(groups.iter().all(|group| (1..=MOST_WATCHED).contains(&group.len())));
                prop_assert!(groups.iter().all(|group| group.intersection(&watched).count() * 2 >= group.len()));
                prop_assert_eq!(arrange(groups.clone(), &watched), groups.clone(), "nothing to do");
            }
        }
    }

    #[test]
    fn phones_that_come_one_by_one_share_few_streams() {
        let (mut groups, mut opened) = (Vec::new(), 0);
        for count in 1..=2_000u16 {
            let before: BTreeSet<Group> = groups.iter().cloned().collect();
            groups = arrange(groups, &names(0..count));
            opened += groups.iter().filter(|group| !before.contains(*group)).map(Group::len).sum::<usize>();
        }
        assert!(groups.len() < 16, "{}", groups.len());
        assert!(opened < 2_000 * 12, "{opened} mailboxes were read");
    }

    fn new(count: u32) -> Counts {
        Counts { new: count, ..Counts::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_breaks_is_opened_again_and_its_state_counts() {
        let core = Arc::new(MemoryCore::default());
        let ((first, one), (second, two)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        core.push(vec![one, two]);
        let board = Arc::new(Board::default());
        let mut shown = board.watch("1001", new(0));
        let following = tokio::spawn(follow(board.clone(), core.clone(), |_| ()));
        first.send(MwiStep::State(vec![("1001".into(), new(1))])).unwrap();
        shown.changed().await.unwrap();
        assert_eq!(shown.borrow_and_update().unwrap().new, 1);
        // What changes meanwhile is in the next one's state.
        drop(first);
        second.send(MwiStep::State(vec![("1001".into(), new(4))])).unwrap();
        shown.changed().await.unwrap();
        assert_eq!(shown.borrow_and_update().unwrap().new, 4);
        second.send(MwiStep::Changed("1001".into(), new(2))).unwrap();
        shown.changed().await.unwrap();
        assert_eq!(shown.borrow_and_update().unwrap().new, 2);
        assert_eq!(core.watched(), [["1001"], ["1001"]]);
        following.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_core_without_such_streams_is_asked_again_and_again() {
        let core = Arc::new(MemoryCore::default());
        let board = Arc::new(Board::default());
        let mut shown = board.watch("1001", new(7));
        let following = tokio::spawn(follow(board.clone(), core.clone(), |_| ()));
        shown.changed().await.unwrap();
        assert_eq!(shown.borrow_and_update().unwrap().new, 0);
        core.deposit("1001", "id", &Default::default(), b"RIFF".to_vec()).await.unwrap();
        shown.changed().await.unwrap();
        assert_eq!(shown.borrow_and_update().unwrap().new, 1);
        following.abort();
    }
}
