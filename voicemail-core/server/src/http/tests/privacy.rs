use super::*;
use voicemail_api::gdpr::{CaseView, GdprAnswer, RunState};
use voicemail_model::Mwi;

const NUMBER: &str = "+44 20 7946 0123";

fn body(case: &str, numbers: &[&str]) -> Value {
    json!({ "caseid": case, "consumers": [{ "phone": numbers }] })
}

#[tokio::test]
async fn a_forgotten_callers_messages_vanish_and_come_back_with_an_undo() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "020 7946 0123").await;
    api.leave_message("1001", "+442079460999").await;
    let answer: GdprAnswer = api
        .post("/gdpr/forgetme", body("case-1", &[NUMBER, "+442079460555"]))
        .await
        .is(StatusCode::OK)
        .json();
    assert_eq!(answer.consumers[NUMBER], json!([id]));
    assert_eq!(answer.consumers["+442079460555"], json!([]));
    assert_eq!(answer.run.state, RunState::Marked);
    assert_eq!(api.get("/mailboxes/1001/mwi").await.json::<Mwi>().new, 1);
    api.get(&format!("/mailboxes/1001/messages/{id}/audio")).await.is_problem(ProblemKind::UnknownMessage);
    api.post("/gdpr/undoforgot", body("case-1", &[])).await.is(StatusCode::OK);
    assert_eq!(api.get("/mailboxes/1001/mwi").await.json::<Mwi>().new, 2);
    let case: CaseView = api.get("/gdpr/cases/case-1").await.is(StatusCode::OK).json();
    assert_eq!(case.runs[0].state, RunState::Undone);
}

#[tokio::test]
async fn an_export_is_fetched_as_a_tar_archive_with_the_audio() {
    let api = Api::start().await;
    let id = api.leave_message("1001", NUMBER).await;
    api.post("/gdpr/exportme", body("case 2/ä", &[NUMBER])).await.is(StatusCode::OK);
    let answer = api.get("/gdpr/cases/case%202%2F%C3%A4/export").await.is(StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/x-tar");
    let audio = speech(1);
    assert!(answer.body.windows(audio.len()).any(|window| window == audio));
    assert!(answer.body.windows(id.len()).any(|window| window == id.as_bytes()));
}

#[tokio::test]
async fn requests_that_break_a_rule_are_refused() {
    let api = Api::start().await;
    let other = json!({ "caseid": "c", "ccid": "another", "consumers": [{ "phone": [NUMBER] }] });
    let window = json!({ "caseid": "c", "undoWindow": "31d", "consumers": [{ "phone": [NUMBER] }] });
    for (path, body, kind) in [
        ("/gdpr/forgetme", other, ProblemKind::OtherTenant),
        ("/gdpr/forgetme", window, ProblemKind::InvalidWindow),
        ("/gdpr/forgetme", body("c", &[]), ProblemKind::InvalidConsumers),
        ("/gdpr/forgetme", json!({ "caseid": "c", "consumers": ["x"] }), ProblemKind::InvalidConsumers),
        ("/gdpr/forgetme", body("", &[NUMBER]), ProblemKind::InvalidName),
        ("/gdpr/forgetme", json!({ "consumers": [] }), ProblemKind::InvalidRequest),
        ("/gdpr/undoforget", body("c", &[]), ProblemKind::NoRunToUndo),
    ] {
        api.post(path, body).await.is_problem(kind);
    }
    for path in ["/gdpr/cases/c", "/gdpr/cases/c/export", "/gdpr/cases/c/receipts/1"] {
        api.get(path).await.is_problem(ProblemKind::UnknownCase);
    }
    api.get("/gdpr/cases/c/receipts/x").await.is_problem(ProblemKind::InvalidName);
}

#[tokio::test]
async fn an_open_case_with_other_consumers_is_refused() {
    let api = Api::start().await;
    api.post("/gdpr/forgetme", body("case-3", &[NUMBER])).await.is(StatusCode::OK);
    api.post("/gdpr/forgetme", body("case-3", &[NUMBER])).await.is(StatusCode::OK);
    let answer = api.post("/gdpr/forgetme", body("case-3", &["+442079460555"])).await;
    answer.is_problem(ProblemKind::CaseDiffers);
}

/// The files of a tar archive.
fn unpack(archive: &[u8]) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut files = std::collections::BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        files.insert(name, bytes);
    }
    files
}

#[tokio::test]
async fn an_exports_archive_describes_every_file_for_programs_and_for_people() {
    let api = Api::start().await;
    let fields: [(&str, &[u8]); 3] =
        [("caller", NUMBER.as_bytes()), ("callerName", b"<i>Bob</i>"), ("audio", &speech(2))];
    let id = api.deposit("1001", None, &fields).await.is(StatusCode::CREATED).json::<DepositAnswer>().id;
    let unknown = "+44 (20) 7946-0555";
    api.post("/gdpr/exportme", body("c", &[NUMBER, unknown])).await.is(StatusCode::OK);
    let answer = api.get("/gdpr/cases/c/export").await.is(StatusCode::OK);
    let files = unpack(&answer.body);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let audio = format!("{id}.wav");
    assert_eq!(names, [audio.as_str(), "index.html", "manifest.json", "output.json"]);
    assert_eq!(files[&audio], speech(2));
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let message = &manifest["messages"][0];
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &speech(2));
    assert_eq!(
        (&message["sha256"], &message["codec"], &message["durationMs"], &message["region"]),
        (&json!(hex::encode(digest)), &json!("g711-alaw"), &json!(2_000), &json!("main"))
    );
    assert_eq!((&message["caller"], &message["callerName"]), (&json!(NUMBER), &json!("<i>Bob</i>")));
    let output: Value = serde_json::from_slice(&files["output.json"]).unwrap();
    assert_eq!(output, json!({ "caseid": "c", "consumers": { NUMBER: [id], unknown: [] } }));
    let page = String::from_utf8(files["index.html"].clone()).unwrap();
    assert!(page.contains("&lt;i&gt;Bob&lt;/i&gt;") && page.contains(&audio), "{page}");
}

#[tokio::test]
async fn holds_decisions_and_the_books_are_for_privacy_officers_alone() {
    let api = Api::start().await;
    let id = api.leave_message("1001", NUMBER).await;
    let hold = format!("/mailboxes/1001/messages/{id}/hold");
    for path in
        ["/gdpr/cases", "/gdpr/keys", "/gdpr/ledger", "/gdpr/register?from=2026-01-01T00:00:00Z", &hold]
    {
        api.get_as("alice", path).await.is_problem(ProblemKind::RoleMissing);
    }
    api.get(&hold).await.is_problem(ProblemKind::UnknownMessage);
    api.put(&hold, json!({ "reason": "claim" })).await.is(StatusCode::OK);
    assert_eq!(api.get(&hold).await.json::<Value>()["reason"], "claim");
    api.put(&hold, json!({ "reason": "+44 20 7946 0123" })).await.is_problem(ProblemKind::InvalidValue);
    api.delete(&hold).await.is(StatusCode::NO_CONTENT);

    let mut request = body("c", &[NUMBER]);
    request["requireApproval"] = true.into();
    let answer: GdprAnswer = api.post("/gdpr/forgetme", request).await.is(StatusCode::OK).json();
    assert_eq!(answer.run.state, RunState::AwaitingApproval);
    // The same token sent it.
    api.post("/gdpr/cases/c/approve", json!({})).await.is_problem(ProblemKind::SecondPerson);
    let extended = api.post("/gdpr/cases/c/extend", json!({ "months": 1, "reason": "many" })).await;
    assert_eq!(extended.is(StatusCode::OK).json::<Value>()["extension"]["months"], 1);
    let cases: Value = api.get("/gdpr/cases?state=awaitingApproval").await.is(StatusCode::OK).json();
    assert_eq!(cases["cases"][0]["caseid"], "c");
    let second = api.request_as(Method::POST, "/gdpr/cases/c/approve", "bob", &["privacy"]);
    let second = second.header("content-type", "application/json").body(Body::from("{}")).unwrap();
    let run: Value = api.send(second).await.is(StatusCode::OK).json();
    assert_eq!((&run["state"], &run["approval"]["given"]), (&json!("marked"), &json!(true)));
    api.post("/gdpr/cases/c/cancel", json!({})).await.is_problem(ProblemKind::DecisionRefused);
    let deny = json!({ "ground": "legalClaims" });
    api.post("/gdpr/cases/c/deny", deny).await.is_problem(ProblemKind::DecisionRefused);
    let register: Value = api.get("/gdpr/register?from=2020-01-01T00:00:00Z").await.is(StatusCode::OK).json();
    assert_eq!(register["entries"][0]["outcome"], "marked");
    let keys: Value = api.get("/gdpr/keys").await.is(StatusCode::OK).json();
    assert_eq!(
        (&keys["keys"][0]["algorithm"], &keys["keys"][0]["signing"]),
        (&json!("Ed25519"), &json!(true))
    );
    // The hold and its end, and the request as it waited for a person and for its erasure.
    assert_eq!(api.get("/gdpr/ledger").await.is(StatusCode::OK).json::<Value>()["head"]["epoch"], 4);
}

#[tokio::test]
async fn the_register_is_read_at_once_or_page_by_page() {
    let api = Api::start().await;
    for case in ["a", "b", "c"] {
        api.post("/gdpr/exportme", body(case, &[NUMBER])).await.is(StatusCode::OK);
    }
    let path = "/gdpr/register?from=2020-01-01T00:00:00Z";
    let names = |page: &Value| {
        let entries = page["entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["case"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let whole: Value = api.get(path).await.is(StatusCode::OK).json();
    assert_eq!((names(&whole), whole.get("next")), (vec!["a".into(), "b".into(), "c".into()], None));
    let first: Value = api.get(&format!("{path}&limit=2")).await.is(StatusCode::OK).json();
    assert_eq!(names(&first), ["a", "b"]);
    let cursor = first["next"].as_str().unwrap();
    for limit in ["", "&limit=2"] {
        let last: Value = api.get(&format!("{path}&cursor={cursor}{limit}")).await.is(StatusCode::OK).json();
        assert_eq!((names(&last), last.get("next")), (vec!["c".into()], None));
    }
    api.get(&format!("{path}&limit=0")).await.is_problem(ProblemKind::InvalidValue);
}

#[tokio::test]
async fn decisions_and_legal_holds_are_on_record_without_numbers_and_refused_ones_are_not() {
    let api = Api::start().await;
    let id = api.leave_message("1001", NUMBER).await;
    let hold = format!("/mailboxes/1001/messages/{id}/hold");
    api.put(&hold, json!({ "reason": "claim" })).await.is(StatusCode::OK);
    api.delete(&hold).await.is(StatusCode::NO_CONTENT);
    let waiting = |case: &str| {
        let mut request = body(case, &[NUMBER]);
        request["requireApproval"] = true.into();
        request
    };
    for case in ["c", "d", "e"] {
        api.post("/gdpr/forgetme", waiting(case)).await.is(StatusCode::OK);
    }
    api.post("/gdpr/cases/c/extend", json!({ "months": 1, "reason": "many" })).await.is(StatusCode::OK);
    api.post("/gdpr/cases/c/approve", json!({})).await.is_problem(ProblemKind::SecondPerson);
    let second = api.request_as(Method::POST, "/gdpr/cases/c/approve", "bob", &["privacy"]);
    let second = second.header("content-type", "application/json").body(Body::from("{}")).unwrap();
    api.send(second).await.is(StatusCode::OK);
    api.post("/gdpr/cases/d/deny", json!({ "ground": "legalClaims" })).await.is(StatusCode::OK);
    api.post("/gdpr/cases/e/cancel", json!({})).await.is(StatusCode::OK);
    api.post("/gdpr/cases/c/cancel", json!({})).await.is_problem(ProblemKind::DecisionRefused);
    let acts = ["approve", "cancel", "deny", "endHold", "extend", "forget", "forget", "forget", "putHold"];
    assert_eq!(api.acts().await, acts);

    let page: Value = api.get("/audit").await.is(StatusCode::OK).json();
    let event = |act: &str| {
        let events = page["events"].as_array().unwrap();
        events.iter().find(|event| event["action"] == act).unwrap().clone()
    };
    for act in ["putHold", "endHold"] {
        let subject = json!({ "mailbox": "1001", "message": id });
        assert_eq!(event(act)["subject"], subject, "{act}");
    }
    for (act, run) in [
        ("extend", "c/forgetme.1"),
        ("approve", "c/forgetme.1"),
        ("deny", "d/forgetme.1"),
        ("cancel", "e/forgetme.1"),
    ] {
        assert_eq!(event(act)["subject"], json!({ "run": run }), "{act}");
    }
    let who = |act: &str| event(act)["actor"].as_str().unwrap().to_owned();
    assert_eq!((who("extend"), who("approve") == who("extend")), (who("forget"), false));
    assert_eq!(event("approve")["user"], "bob");
    assert!(!page.to_string().contains("9460123"), "{page}");
}

#[tokio::test]
async fn an_export_has_no_link_to_pass_on_and_each_download_is_on_record() {
    let api = Api::start().await;
    let id = api.leave_message("1001", NUMBER).await;
    let answer: Value = api.post("/gdpr/exportme", body("c", &[NUMBER])).await.is(StatusCode::OK).json();
    assert!(!answer.to_string().contains("ticket"), "{answer}");
    let path = "/gdpr/cases/c/export";
    let purposes =
        [json!({ "purpose": "events" }), json!({ "purpose": "audio", "mailbox": "1001", "message": id })];
    for purpose in purposes {
        let made: Value = api.post("/tickets", purpose).await.is(StatusCode::CREATED).json();
        let ticket = made["ticket"].as_str().unwrap();
        let request = Request::get(format!("{PREFIX}{path}?ticket={ticket}")).body(Body::empty()).unwrap();
        api.send(request).await.is_problem(ProblemKind::Unauthenticated);
    }
    api.post("/tickets", json!({ "purpose": "export", "caseid": "c" }))
        .await
        .is_problem(ProblemKind::InvalidRequest);
    api.get_as("alice", path).await.is_problem(ProblemKind::RoleMissing);
    for _ in 0..2 {
        api.get(path).await.is(StatusCode::OK);
    }
    assert_eq!(api.acts().await, ["downloadExport", "downloadExport", "export"]);
}

#[tokio::test]
async fn who_acts_is_named_as_the_issuer_names_them_and_the_subject_is_named_nowhere() {
    let api = Api::start().await;
    let body = |name: &str, value: &str| {
        let mut body =
            json!({ "caseid": "W-1", "consumers": [{ "phone": ["+442079460123"] }], "dryRun": true });
        body[name] = value.into();
        body
    };
    for name in ["b4f3c2d1-1234-4567-8901-0a1b2c3d4e5f", "oidc:103547991597142817347", "ann@example.org"] {
        api.post("/gdpr/exportme", body("requestedBy", name)).await.is(StatusCode::OK);
    }
    for case in ["123456789", "2026-11-28", "HR-2026-004217", "b4f3c2d1-1234-4567-8901-0a1b2c3d4e5f"] {
        api.post("/gdpr/exportme", body("caseid", case)).await.is(StatusCode::OK);
    }
    for case in ["020 7946 0123", "+442079460123", "ann@example.org"] {
        for path in ["/gdpr/exportme", "/gdpr/forgetme"] {
            api.post(path, body("caseid", case)).await.is_problem(ProblemKind::InvalidValue);
            let mut real = body("caseid", case);
            real["dryRun"] = false.into();
            api.post(path, real).await.is_problem(ProblemKind::InvalidValue);
        }
    }
}
