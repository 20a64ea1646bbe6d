//! Properties of all operations, in random sequences.

use super::*;
use crate::UserId;
use crate::{AudioDigest, CallerId, Envelope, Mwi, Quota, TenantKey};
use proptest::prelude::*;
use voicemail_api::gdpr::Operation;

pub(crate) fn id(n: u8) -> MessageId {
    MessageId::new(Time(1_790_000_000_000), &[n; 10])
}

fn caller(n: u8) -> CallerHash {
    TenantKey::new(&[7; 32]).unwrap().hash(&n.to_string())
}

fn audio(n: u8) -> AudioKey {
    AudioKey::new(&"1001".parse().unwrap(), id(n), &caller(n % 2), Time(0), "a")
}

fn run(n: u8) -> RunId {
    RunId::new(&"c".parse().unwrap(), Operation::ForgetMe, n.into())
}

pub(super) fn envelope(n: u8) -> Envelope {
    Envelope {
        schema: 1,
        caller: CallerId::new("1"),
        normalised: None,
        rules: 1,
        caller_name: None,
        received: Time(i64::from(n)),
        duration_ms: 1,
        size: 1,
        region: "r".into(),
        audio: audio(n),
        digest: AudioDigest("d".into()),
        mends: Vec::new(),
        urgent: n.is_multiple_of(3),
        forwarded_from: None,
        expires: Time(1_000),
        generation: 1,
    }
}

pub(crate) fn entry(n: u8) -> Entry {
    envelope(n).entry(caller(n % 2), BTreeMap::new(), Time(0))
}

fn insertion(n: u8) -> IndexOp {
    let quota = Some(Quota { messages: 3, seconds: None });
    IndexOp::Insert(Box::new(NewEntry { id: id(n), entry: entry(n), generation: 1, quota }))
}

fn item(n: u8) -> PurgeItem {
    PurgeItem { id: id(n), caller: caller(n % 2), audio: audio(n), region: "r".into() }
}

fn member(n: u8) -> UserId {
    ["ann", "ben"][usize::from(n % 2)].parse().unwrap()
}

fn operation() -> impl Strategy<Value = IndexOp> {
    let keep = Duration::from_secs(60);
    let delete = move |n: u8, only_expired, only_visible| IndexOp::BeginDelete {
        id: id(n),
        caller: caller(n % 2),
        audio: audio(n),
        only_expired,
        only_visible,
    };
    let messages = |n: u8| BTreeMap::from([(id(n), caller(n % 2))]);
    prop_oneof![
        4 => (0u8..6).prop_map(insertion),
        2 => (0u8..6, 0u8..3).prop_map(move |(n, r)| IndexOp::Flag { run: run(r), purge_at: Time(9), messages: messages(n) }),
        1 => (0u8..3).prop_map(|r| IndexOp::ClearFlags { run: run(r) }),
        1 => (0u8..6, any::<bool>(), any::<bool>()).prop_map(move |(n, e, v)| delete(n, e, v)),
        1 => (0u8..6).prop_map(|n| IndexOp::FinishDelete { id: id(n), caller: caller(n % 2), audio: audio(n) }),
        1 => (0u8..6).prop_map(|n| IndexOp::BeginPurge(vec![item(n)])),
        1 => (0u8..6).prop_map(|n| IndexOp::FinishPurge(vec![item(n)])),
        1 => (0u8..6).prop_map(|n| IndexOp::Change {
            id: id(n),
            change: MessageChange {
                state: (n < 4).then_some(MessageState::Read),
                heard: n.is_multiple_of(3),
                ..MessageChange::default()
            },
            by: n.is_multiple_of(2).then(|| member(n)),
            only_if: None,
        }),
        1 => (0u8..6).prop_map(|n| IndexOp::Claim { id: id(n), by: member(n), take_over: n > 3 }),
        1 => (0u8..6).prop_map(|n| IndexOp::Release { id: id(n), by: member(n) }),
        1 => (0u8..6).prop_map(move |n| IndexOp::MoveToTrash { id: id(n), keep }),
        1 => (0u8..6).prop_map(|n| IndexOp::Restore(id(n))),
        1 => (0u8..6).prop_map(move |n| IndexOp::Hold { hold: "h".into(), until: Time(50), messages: messages(n) }),
        1 => (0u8..6, 1u64..100).prop_map(|(n, seconds)| IndexOp::Restamp {
            retention: Duration::from_secs(seconds),
            messages: BTreeSet::from([id(n)]),
        }),
        1 => (1..4_u32).prop_map(|generation| IndexOp::Close { generation }),
        1 => (1..4_u32).prop_map(|generation| IndexOp::Open { generation }),
    ]
}

fn open_index() -> Index {
    Index { generation: 1, ..Index::default() }
}

proptest! {
    #[test]
    fn an_operation_applied_twice_changes_nothing_the_second_time(
        before in prop::collection::vec(operation(), 0..20),
        twice in operation(),
    ) {
        let mut index = open_index();
        for op in &before {
            index.apply(op, Time(1));
        }
        index.apply(&twice, Time(1));
        let once = index.clone();
        let (changed, _) = index.apply(&twice, Time(1));
        prop_assert!(!changed, "{twice:?}");
        prop_assert_eq!(once, index);
    }

    #[test]
    fn a_change_is_reported_exactly_when_there_is_one(ops in prop::collection::vec(operation(), 0..30)) {
        let mut index = open_index();
        for op in &ops {
            let before = index.clone();
            let (changed, _) = index.apply(op, Time(1));
            prop_assert_eq!(changed, before != index, "{:?}", op);
        }
    }

    #[test]
    fn mwi_counts_what_the_list_shows(ops in prop::collection::vec(operation(), 0..30)) {
        let mut index = open_index();
        for op in &ops {
            index.apply(op, Time(1));
            let mwi = Mwi::count(&index);
            prop_assert_eq!((mwi.new + mwi.old) as usize, index.listed());
            prop_assert!(mwi.urgent_new <= mwi.new && mwi.urgent_old <= mwi.old);
        }
    }

    #[test]
    fn an_id_that_is_gone_never_has_an_entry_again(ops in prop::collection::vec(operation(), 0..40)) {
        let mut index = open_index();
        for op in &ops {
            index.apply(op, Time(1));
            let both = index.gone.keys().find(|id| index.entries.contains_key(id));
            prop_assert_eq!(both, None, "{:?}", op);
        }
    }
}

#[test]
fn the_clock_stands_still_while_any_run_hides_a_message() {
    let mut index = open_index();
    index.apply(&insertion(1), Time(0));
    let flag =
        |r| IndexOp::Flag { run: run(r), purge_at: Time(9), messages: BTreeMap::from([(id(1), caller(1))]) };
    index.apply(&flag(1), Time(100));
    index.apply(&flag(2), Time(200));
    index.apply(&IndexOp::ClearFlags { run: run(1) }, Time(300));
    assert_eq!(index.entries[&id(1)].expires, Time(1_000));
    index.apply(&IndexOp::ClearFlags { run: run(2) }, Time(400));
    assert_eq!(index.entries[&id(1)].expires, Time(1_300));
}

/// Its audio has been removed by then: an entry would play nothing.
#[test]
fn an_attempt_that_found_no_room_is_refused_even_when_there_is_some() {
    let (mut index, quota) = (open_index(), Some(Quota { messages: 1, seconds: None }));
    let attempt = |n: u8| {
        let new = NewEntry { id: id(n), entry: entry(n), generation: 1, quota };
        IndexOp::Insert(Box::new(new))
    };
    assert_eq!(index.apply(&attempt(1), Time(0)).1, IndexOutcome::Done);
    let IndexOp::Insert(mut second) = attempt(2) else { unreachable!() };
    second.entry.audio = AudioKey::new(&"1001".parse().unwrap(), id(2), &caller(0), Time(5), "b");
    let second = IndexOp::Insert(second);
    assert_eq!(index.apply(&second, Time(0)), (true, IndexOutcome::NoRoom(Room::Full)));
    let gone = IndexOp::FinishDelete { id: id(1), caller: caller(1), audio: audio(1) };
    index.apply(&gone, Time(0));
    assert_eq!(index.apply(&second, Time(0)), (false, IndexOutcome::NoRoom(Room::Full)));
    assert_eq!(
        index.apply(&attempt(2), Time(0)).1,
        IndexOutcome::Done,
        "another attempt has audio of its own"
    );
}

#[test]
fn a_generation_never_comes_back() {
    let mut index = Index::default();
    let (open, close) =
        (|generation| IndexOp::Open { generation }, |generation| IndexOp::Close { generation });
    assert_eq!(index.apply(&open(3), Time(0)).1, IndexOutcome::Done);
    assert!(index.is_meant_by(None) && index.is_meant_by(Some(3)) && !index.is_meant_by(Some(2)));
    assert!(!index.apply(&close(2), Time(0)).0 && !index.closed, "it is another one");
    index.apply(&close(3), Time(0));
    for former in 0..4 {
        assert_eq!(index.apply(&open(former), Time(0)), (false, IndexOutcome::Changed));
    }
    assert_eq!(index.apply(&open(4), Time(0)).1, IndexOutcome::Done);
    assert!(!index.is_meant_by(None) && !index.is_meant_by(Some(3)) && index.is_meant_by(Some(4)));
}
