//! Every operation of the API through the engine's door: what its rule says is on record is, and nothing else.

use super::*;
use voicemail_engine::door::operations::*;
use voicemail_engine::door::{Operation, Record, Rule};
use voicemail_model::AuditAction;

const NUMBER: &str = "+442079460123";

/// A request that is carried out on a tenant that [`prepare`] made ready for it.
struct Asked {
    rule: &'static Rule,
    method: Method,
    /// As the document has it.
    route: &'static str,
    body: Value,
}

fn ask<O: Operation>(method: Method, route: &'static str, body: Value) -> Asked {
    Asked { rule: O::RULE, method, route, body }
}

/// One for each operation of the document.
fn asked() -> Vec<Asked> {
    use Method as M;
    let (none, empty) = (Value::Null, json!({}));
    let (message, tenants) = ("/mailboxes/{mailbox}/messages/{id}", "/greetings/{greeting}");
    let greeting = "/mailboxes/{mailbox}/greetings/{greeting}";
    let schedule = "/mailboxes/{mailbox}/greetings/alternate/schedule";
    let case = json!({ "caseid": "c", "consumers": [{ "phone": [NUMBER] }] });
    let mut all = vec![
        ask::<Deposit>(M::POST, "/mailboxes/{mailbox}/messages", "form".into()),
        ask::<AskReception>(M::GET, "/mailboxes/{mailbox}/reception", none.clone()),
        ask::<VerifyPin>(M::POST, "/mailboxes/{mailbox}/pin/verify", json!({ "pin": "739154" })),
        ask::<RenewToken>(M::POST, "/mailboxes/{mailbox}/pin/renew", none.clone()),
        ask::<ListMessages>(M::GET, "/mailboxes/{mailbox}/messages", none.clone()),
        ask::<ReadMessage>(M::GET, message, none.clone()),
        ask::<Listen>(M::GET, "/mailboxes/{mailbox}/messages/{id}/audio", none.clone()),
        ask::<MakeAudioTicket>(M::POST, "/tickets", "audio".into()),
        ask::<MakeEventTicket>(M::POST, "/tickets", json!({ "purpose": "events" })),
        ask::<ChangeMessage>(M::PATCH, message, json!({ "state": "saved" })),
        ask::<TrashMessage>(M::DELETE, message, none.clone()),
        ask::<RestoreMessage>(M::POST, "/mailboxes/{mailbox}/messages/{id}/restore", none.clone()),
        ask::<ForwardMessage>(
            M::POST,
            "/mailboxes/{mailbox}/messages/{id}/forward",
            json!({ "to": ["1002"] }),
        ),
        ask::<ClaimMessage>(M::PUT, "/mailboxes/{mailbox}/messages/{id}/claim", empty.clone()),
        ask::<ReleaseMessage>(M::DELETE, "/mailboxes/{mailbox}/messages/{id}/claim", none.clone()),
        ask::<ReadMwi>(M::GET, "/mailboxes/{mailbox}/mwi", none.clone()),
        ask::<ListOwnMailboxes>(M::GET, "/me/mailboxes", none.clone()),
        ask::<FindMailboxes>(M::GET, "/directory", none.clone()),
        ask::<FollowMwi>(M::GET, "/mwi/events", none.clone()),
        ask::<WatchMwi>(M::POST, "/mwi/watch", json!({ "mailboxes": ["1001"] })),
        ask::<NoteFront>(M::PUT, "/telephony/fronts/{front}", json!({ "spooled": 0 })),
        ask::<ReadOwnEmail>(M::GET, "/me/email", none.clone()),
        ask::<SetOwnEmail>(M::PUT, "/me/email", json!({ "content": "note" })),
        ask::<ReadSelf>(M::GET, "/me", none.clone()),
        ask::<SetPin>(M::PUT, "/mailboxes/{mailbox}/pin", json!({ "pin": "739154" })),
        ask::<RemovePin>(M::DELETE, "/mailboxes/{mailbox}/pin", none.clone()),
        ask::<UnlockPin>(M::POST, "/mailboxes/{mailbox}/pin/unlock", none.clone()),
        ask::<ListGreetings>(M::GET, "/mailboxes/{mailbox}/greetings", none.clone()),
        ask::<HearGreeting>(M::GET, greeting, none.clone()),
        ask::<SetGreeting>(M::PUT, greeting, "audio/wav".into()),
        ask::<RemoveGreeting>(M::DELETE, greeting, none.clone()),
        ask::<ReadSchedule>(M::GET, schedule, none.clone()),
        ask::<SetSchedule>(M::PUT, schedule, empty.clone()),
        ask::<SetSchedule>(M::DELETE, schedule, none.clone()),
        ask::<ReadPreferences>(M::GET, "/mailboxes/{mailbox}/preferences", none.clone()),
        ask::<SetPreferences>(M::PUT, "/mailboxes/{mailbox}/preferences", json!({ "language": "en" })),
        ask::<HearTenantGreeting>(M::GET, tenants, none.clone()),
        ask::<SetTenantGreeting>(M::PUT, tenants, "audio/wav".into()),
        ask::<RemoveTenantGreeting>(M::DELETE, tenants, none.clone()),
        ask::<PutMailbox>(M::PUT, "/mailboxes/{mailbox}", empty.clone()),
        ask::<ReadMailbox>(M::GET, "/mailboxes/{mailbox}", none.clone()),
        ask::<DeleteMailbox>(M::DELETE, "/mailboxes/{mailbox}", none.clone()),
    ];
    all.extend([
        ask::<ListProvisioning>(M::GET, "/mailboxes", none.clone()),
        ask::<ListProvisioning>(M::GET, "/users", none.clone()),
        ask::<ListProvisioning>(M::GET, "/groups", none.clone()),
        ask::<PutUser>(M::PUT, "/users/{user}", json!({ "mailboxes": ["1001"] })),
        ask::<PutUser>(M::PUT, "/users", json!({ "mailboxes": ["1001"] })),
        ask::<ReadUser>(M::GET, "/users/{user}", none.clone()),
        ask::<DeleteUser>(M::DELETE, "/users/{user}", none.clone()),
        ask::<DeleteUser>(M::DELETE, "/users", none.clone()),
        ask::<PutGroup>(M::PUT, "/groups/{group}", json!({ "mailbox": "2000" })),
        ask::<ReadGroup>(M::GET, "/groups/{group}", none.clone()),
        ask::<DeleteGroup>(M::DELETE, "/groups/{group}", none.clone()),
        ask::<SearchMessages>(M::POST, "/messages/search", json!({ "caller": NUMBER })),
        ask::<Forget>(M::POST, "/gdpr/forgetme", case.clone()),
        ask::<Export>(M::POST, "/gdpr/exportme", case.clone()),
        ask::<UndoForget>(M::POST, "/gdpr/undoforget", case.clone()),
        ask::<UndoForget>(M::POST, "/gdpr/undoforgot", case.clone()),
        ask::<ReadCase>(M::GET, "/gdpr/cases/{caseid}", none.clone()),
        ask::<ListCases>(M::GET, "/gdpr/cases", none.clone()),
        ask::<DownloadExport>(M::GET, "/gdpr/cases/{caseid}/export", none.clone()),
        ask::<ReadReceipt>(M::GET, "/gdpr/cases/{caseid}/receipts/{number}", none.clone()),
        ask::<Approve>(M::POST, "/gdpr/cases/{caseid}/approve", empty.clone()),
        ask::<Deny>(M::POST, "/gdpr/cases/{caseid}/deny", json!({ "ground": "legalClaims" })),
        ask::<Extend>(M::POST, "/gdpr/cases/{caseid}/extend", json!({ "months": 1, "reason": "many" })),
        ask::<Cancel>(M::POST, "/gdpr/cases/{caseid}/cancel", empty),
        ask::<PutHold>(M::PUT, "/mailboxes/{mailbox}/messages/{id}/hold", json!({ "reason": "claim" })),
        ask::<ReadHold>(M::GET, "/mailboxes/{mailbox}/messages/{id}/hold", none.clone()),
        ask::<EndHold>(M::DELETE, "/mailboxes/{mailbox}/messages/{id}/hold", none.clone()),
        ask::<ReadRegister>(M::GET, "/gdpr/register", none.clone()),
        ask::<ReadLedger>(M::GET, "/gdpr/ledger", none.clone()),
        ask::<ReadProofs>(M::GET, "/gdpr/proofs", none.clone()),
        ask::<ReadKeys>(M::GET, "/gdpr/keys", none.clone()),
        ask::<ReadAudit>(M::GET, "/audit", none),
    ]);
    all
}

/// Brings about what the operation needs, and gives the id of the message that it is about.
async fn prepare(api: &Api, rule: &Rule) -> String {
    if rule.name == "FindMailboxes" {
        directory::open(api);
    }
    let mailbox = mailbox_of(rule);
    let id = api.leave_message(mailbox, NUMBER).await;
    let message = format!("/mailboxes/{mailbox}/messages/{id}");
    let case = |approval: bool| json!({ "caseid": "c", "consumers": [{ "phone": [NUMBER] }], "requireApproval": approval });
    let prepared = match rule.name {
        "VerifyPin" | "RemovePin" | "RenewToken" => {
            api.put("/mailboxes/1001/pin", json!({ "pin": "739154" })).await
        }
        "RestoreMessage" => api.delete(&message).await,
        "ReleaseMessage" => api.put(&format!("{message}/claim"), json!({})).await,
        "ReadHold" | "EndHold" => api.put(&format!("{message}/hold"), json!({ "reason": "claim" })).await,
        "UndoForget" => api.post("/gdpr/forgetme", case(false)).await,
        "ReadCase" | "ListCases" | "DownloadExport" | "ReadReceipt" => {
            api.post("/gdpr/exportme", json!({ "caseid": "c", "consumers": [{ "phone": [NUMBER] }] })).await
        }
        "Approve" | "Deny" | "Extend" | "Cancel" => api.post("/gdpr/forgetme", case(true)).await,
        "HearGreeting" | "RemoveGreeting" => {
            api.record_greeting("1001", "standard").await;
            return id;
        }
        "HearTenantGreeting" | "RemoveTenantGreeting" => {
            let request = api.request(Method::PUT, "/greetings/default").header("content-type", "audio/wav");
            api.send(request.body(Body::from(speech(1))).unwrap()).await
        }
        _ => return id,
    };
    assert!(prepared.status.is_success(), "{}: {prepared:?}", rule.name);
    id
}

/// Only a group's messages are claimed.
fn mailbox_of(rule: &Rule) -> &'static str {
    if rule.name.ends_with("eleaseMessage") || rule.name == "ClaimMessage" { "2000" } else { "1001" }
}

fn path_of(asked: &Asked, id: &str) -> String {
    let own = if asked.route.starts_with("/mailboxes") { "standard" } else { "default" };
    let names = [
        ("{mailbox}", mailbox_of(asked.rule)),
        ("{id}", id),
        ("{user}", "carol"),
        ("{group}", "sales"),
        ("{caseid}", "c"),
        ("{number}", "exportme.1"),
        ("{greeting}", own),
        ("{front}", "acme-voicemail-sip-0"),
    ];
    let path = names.iter().fold(asked.route.to_owned(), |path, (name, with)| path.replace(name, with));
    match (asked.route, &asked.method) {
        ("/users", &Method::PUT | &Method::DELETE) => format!("{path}?name=carol"),
        ("/gdpr/register", _) => format!("{path}?from=2020-01-01T00:00:00Z"),
        _ => path,
    }
}

async fn carry_out(api: &Api, asked: &Asked, id: &str) -> StatusCode {
    let path = path_of(asked, id);
    let user = if asked.rule.name == "Approve" { "bob" } else { "alice" };
    let all = ["telephony", "agent", "admin", "privacy"];
    let request = api.request_as(asked.method.clone(), &path, user, &all);
    let request = match asked.body.as_str() {
        _ if asked.rule.name == "RenewToken" => {
            let token =
                api.verify("1001", "739154").await.json::<Value>()["token"].as_str().unwrap().to_owned();
            let request = Request::builder().method(asked.method.clone()).uri(format!("{PREFIX}{path}"));
            request.header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap()
        }
        Some("form") => api.deposit_request("1001", None, Body::from(multipart(&[("audio", &speech(1))]))),
        Some("audio/wav") => request.header("content-type", "audio/wav").body(Body::from(speech(1))).unwrap(),
        Some("audio") => {
            let body = json!({ "purpose": "audio", "mailbox": "1001", "message": id });
            request.header("content-type", "application/json").body(Body::from(body.to_string())).unwrap()
        }
        _ if asked.body.is_null() => request.body(Body::empty()).unwrap(),
        _ => request
            .header("content-type", "application/json")
            .body(Body::from(asked.body.to_string()))
            .unwrap(),
    };
    // A stream has no end, so its body isn't read.
    api.routes.clone().oneshot(request).await.unwrap().status()
}

/// Actions on record, with how often.
fn recorded(api: &Api) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for (key, bytes) in api.store.dump() {
        if key.starts_with("audit/") {
            let event: Value = serde_json::from_slice(&bytes).unwrap();
            *found.entry(event["action"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    found
}

#[tokio::test]
async fn each_operation_is_recorded_as_its_rule_says_before_it_is_answered() {
    for asked in asked() {
        let what = format!("{} by {} {}", asked.rule.name, asked.method, asked.route);
        let api = Api::start().await;
        if asked.rule.name.ends_with("User") {
            api.put("/users/carol", json!({ "mailboxes": ["1002"] })).await.is(StatusCode::OK);
        }
        let id = prepare(&api, asked.rule).await;
        let before = recorded(&api);
        let status = carry_out(&api, &asked, &id).await;
        assert!(status.is_success(), "{what}: {status}");
        let mut after = recorded(&api);
        if let Record::Act(action) | Record::View(action) = asked.rule.record {
            let name = serde_json::to_value(action).unwrap().as_str().unwrap().to_owned();
            let count = after.get_mut(&name).unwrap_or_else(|| panic!("{what}: {name} isn't on record"));
            *count -= 1;
            if *count == 0 {
                after.remove(&name);
            }
        }
        assert_eq!(after, before, "{what}");
    }
}

#[tokio::test]
async fn each_operation_of_the_document_goes_by_one_rule_with_the_roles_that_the_document_names() {
    let document = serde_json::to_value(openapi()).unwrap();
    let mut routes = BTreeSet::new();
    for asked in asked() {
        let method = asked.method.as_str().to_lowercase();
        let operation = &document["paths"][format!("{PREFIX}{}", asked.route)][&method];
        let named = operation["security"].as_array().unwrap();
        let named: BTreeSet<&str> = named.iter().filter_map(|way| way["bearer"][0].as_str()).collect();
        let roles: Vec<String> =
            asked.rule.roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
        assert_eq!(named, roles.iter().map(String::as_str).collect(), "{}", asked.rule.name);
        routes.insert((asked.route, method));
    }
    let documented: usize =
        document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(routes.len(), documented, "operations that no rule is tried for");
    let tried: BTreeSet<&str> = asked().iter().map(|asked| asked.rule.name).collect();
    let all: BTreeSet<&str> = ALL.iter().map(|rule| rule.name).collect();
    assert_eq!(tried, all);
}

/// Handlers reach the services through the door alone; these open no operation.
#[test]
fn handlers_come_by_the_services_through_the_door_alone() {
    let others = ["app.rs", "extract.rs", "stall.rs", "tickets.rs"];
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".rs") || others.contains(&name.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("app.core()"), "{name}: let the caller in by `enter` or `enter_mailbox`");
        assert!(!text.contains(".audit().record"), "{name}: `Entry::act` records");
    }
}

/// What an administrator does to see what isn't theirs.
#[tokio::test]
async fn an_administrator_who_gives_themselves_a_mailbox_is_on_record_with_the_mailbox() {
    let api = Api::start().await;
    api.put("/users/mallory", json!({ "mailboxes": ["1001"], "groups": ["sales"] })).await.is(StatusCode::OK);
    api.put("/users/ann@example.org", json!({ "mailboxes": ["1002"] })).await.is(StatusCode::OK);
    for _ in 0..3 {
        api.get_as("mallory", "/mailboxes/1001/messages").await.is(StatusCode::OK);
    }
    let page: Value = api.get("/audit").await.is(StatusCode::OK).json();
    let events = page["events"].as_array().unwrap();
    let subject = json!({ "user": "mallory", "mailboxes": ["1001"], "groups": ["sales"] });
    assert!(events.iter().any(|event| event["action"] == "putUser" && event["subject"] == subject), "{page}");
    let views = events.iter().filter(|event| event["action"] == "viewMessages");
    let views: Vec<_> = views.map(|event| (&event["user"], &event["subject"]["mailbox"])).collect();
    assert_eq!(views, [(&json!("mallory"), &json!("1001"))]);
    assert!(!page.to_string().contains("ann@example.org"), "{page}");
}

#[test]
fn owners_hear_and_make_room_even_when_nothing_can_be_recorded_for_now() {
    let may_wait = [AuditAction::Listen, AuditAction::ViewMessages, AuditAction::TrashMessage];
    assert!(may_wait.into_iter().all(AuditAction::may_wait));
    let must = [AuditAction::Search, AuditAction::Export, AuditAction::PutUser, AuditAction::ForwardMessage];
    assert!(!must.into_iter().any(AuditAction::may_wait));
}
