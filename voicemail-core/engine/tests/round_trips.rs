//! How many round trips to the store stand one behind the other in each operation, and how many requests it makes:
//! exactly, by virtual time. A number that rises here is a second that people wait for a store in another city.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use voicemail_api::config::Role;
use voicemail_api::gdpr::RunState;
use voicemail_audio::Recording;
use voicemail_engine::door::operations::ListMessages;
use voicemail_engine::gdpr::{CaseFilter, RegisterPage};
use voicemail_engine::mailbox::{MessageFilter, Sought};
use voicemail_engine::principal::Principal;
use voicemail_engine::sweep::Sweeper;
use voicemail_engine::testing::{
    CALLER, Cost, OTHER_CALLER, Requests, Site, TICK, body, mailbox, recording, ticks,
};
use voicemail_model::{AuditSubject, CallerId, Manifest, Time, User, UserId};
use voicemail_store::Key;

/// Messages of one caller, spread over mailboxes; then some time passes, so that nothing of it is remembered as fresh.
async fn site_with(messages: usize, boxes: usize) -> (Site, Arc<Requests>) {
    let (site, requests) = Site::in_memory_and_slow().await;
    for number in 0..boxes {
        let name = mailbox(&format!("2{number:04}"));
        site.core.directory.put_mailbox(&name, None, None).await.unwrap();
    }
    for number in 0..messages {
        site.deposit(&format!("2{:04}", number % boxes), CALLER).await;
    }
    site.pass_time(Duration::from_secs(60));
    (site, requests)
}

/// Notes when the last byte was taken.
fn watched(recording: Recording) -> (Recording, Arc<Mutex<Option<Instant>>>) {
    let last = Arc::new(Mutex::new(None));
    let note = Arc::clone(&last);
    let body = recording.body.inspect(move |_| *note.lock().unwrap() = Some(Instant::now())).boxed();
    (Recording { body, info: recording.info }, last)
}

#[tokio::test(start_paused = true)]
async fn a_deposit() {
    let (site, requests) = site_with(3, 1).await;
    let core = &site.core;
    let (recording, last) = watched(recording(1));
    let request = voicemail_engine::mailbox::DepositRequest {
        mailbox: mailbox("20000"),
        id: core.mailboxes.new_id(),
        caller: CallerId::new(CALLER),
        caller_name: None,
        urgent: false,
        left: None,
    };
    core.context.guard_clock().await.unwrap();
    let (cost, ()) = requests
        .cost_of(async {
            let admitted = core.mailboxes.admit(request).await.unwrap();
            core.mailboxes.deposit(admitted, recording).await.unwrap();
        })
        .await;
    let after_the_last_byte = ticks(last.lock().unwrap().unwrap(), Instant::now());
    assert_eq!((cost, after_the_last_byte), (Cost { round_trips: 5, requests: 7 }, 4));
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_hears() {
    let (site, requests) = site_with(1, 1).await;
    let (cost, heard) = requests.cost_of(site.core.mailboxes.reception(&mailbox("20000"))).await;
    assert!(!heard.unwrap().full);
    assert_eq!(cost, Cost { round_trips: 1, requests: 3 });
}

#[tokio::test(start_paused = true)]
async fn the_mailboxes_of_a_user() {
    for boxes in [1, 10] {
        let (site, requests) = site_with(0, boxes).await;
        let names: Vec<_> = (0..boxes).map(|number| mailbox(&format!("2{number:04}"))).collect();
        let user = "ann".parse().unwrap();
        let new = User { mailboxes: names, ..User::default() };
        site.core.directory.put_user(&user, new).await.unwrap();
        let (cost, shown) = requests.cost_of(site.core.directory.mailboxes_of(&user)).await;
        assert_eq!(shown.unwrap().len(), boxes);
        assert_eq!(cost.requests, 1 + 2 * boxes as u64);
        assert_eq!(cost.round_trips, 2, "{boxes}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_opens_a_mailbox_of_a_hundred_messages() {
    let (site, requests) = site_with(100, 1).await;
    let (name, user) = (mailbox("20000"), "ann".parse::<UserId>().unwrap());
    let new = User { mailboxes: vec![name.clone()], ..User::default() };
    site.core.directory.put_user(&user, new).await.unwrap();
    site.pass_time(Duration::from_secs(60));
    let ann = Principal {
        authority: "https://id.example".into(),
        subject: "ann".into(),
        user: Some(user),
        mailbox: None,
        roles: BTreeSet::from([Role::Agent]),
        expires: Time(i64::MAX),
    };
    let core = Arc::new(site.core);
    // The first time with the right to it, and the audit log's entry, of which there is one in ten minutes; then as it is at once again.
    for wanted in [(2, 4), (1, 1)] {
        let open = async {
            let entry = Arc::clone(&core).enter_mailbox::<ListMessages>(&ann, &name).await.unwrap();
            let filter = MessageFilter { limit: 100, ..MessageFilter::default() };
            let listing = entry.core().mailboxes.list_tagged(&name, filter);
            entry.act(AuditSubject::mailbox(&name), listing).await
        };
        let (cost, page) = requests.cost_of(open).await;
        assert_eq!(page.unwrap().0.messages.len(), 100);
        assert_eq!((cost.round_trips, cost.requests), wanted);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_byte_of_a_message() {
    let (site, requests) = site_with(0, 1).await;
    let id = site.deposit("20000", CALLER).await;
    let user = "ann".parse().unwrap();
    let new = User { mailboxes: vec![mailbox("20000")], ..User::default() };
    site.core.directory.put_user(&user, new).await.unwrap();
    let (cost, ()) = requests
        .cost_of(async {
            let (name, mailboxes) = (mailbox("20000"), &site.core.mailboxes);
            let (own, entry) =
                tokio::join!(site.core.directory.rights(&user, &name), mailboxes.entry(&name, id));
            assert!(own.unwrap().is_some());
            let mut audio = mailboxes.audio_of(&entry.unwrap(), None).await.unwrap();
            audio.bytes.next().await.unwrap().unwrap();
        })
        .await;
    assert_eq!(cost, Cost { round_trips: 2, requests: 4 });
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_forget() {
    let mut found = Vec::new();
    for (messages, boxes) in [(50, 20), (600, 20), (1_100, 20), (100, 100), (1_000, 1)] {
        let (site, requests) = site_with(messages, boxes).await;
        let (cost, answer) = requests.cost_of(site.core.gdpr.forget(body("c", Some(CALLER), 3_600))).await;
        assert_eq!(answer.unwrap().run.matched, messages as u64);
        found.push(cost.round_trips);
        assert_eq!(requests.most_at_a_time(), 32, "half of what the tenant may have under way");
    }
    // Of 30 ms each: under one second, two, three, a little over one, and under two.
    assert_eq!(found, [25, 42, 59, 33, 55]);
}

/// What a deposit that was under way had left is hidden then. Of the messages that are hidden already the mailboxes tell.
#[tokio::test(start_paused = true)]
async fn the_second_look_of_a_forget_a_minute_later() {
    let (site, requests) = site_with(1_100, 20).await;
    let (first, _) = requests.cost_of(site.core.gdpr.forget(body("c", Some(CALLER), 3_600))).await;
    site.sweep_after(30).await;
    let (idle, ()) = requests.cost_of(site.sweep()).await;
    site.pass_time(Duration::from_secs(60));
    let (again, ()) = requests.cost_of(site.sweep()).await;
    assert_eq!((first.requests, again.requests - idle.requests), (1_168, 55));
}

/// With so few calls at a time that hiding all messages takes a quarter of a minute.
async fn site_on_a_leash(messages: usize) -> (Site, Arc<Requests>) {
    let (site, requests) = site_with(messages, 20).await;
    let mut config = site.core.context.config().as_ref().clone();
    config.store_calls = 4;
    site.core.context.reload(config);
    (site, requests)
}

#[tokio::test(start_paused = true)]
async fn a_request_about_too_much_for_an_answer_is_answered_and_goes_on_by_itself() {
    let (site, requests) = site_on_a_leash(1_100).await;
    let (cost, answer) = requests.cost_of(site.core.gdpr.forget(body("c", Some(CALLER), 3_600))).await;
    let run = answer.unwrap().run;
    assert!(run.state.is_under_way() && run.id == "c/forgetme.1", "{run:?}");
    assert!(TICK * u32::try_from(cost.round_trips).unwrap() < Duration::from_secs(10), "{cost:?}");
    // By whichever replica: the one that answered may be gone.
    let other = site.replica().await;
    let mut sweeper = Sweeper::new(other.context.clone(), other.gdpr.clone());
    assert_eq!(sweeper.pass().await.unwrap().failed, 0);
    let case = site.core.gdpr.case(&"c".parse().unwrap()).await.unwrap();
    assert_eq!((case.runs[0].state, case.runs[0].matched), (RunState::Marked, 1_100));
    let again = site.core.gdpr.forget(body("c", Some(CALLER), 3_600)).await.unwrap();
    assert_eq!(again.consumers[CALLER].as_array().unwrap().len(), 1_100);

    let undone = requests.cost_of(site.core.gdpr.undo(body("c", None, 0))).await.1.unwrap();
    assert!(undone.run.state.is_under_way(), "{:?}", undone.run.state);
    assert_eq!(sweeper.pass().await.unwrap().failed, 0);
    let case = site.core.gdpr.case(&"c".parse().unwrap()).await.unwrap();
    assert_eq!(case.runs[0].state, RunState::Undone);
    let export = requests.cost_of(site.core.gdpr.export(body("d", Some(CALLER), 0))).await.1.unwrap();
    assert!(export.run.state.is_under_way());
    assert_eq!(sweeper.pass().await.unwrap().failed, 0);
    let case = site.core.gdpr.case(&"d".parse().unwrap()).await.unwrap();
    assert_eq!((case.runs[0].state, case.runs[0].exported), (RunState::Ready, 1_100));
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_with_too_much_for_an_answer_is_closed_and_emptied_by_itself() {
    let (site, requests) = site_with(150, 1).await;
    let mut config = site.core.context.config().as_ref().clone();
    config.store_calls = 4;
    site.core.context.reload(config);
    let name = mailbox("20000");
    let (cost, closed) = requests.cost_of(site.core.directory.delete_mailbox(&name)).await;
    closed.unwrap();
    assert!(TICK * u32::try_from(cost.round_trips).unwrap() < Duration::from_secs(10), "{cost:?}");
    let left = site.index("20000").await;
    assert!(left.closed && !left.entries.is_empty());
    site.sweep().await;
    assert!(site.index("20000").await.entries.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_erasure_that_takes_long_holds_up_none_that_comes_after_it() {
    let (site, requests) = site_on_a_leash(1_100).await;
    site.deposit("20000", OTHER_CALLER).await;
    site.core.gdpr.forget(body("many", Some(CALLER), 0)).await.unwrap();
    site.core.gdpr.forget(body("one", Some(OTHER_CALLER), 10)).await.unwrap();
    site.let_time_go();
    requests.switch(true);
    let sweeper = Sweeper::new(site.core.context.clone(), site.core.gdpr.clone());
    tokio::select! {
        () = sweeper.run() => unreachable!("it never ends"),
        () = tokio::time::sleep(Duration::from_secs(15)) => {}
    }
    requests.switch(false);
    let mut states = Vec::new();
    for case in ["many", "one"] {
        states.push(site.core.gdpr.case(&case.parse().unwrap()).await.unwrap().runs[0].state);
    }
    assert_eq!(states, [RunState::Purging, RunState::Purged], "five seconds after its time");
}

#[tokio::test(start_paused = true)]
async fn a_purge_of_ten_thousand_delays_no_other_erasures_second_and_says_how_far_it_is() {
    let (site, requests) = site_with(10_000, 100).await;
    site.deposit("20000", OTHER_CALLER).await;
    site.core.gdpr.forget(body("many", Some(CALLER), 0)).await.unwrap();
    site.core.gdpr.forget(body("one", Some(OTHER_CALLER), 15)).await.unwrap();
    site.let_time_go();
    requests.switch(true);
    let sweeper = Sweeper::new(site.core.context.clone(), site.core.gdpr.clone());
    tokio::select! {
        () = sweeper.run() => unreachable!("it never ends"),
        () = tokio::time::sleep(Duration::from_secs(20)) => {}
    }
    requests.switch(false);
    let run = async |case: &str| site.core.gdpr.case(&case.parse().unwrap()).await.unwrap().runs[0].clone();
    assert_eq!(run("one").await.state, RunState::Purged, "five seconds after its time");
    let many = run("many").await;
    assert_eq!(many.state, RunState::Purging, "it would be no test otherwise");
    assert!(0 < many.erased && many.erased < 10_000, "{} are erased", many.erased);
    let keys: Vec<String> = site.store.list("gdpr/many/").try_collect().await.unwrap();
    let manifests = keys.iter().filter(|key| key.contains(".manifest."));
    let mut lines = Vec::new();
    for key in manifests {
        let bytes = site.store.get(&Key::listed(key).unwrap()).await.unwrap().unwrap();
        let manifest: Manifest = serde_json::from_slice(&bytes).unwrap();
        lines.push(manifest.items.values().map(Vec::len).sum::<usize>());
    }
    assert!(!lines.is_empty() && lines.iter().all(|lines| *lines <= 1_000), "parts: {lines:?}");
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_an_export_and_its_archive() {
    let mut found = Vec::new();
    for (messages, boxes) in [(50, 20), (600, 20)] {
        let (site, requests) = site_with(messages, boxes).await;
        let (cost, answer) = requests.cost_of(site.core.gdpr.export(body("c", Some(CALLER), 0))).await;
        assert_eq!(answer.unwrap().run.exported, messages as u64);
        let case = "c".parse().unwrap();
        let fetch = async {
            let archive = site.core.gdpr.export_archive(&case).await.unwrap();
            archive.try_fold(0, |sum, chunk| async move { Ok(sum + chunk.len()) }).await.unwrap()
        };
        let (fetching, bytes) = requests.cost_of(fetch).await;
        assert!(bytes > messages * 512);
        found.push((cost.round_trips, fetching.round_trips));
    }
    assert_eq!(found, [(26, 8), (43, 42)]);
}

#[tokio::test(start_paused = true)]
async fn an_erasure() {
    let mut found = Vec::new();
    for (messages, boxes) in [(50, 20), (600, 20)] {
        let (site, requests) = site_with(messages, boxes).await;
        site.deposit("20000", OTHER_CALLER).await;
        site.core.gdpr.forget(body("c", Some(CALLER), 0)).await.unwrap();
        site.pass_time(Duration::from_secs(1));
        let (cost, ()) = requests.cost_of(site.sweep()).await;
        let case = site.core.gdpr.case(&"c".parse().unwrap()).await.unwrap();
        assert_eq!((case.runs[0].state, case.runs[0].erased), (RunState::Purged, messages as u64));
        found.push(cost.round_trips);
    }
    // With the sweeper's looks at open requests, before and after: under two seconds, and under five.
    assert_eq!(found, [45, 96]);
}

/// The item that resumes a request comes a minute after it, and so does the deadline of a window of a minute.
#[tokio::test(start_paused = true)]
async fn two_due_items_of_one_request_do_its_work_once() {
    let mut made = Vec::new();
    for window in [0, 60] {
        let (site, requests) = site_with(600, 20).await;
        site.core.gdpr.forget(body("c", Some(CALLER), window)).await.unwrap();
        site.pass_time(Duration::from_secs(window + 1));
        let (cost, ()) = requests.cost_of(site.sweep()).await;
        let run = site.core.gdpr.case(&"c".parse().unwrap()).await.unwrap().runs[0].clone();
        assert_eq!((run.state, run.erased), (RunState::Purged, 600));
        made.push(cost.requests);
    }
    assert!(made[1] < made[0] + 100, "requests of one item and of two: {made:?}");
}

/// Exports of that many cases, each with a run and a receipt; one in twenty is received in the next month.
async fn site_with_cases(cases: usize) -> (Site, Arc<Requests>) {
    let (site, requests) = Site::in_memory_and_slow().await;
    for number in 0..cases {
        if number == cases - cases / 20 {
            site.pass_time(Duration::from_secs(31 * 86_400));
        }
        site.core.gdpr.export(body(&format!("c{number:04}"), Some(CALLER), 0)).await.unwrap();
    }
    (site, requests)
}

#[tokio::test(start_paused = true)]
async fn a_page_of_cases_however_long_the_history_is_and_wherever_the_page_is() {
    let (site, requests) = site_with_cases(600).await;
    let all = CaseFilter { limit: 50, ..CaseFilter::default() };
    let late = CaseFilter { cursor: Some("c0540".into()), ..all.clone() };
    let newest = CaseFilter { from: Some(site.now().minus(Duration::from_secs(86_400))), ..all.clone() };
    let none = CaseFilter { state: Some(RunState::Denied), ..all.clone() };
    let mut found = Vec::new();
    for filter in [all, late, newest, none] {
        let (cost, page) = requests.cost_of(site.core.gdpr.cases(&filter)).await;
        let page = page.unwrap();
        found.push((cost, page.cases.len(), page.next));
    }
    let cost = |round_trips, requests| Cost { round_trips, requests };
    // One that lists the names, then the runs, half of the tenant's calls at a time.
    assert_eq!(found[0], (cost(3, 51), 50, Some("c0049".into())));
    assert_eq!(found[1], (cost(3, 51), 50, Some("c0590".into())));
    // Those of this month, by the register; then the names of each one's runs, and the runs.
    assert_eq!(found[2], (cost(3, 61), 30, None));
    // Chosen by state: two hundred are read, and the next page goes on behind them.
    assert_eq!(found[3], (cost(8, 201), 0, Some("c0199".into())));
}

#[tokio::test(start_paused = true)]
async fn a_page_of_mailboxes_wherever_it_is() {
    let (site, requests) = site_with(0, 400).await;
    let directory = &site.core.directory;
    let (cost, first) = requests.cost_of(directory.list_mailboxes(None, 50)).await;
    let first = first.unwrap();
    // Names, then index and settings of each; one more tells whether there is another page.
    assert_eq!((cost, first.items.len()), (Cost { round_trips: 3, requests: 103 }, 50));
    let mut pages = first.next;
    for _ in 0..6 {
        let after = pages.map(|name| mailbox(&name));
        let (cost, page) = requests.cost_of(directory.list_mailboxes(after.as_ref(), 50)).await;
        assert_eq!(cost, Cost { round_trips: 3, requests: 103 });
        pages = page.unwrap().next;
    }
}

#[tokio::test(start_paused = true)]
async fn mailboxes_by_the_beginning_of_their_names() {
    let (site, requests) = site_with(0, 400).await;
    let find = |prefix| Sought { prefix, after: None, limit: 10 };
    let (cost, page) = requests.cost_of(site.core.directory.find_mailboxes(find("2"))).await;
    assert_eq!((cost, page.unwrap().items.len()), (Cost { round_trips: 2, requests: 38 }, 10));
    // Names are known for a minute.
    let (cost, page) = requests.cost_of(site.core.directory.find_mailboxes(find("2003"))).await;
    assert_eq!((cost, page.unwrap().items.len()), (Cost { round_trips: 1, requests: 20 }, 10));
}

#[tokio::test(start_paused = true)]
async fn a_page_of_the_register() {
    let (site, requests) = site_with_cases(200).await;
    let (from, to) =
        (site.now().minus(Duration::from_secs(40 * 86_400)), site.now().plus(Duration::from_secs(1)));
    let (mut page, mut read) = (RegisterPage { limit: 64, cursor: None }, Vec::new());
    loop {
        let (cost, part) = requests.cost_of(site.core.gdpr.register_page(from, to, &page)).await;
        let part = part.unwrap();
        assert!(cost.round_trips <= 3 && cost.requests <= 65, "{cost:?}");
        read.extend(part.entries);
        page.cursor = part.next;
        if page.cursor.is_none() {
            break;
        }
    }
    read.sort_by_key(|entry| (entry.received_at.clone(), entry.run.clone()));
    assert_eq!(read.len(), 200);
    assert_eq!(read, site.core.gdpr.register(from, to).await.unwrap().entries, "as all at once");
}
