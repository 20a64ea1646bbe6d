//! Four eyes, denials, deadlines, dry runs, the list of cases and the register.

use super::{DAY, run, state};
use std::sync::Arc;
use voicemail_api::config::ApprovalRule;
use voicemail_api::gdpr::{
    ApproveBody, CancelBody, DenialGround, DenyBody, ExtendBody, GdprBody, RunState, Verification,
};
use voicemail_engine::gdpr::{CaseFilter, GdprError};
use voicemail_engine::principal::{Principal, audit_name};
use voicemail_engine::testing::{CALLER, ISSUER, START, Site, Switch, Switched, body, mailbox, officer};
use voicemail_model::{CaseId, DecisionError, Time};

fn case(name: &str) -> CaseId {
    name.parse().unwrap()
}

fn asked(case: &str) -> GdprBody {
    GdprBody {
        requester: Some("operator".into()),
        requested_by: Some("ann".into()),
        ..body(case, Some(CALLER), 0)
    }
}

async fn with_approval(rule: ApprovalRule, large: u32) -> Site {
    let site = Site::in_memory().await;
    site.configure(|gdpr| (gdpr.approval.required, gdpr.approval.large_matches) = (rule, large));
    site.deposit("1001", CALLER).await;
    site.deposit("1002", CALLER).await;
    site
}

#[tokio::test]
async fn nothing_is_hidden_before_a_second_person_says_yes() {
    let site = with_approval(ApprovalRule::Always, 1).await;
    let answer = site.core.gdpr.forget(asked("c")).await.unwrap();
    assert_eq!((answer.run.state, answer.run.matched), (RunState::AwaitingApproval, 2));
    assert_eq!(site.core.mailboxes.mwi(&mailbox("1001")).await.unwrap().new, 1);
    site.sweep_after(2 * DAY).await;
    assert_eq!(state(&site, "c").await, RunState::AwaitingApproval, "no sweeper approves");
    for same in ["operator", "ann"] {
        let refused = site.core.gdpr.approve(&case("c"), &ApproveBody::default(), &officer(same)).await;
        assert_eq!(refused, Err(GdprError::Decision(DecisionError::SamePerson)));
    }
    let run = site.core.gdpr.approve(&case("c"), &ApproveBody::default(), &officer("ben")).await.unwrap();
    assert_eq!((run.state, run.approval.unwrap().by.as_deref()), (RunState::Marked, Some("ben")));
    assert_eq!(site.core.mailboxes.mwi(&mailbox("1001")).await.unwrap().new, 0);
    site.sweep_after(1).await;
    assert_eq!(state(&site, "c").await, RunState::Purged);
}

#[tokio::test]
async fn an_unapproved_duplicate_never_runs() {
    let site = with_approval(ApprovalRule::Always, 1).await;
    let first = site.core.gdpr.forget(asked("c")).await.unwrap().run;
    let second = site.core.gdpr.forget(asked("c")).await.unwrap().run;
    assert_eq!((first.id, second.state), (second.id, RunState::AwaitingApproval));
    assert!(matches!(site.core.gdpr.undo(body("c", None, 0)).await, Err(GdprError::NoRunToUndo)));
}

#[tokio::test]
async fn a_switchboard_takes_an_approval_and_a_single_caller_does_not() {
    let many = with_approval(ApprovalRule::Large, 2).await;
    assert_eq!(many.core.gdpr.forget(asked("c")).await.unwrap().run.state, RunState::AwaitingApproval);
    let few = with_approval(ApprovalRule::Large, 3).await;
    assert_eq!(few.core.gdpr.forget(asked("c")).await.unwrap().run.state, RunState::Marked);
    let asked_for = with_approval(ApprovalRule::Never, 3).await;
    let body = GdprBody { require_approval: true, ..asked("c") };
    assert_eq!(asked_for.core.gdpr.forget(body).await.unwrap().run.state, RunState::AwaitingApproval);
}

#[tokio::test]
async fn an_approval_whose_worker_died_is_carried_out_by_the_sweeper() {
    let site = with_approval(ApprovalRule::Always, 1).await;
    let id = site.core.gdpr.forget(asked("c")).await.unwrap().run.id;
    let approve = |run: &mut serde_json::Value| {
        run["state"] = "opening".into();
        run["handling"]["approval"]["by"] = "ben".into();
        run["handling"]["approval"]["at"] = START.0.into();
    };
    site.edit(&voicemail_store::Key::listed(&format!("gdpr/{id}")).unwrap(), approve).await;
    site.sweep_after(2 * DAY).await;
    site.sweep_after(1).await;
    assert_eq!(state(&site, "c").await, RunState::Purged);
}

#[tokio::test]
async fn a_denial_says_on_which_ground_and_a_cancellation_comes_before_the_mark_or_not_at_all() {
    let site = with_approval(ApprovalRule::Always, 1).await;
    site.core.gdpr.forget(asked("c")).await.unwrap();
    let deny = DenyBody {
        run: None,
        ground: DenialGround::LegalClaims,
        text: Some("a lawsuit".into()),
        on_behalf_of: None,
    };
    let denied = site.core.gdpr.deny(&case("c"), &deny, "ben").await.unwrap();
    assert_eq!(denied.state, RunState::Denied);
    assert_eq!(denied.denial.unwrap().ground, Some(DenialGround::LegalClaims));
    assert!(denied.receipt_number.is_some());
    assert!(site.core.gdpr.approve(&case("c"), &ApproveBody::default(), &officer("ben")).await.is_err());
    assert_eq!(site.core.mailboxes.mwi(&mailbox("1001")).await.unwrap().new, 1);
    let silent = DenyBody { run: None, ground: DenialGround::Other, text: None, on_behalf_of: None };
    assert!(site.core.gdpr.deny(&case("c"), &silent, "ben").await.is_err());

    site.core.gdpr.forget(asked("d")).await.unwrap();
    let cancelled = site.core.gdpr.cancel(&case("d"), &CancelBody::default(), "ann").await.unwrap();
    assert_eq!(cancelled.state, RunState::Cancelled);

    site.configure(|gdpr| gdpr.approval.required = ApprovalRule::Never);
    site.core.gdpr.forget(GdprBody { undo_window: Some("1h".into()), ..asked("e") }).await.unwrap();
    let late = site.core.gdpr.cancel(&case("e"), &CancelBody::default(), "ann").await;
    assert_eq!(late, Err(GdprError::Decision(DecisionError::TooLate)));
}

#[tokio::test]
async fn an_export_that_is_cancelled_lets_go_of_its_messages() {
    let site = Site::in_memory().await;
    let id = site.deposit("1001", CALLER).await;
    let held = async || site.index("1001").await.entries[&id].is_held(site.now());
    site.core.gdpr.export(body("c", Some(CALLER), 0)).await.unwrap();
    assert!(held().await);
    let cancelled = site.core.gdpr.cancel(&case("c"), &CancelBody::default(), "ann").await.unwrap();
    assert_eq!((cancelled.state, held().await), (RunState::Cancelled, false));
    let again = site.core.gdpr.cancel(&case("c"), &CancelBody::default(), "ann").await;
    assert!(again.is_err() || again.is_ok_and(|run| run.state == RunState::Cancelled));
    assert!(!held().await);
}

#[tokio::test]
async fn deadlines_count_calendar_months_and_no_window_reaches_beyond() {
    let site = Site::in_memory().await;
    let received = "2026-08-31T09:00:00Z";
    let request = |window: &str| GdprBody {
        received_at: Some(received.into()),
        undo_window: Some(window.into()),
        verification: Some(Verification { method: "callback".into(), verifier: None, at: None }),
        ..asked("c")
    };
    // It is 2026-09-21.
    assert_eq!(site.core.gdpr.forget(request("10d")).await.err(), Some(GdprError::WindowPastDue));
    let run = site.core.gdpr.forget(request("8d")).await.unwrap().run;
    assert_eq!(run.due_at.as_deref(), Some("2026-09-30T09:00:00.000Z"));
    let extend =
        |months| ExtendBody { run: None, months, reason: "many requests".into(), on_behalf_of: None };
    let extended = site.core.gdpr.extend(&case("c"), &extend(2), "ben").await.unwrap();
    assert_eq!(extended.due_at.as_deref(), Some("2026-11-30T09:00:00.000Z"));
    assert!(site.core.gdpr.extend(&case("c"), &extend(3), "ben").await.is_err());
    let ahead = GdprBody { received_at: Some("2027-01-01T00:00:00Z".into()), ..asked("d") };
    assert!(site.core.gdpr.forget(ahead).await.is_err());
    let overdue = GdprBody { received_at: Some("2026-01-01T00:00:00Z".into()), ..asked("e") };
    assert_eq!(
        site.core.gdpr.forget(overdue).await.unwrap().run.state,
        RunState::Marked,
        "late, and at once"
    );
}

#[tokio::test]
async fn no_request_gets_a_shorter_window_than_the_floor_but_a_late_one_waits_no_longer() {
    let site = Site::in_memory().await;
    site.configure(|gdpr| gdpr.least_undo_window = std::time::Duration::from_secs(DAY));
    site.deposit("1001", CALLER).await;
    let at_once = |name: &str| GdprBody { undo_window: Some("0s".into()), ..asked(name) };
    assert_eq!(site.core.gdpr.forget(at_once("c")).await.unwrap().run.state, RunState::Marked);
    site.sweep_after(DAY - 60).await;
    assert_eq!(state(&site, "c").await, RunState::Marked);
    site.sweep_after(120).await;
    assert_eq!(state(&site, "c").await, RunState::Purged);
    // Its month is over: it is taken with the shortest window that there is, and the law's deadline wins.
    let late = |window: &str| GdprBody {
        received_at: Some("2026-01-01T00:00:00Z".into()),
        undo_window: Some(window.into()),
        ..asked("late")
    };
    assert_eq!(site.core.gdpr.forget(late("25h")).await.err(), Some(GdprError::WindowPastDue));
    site.core.gdpr.forget(late("0s")).await.unwrap();
    site.sweep_after(1).await;
    assert_eq!(state(&site, "late").await, RunState::Purged);
}

#[tokio::test]
async fn a_dry_run_counts_and_changes_nothing_because_it_cannot() {
    let site = with_approval(ApprovalRule::Always, 1).await;
    let switch = Arc::new(Switch::default());
    let watched = Arc::new(Switched(Arc::clone(&site.store), Arc::clone(&switch)));
    let regions =
        std::collections::BTreeMap::from([("r".to_owned(), watched as Arc<dyn voicemail_store::Store>)]);
    let context = voicemail_engine::core::tool::open_on(
        &site.config,
        voicemail_engine::core::TenantKeys {
            tenant: voicemail_engine::testing::key(),
            receipt: voicemail_engine::gdpr::ReceiptKey::from_pem(voicemail_engine::testing::RECEIPT_KEY)
                .unwrap(),
        },
        regions,
        voicemail_engine::core::tool::Access::Write,
        &site.world(),
    )
    .await
    .unwrap();
    let receipts =
        voicemail_engine::gdpr::ReceiptKey::from_pem(voicemail_engine::testing::RECEIPT_KEY).unwrap();
    let gdpr = voicemail_engine::gdpr::Gdpr::new(context, Arc::new(receipts));
    let answer = gdpr.forget(GdprBody { dry_run: true, ..asked("c") }).await.unwrap();
    assert_eq!((answer.run.state, answer.run.matched), (RunState::DryRun, 2));
    assert_eq!(answer.consumers[CALLER].as_array().unwrap().len(), 2);
    assert_eq!(gdpr.export(GdprBody { dry_run: true, ..asked("c") }).await.unwrap().run.matched, 2);
    assert_eq!(switch.writes(), 0);
    assert!(matches!(site.core.gdpr.case(&case("c")).await, Err(GdprError::UnknownCase)));
}

#[tokio::test]
async fn cases_are_listed_by_state_and_time_page_by_page() {
    let site = with_approval(ApprovalRule::Always, 1).await;
    for name in ["a", "b", "c"] {
        site.core.gdpr.forget(asked(name)).await.unwrap();
    }
    site.core.gdpr.cancel(&case("b"), &CancelBody::default(), "ann").await.unwrap();
    let waiting = CaseFilter { state: Some(RunState::AwaitingApproval), limit: 1, ..CaseFilter::default() };
    let first = site.core.gdpr.cases(&waiting).await.unwrap();
    assert_eq!((first.cases[0].caseid.as_str(), first.cases.len()), ("a", 1));
    let next = CaseFilter { cursor: first.next, ..waiting.clone() };
    let second = site.core.gdpr.cases(&next).await.unwrap();
    assert_eq!((second.cases[0].caseid.as_str(), second.next), ("c", None));
    let later = CaseFilter { from: Some(Time(START.0 + 86_400_000)), state: None, ..waiting };
    assert_eq!(site.core.gdpr.cases(&later).await.unwrap().cases.len(), 0);
}

#[tokio::test]
async fn the_register_keeps_what_was_received_due_decided_and_done() {
    let site = with_approval(ApprovalRule::Always, 1).await;
    site.core.gdpr.forget(asked("c")).await.unwrap();
    site.core.gdpr.approve(&case("c"), &ApproveBody::default(), &officer("ben")).await.unwrap();
    site.sweep_after(1).await;
    let entries = site.core.gdpr.register(START, Time(START.0 + 1_000)).await.unwrap().entries;
    let entry = &entries[0];
    assert_eq!((entry.outcome, entry.erased, entry.approver.as_deref()), (RunState::Purged, 2, Some("ben")));
    assert_eq!(entry.receipt_number, run(&site, "c").await.receipt_number);
    let text = serde_json::to_string(entry).unwrap();
    assert!(
        !text.contains("79460123") && !text.contains(voicemail_engine::testing::hash(CALLER).as_str()),
        "{text}"
    );
    assert_eq!(
        site.core
            .gdpr
            .register(Time(START.0 + 1_000), site.now().plus(std::time::Duration::from_secs(1)))
            .await
            .unwrap()
            .entries,
        []
    );
}

#[tokio::test]
async fn every_case_is_listed_whatever_its_name_and_however_small_the_pages() {
    let names = [
        "DSR-7", "DSR-7-2", "DSR-7.1", "DSR-7/3", "DSR-70", "DSR-7A", "dsr-7", "7", "7-", "7 a", "7#1",
        "é-1", "é",
    ];
    let site = Site::in_memory().await;
    for name in names {
        site.core.gdpr.export(body(name, Some(CALLER), 0)).await.unwrap();
    }
    for limit in 1..=names.len() {
        let (mut listed, mut cursor) = (Vec::new(), None);
        loop {
            let filter = CaseFilter { cursor, limit, ..CaseFilter::default() };
            let page = site.core.gdpr.cases(&filter).await.unwrap();
            listed.extend(page.cases.into_iter().map(|case| case.caseid));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let mut expected = names.map(str::to_owned).to_vec();
        expected.sort();
        listed.sort();
        assert_eq!(listed, expected, "pages of {limit}");
    }
}

/// The name of the operator's account, which this core accepts as its own cluster's operator.
const OPERATOR: &str = "system:serviceaccount:system:operator";

async fn with_an_operator() -> Site {
    let site = with_approval(ApprovalRule::Always, 1).await;
    let account = serde_json::json!({ "namespace": "system", "name": "operator", "roles": ["privacy"],
                                      "audience": "uid" });
    let issuer = serde_json::json!({
        "apiServer": "https://kubernetes.default.svc", "caFile": "/nowhere", "tokenFile": "/nowhere",
        "audiences": ["voicemail"], "serviceAccounts": [account],
    });
    let mut config = site.core.context.config().as_ref().clone();
    config.auth.kubernetes = Some(serde_json::from_value(issuer).unwrap());
    site.core.context.reload(config);
    site
}

/// As the operator passes an object on, or as somebody sends it with a token.
fn through(door: &str, by: Option<&str>) -> GdprBody {
    let (requester, cluster) = match door {
        "object" => (Some(OPERATOR.to_owned()), Some("k".to_owned())),
        // Of before the clusters were recorded.
        "old object" => (Some(OPERATOR.to_owned()), None),
        _ => (by.map(str::to_owned), None),
    };
    let said = by.filter(|_| door != "token").map(str::to_owned);
    GdprBody { requester, recorded_by: cluster, requested_by: said, ..body("c", Some(CALLER), 0) }
}

#[tokio::test]
async fn one_person_with_both_roles_approves_through_no_door_what_they_asked_for_at_any() {
    // One person, as the cluster calls them, and as their tokens do.
    let (in_cluster, in_token) = ("both", "subject:1");
    for (door, by) in [
        ("object", Some(in_cluster)),
        ("object", None),
        ("old object", Some(in_cluster)),
        ("old object", None),
        ("token", Some(in_token)),
        ("token", None),
    ] {
        let site = with_an_operator().await;
        let asked = site.core.gdpr.forget(through(door, by)).await.unwrap();
        assert_eq!(asked.run.state, RunState::AwaitingApproval);
        for (name, on_behalf_of) in
            [(in_cluster, Some(in_cluster)), (in_token, None), (OPERATOR, None), (OPERATOR, Some(OPERATOR))]
        {
            // Decided in that very object, or in another one that shows the run: the core is told the same.
            for run in [None, Some(asked.run.id.clone())] {
                let approval = ApproveBody { run, on_behalf_of: on_behalf_of.map(str::to_owned) };
                let refused = site.core.gdpr.approve(&case("c"), &approval, &officer(name)).await;
                let is_refused = matches!(refused, Err(GdprError::Decision(_)));
                assert!(is_refused, "{door} {by:?}, approved by {name}: {refused:?}");
            }
        }
        let cancelled = site.core.gdpr.cancel(&case("c"), &CancelBody::default(), in_cluster).await.unwrap();
        assert_eq!(cancelled.state, RunState::Cancelled, "what nobody can approve can be taken back");
    }
}

#[tokio::test]
async fn somebody_else_approves_at_the_door_where_it_was_asked_for() {
    for (door, by, name, on_behalf_of) in [
        ("object", "anna", "bert", true),
        ("old object", "anna", "bert", true),
        ("token", "subject:1", "subject:2", false),
    ] {
        let site = with_an_operator().await;
        site.core.gdpr.forget(through(door, Some(by))).await.unwrap();
        let approve =
            |on_behalf: bool| ApproveBody { run: None, on_behalf_of: on_behalf.then(|| name.to_owned()) };
        let elsewhere = site.core.gdpr.approve(&case("c"), &approve(!on_behalf_of), &officer(name)).await;
        assert!(elsewhere.is_err(), "{door}: approved through the other door");
        let run = site.core.gdpr.approve(&case("c"), &approve(on_behalf_of), &officer(name)).await.unwrap();
        assert_eq!(run.state, RunState::Marked, "{door}");
    }
}

#[tokio::test]
async fn identities_of_two_issuers_are_one_person_unless_the_list_of_people_says_two() {
    let site = with_an_operator().await;
    site.core.gdpr.forget(through("token", Some("subject:1"))).await.unwrap();
    let elsewhere = Principal { authority: "basic".into(), ..officer("subject:2") };
    let approve = async || site.core.gdpr.approve(&case("c"), &ApproveBody::default(), &elsewhere).await;
    let refused = approve().await.unwrap_err();
    assert_eq!(refused, GdprError::Decision(DecisionError::AskedElsewhere));
    assert!(refused.to_string().contains("auth.people"), "{refused}");
    let people = |ben: &str| {
        let identity =
            |authority: &str, name: &str| serde_json::json!({"authority": authority, "name": name});
        let ann = serde_json::json!({"name": "ann", "identities": [identity(ISSUER, "sub-of-ann")]});
        let ben = serde_json::json!({"name": ben, "identities": [identity("basic", "ben")]});
        serde_json::from_value(serde_json::json!([ann, ben])).unwrap()
    };
    let mut config = site.core.context.config().as_ref().clone();
    config.auth.people = people("ben");
    site.core.context.reload(config);
    assert!(approve().await.is_err(), "neither name is of the list");
    let (ann, ben) = (audit_name(ISSUER, "sub-of-ann"), audit_name("basic", "ben"));
    let asked = GdprBody { caseid: "d".into(), ..through("token", Some(&ann)) };
    site.core.gdpr.forget(asked).await.unwrap();
    let mapped = Principal { subject: ben, ..elsewhere.clone() };
    let run = site.core.gdpr.approve(&case("d"), &ApproveBody::default(), &mapped).await.unwrap();
    assert_eq!(run.state, RunState::Marked);
}

#[tokio::test]
async fn an_export_waits_for_a_second_person_where_the_tenant_says_so_and_holds_what_it_found() {
    let site = Site::in_memory().await;
    site.configure(|gdpr| gdpr.approval.exports = ApprovalRule::Large);
    site.configure(|gdpr| gdpr.approval.large_matches = 2);
    let id = site.deposit("1001", CALLER).await;
    let few = site.core.gdpr.export(asked("few")).await.unwrap().run;
    assert_eq!((few.state, few.exported), (RunState::Ready, 1), "one message isn't many");
    site.deposit("1002", CALLER).await;
    let waiting = site.core.gdpr.export(asked("c")).await.unwrap().run;
    assert_eq!((waiting.state, waiting.matched), (RunState::AwaitingApproval, 2));
    assert!(site.core.gdpr.export_archive(&case("c")).await.is_err(), "nobody fetches it before");
    assert!(site.index("1001").await.entries[&id].is_held(site.now()));
    site.sweep_after(2 * DAY).await;
    assert_eq!(state(&site, "c").await, RunState::AwaitingApproval, "no sweeper approves");
    let same = site.core.gdpr.approve(&case("c"), &ApproveBody::default(), &officer("operator")).await;
    assert_eq!(same, Err(GdprError::Decision(DecisionError::SamePerson)));
    let run = site.core.gdpr.approve(&case("c"), &ApproveBody::default(), &officer("ben")).await.unwrap();
    assert_eq!((run.state, run.exported), (RunState::Ready, 2));
    assert!(site.core.gdpr.export_archive(&case("c")).await.is_ok());
    // Its life begins with the approval.
    site.sweep_after(6 * DAY).await;
    assert_eq!(state(&site, "c").await, RunState::Ready);
    site.sweep_after(2 * DAY).await;
    assert_eq!(state(&site, "c").await, RunState::Expired);

    let asked_for = GdprBody { require_approval: true, ..asked("d") };
    site.configure(|gdpr| gdpr.approval.exports = ApprovalRule::Never);
    assert_eq!(site.core.gdpr.export(asked_for).await.unwrap().run.state, RunState::AwaitingApproval);
    site.sweep_after(8 * DAY).await;
    assert_eq!(
        state(&site, "d").await,
        RunState::Expired,
        "an export that nobody approves ends with its time"
    );
    assert!(!site.index("1001").await.entries[&id].is_held(site.now()));
}

#[tokio::test]
async fn whoever_asked_for_what_nobody_is_known_to_have_asked_for_is_told_what_to_do() {
    let site = with_an_operator().await;
    site.core.gdpr.forget(through("object", None)).await.unwrap();
    let approval = ApproveBody { run: None, on_behalf_of: Some("bert".into()) };
    let refused = site.core.gdpr.approve(&case("c"), &approval, &officer("bert")).await.unwrap_err();
    assert_eq!(refused, GdprError::Decision(DecisionError::RequesterUnknown));
    let words = refused.to_string();
    assert!(words.contains("cancel") && words.contains("requestedBy"), "{words}");
}

#[tokio::test]
async fn one_bad_entry_leaves_the_rest_of_the_register() {
    let site = Site::in_memory().await;
    for name in ["a", "b", "c"] {
        site.core.gdpr.export(body(name, Some(CALLER), 0)).await.unwrap();
    }
    let id = voicemail_model::RunId::new(&case("b"), voicemail_api::gdpr::Operation::ExportMe, 1);
    site.write_document(&voicemail_store::Key::register(START, &id), "not JSON").await;
    let part = site.core.gdpr.register(START, Time(START.0 + 1_000)).await.unwrap();
    let cases: Vec<&str> = part.entries.iter().map(|entry| entry.case.as_str()).collect();
    assert_eq!((cases, part.unreadable), (vec!["a", "c"], 1));
}
