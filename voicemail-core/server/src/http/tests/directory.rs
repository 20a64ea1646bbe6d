use super::*;
use voicemail_api::config::DirectoryAccess;

/// Opens the directory, as a reload of the configuration does.
pub(super) fn open(api: &Api) {
    let core = api.app.core().unwrap();
    let mut config = core.context.config().as_ref().clone();
    config.directory = DirectoryAccess::Open;
    core.context.reload(config);
}

#[tokio::test]
async fn agents_find_mailboxes_that_are_not_theirs_where_the_tenant_allows_it() {
    let api = Api::start().await;
    api.get_as("alice", "/directory?prefix=10").await.is_problem(ProblemKind::DirectoryClosed);
    open(&api);
    api.put("/mailboxes/1002", json!({ "label": "Front desk" })).await.is(StatusCode::OK);
    let page: Value = api.get_as("alice", "/directory?prefix=10").await.is(StatusCode::OK).json();
    let two = json!([{ "mailbox": "1001" }, { "mailbox": "1002", "label": "Front desk" }]);
    assert_eq!(page, json!({ "mailboxes": two }));
    let page: Value = api.get_as("alice", "/directory?limit=1").await.is(StatusCode::OK).json();
    assert_eq!(page, json!({ "mailboxes": [{ "mailbox": "1001" }], "next": "1001" }));
    let page: Value = api.get_as("alice", "/directory?cursor=1002").await.is(StatusCode::OK).json();
    assert_eq!(page, json!({ "mailboxes": [{ "mailbox": "2000" }] }));
    for wrong in ["limit=0", "limit=51", "cursor=..", "name=10"] {
        let answer = api.get_as("alice", &format!("/directory?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}: {answer:?}");
    }
}

#[tokio::test]
async fn only_agents_look_mailboxes_up_and_it_is_on_record_without_what_they_typed() {
    let api = Api::start().await;
    open(&api);
    for role in ["telephony", "admin", "privacy"] {
        let request = api.request_as(Method::GET, "/directory", "carol", &[role]);
        let answer = api.send(request.body(Body::empty()).unwrap()).await;
        answer.is_problem(ProblemKind::RoleMissing);
    }
    for prefix in ["1", "10", "100"] {
        api.get_as("alice", &format!("/directory?prefix={prefix}")).await.is(StatusCode::OK);
    }
    let page: Value = api.get("/audit?action=viewDirectory").await.is(StatusCode::OK).json();
    let events = page["events"].as_array().unwrap();
    assert_eq!((events.len(), &events[0]["user"]), (1, &json!("alice")), "{page}");
    assert_eq!(events[0]["subject"], json!({}));
}

#[tokio::test]
async fn who_knows_a_pin_alone_finds_no_other_mailbox() {
    let api = Api::start().await;
    open(&api);
    api.put("/mailboxes/1001/pin", json!({ "pin": "739154" })).await;
    let verified = api.post("/mailboxes/1001/pin/verify", json!({ "pin": "739154" })).await;
    let token = verified.is(StatusCode::OK).json::<Value>()["token"].as_str().unwrap().to_owned();
    let request = Request::builder().uri(format!("{PREFIX}/directory?prefix=1"));
    let request = request.header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap();
    api.send(request).await.is_problem(ProblemKind::RoleMissing);
}
