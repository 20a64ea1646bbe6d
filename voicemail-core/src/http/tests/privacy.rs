use super::*;
use crate::gdpr_api::{CaseView, GdprAnswer, RunState};
use crate::model::Mwi;

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
