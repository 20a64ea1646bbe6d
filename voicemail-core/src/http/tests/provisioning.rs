use super::*;
use crate::mailbox::MailboxView;

#[tokio::test]
async fn mailboxes_are_made_changed_shown_and_closed() {
    let api = Api::start_empty().await;
    let path = "/mailboxes/1001";
    api.get(path).await.is_problem(ProblemKind::UnknownMailbox);
    let body = json!({ "classOfService": "tiny", "label": "Front desk" });
    let made: MailboxView = api.put(path, body).await.is(StatusCode::OK).json();
    assert_eq!((made.class_of_service.as_str(), made.max_messages), ("tiny", 1));
    assert_eq!(api.get(path).await.json::<MailboxView>(), made);
    api.delete(path).await.is(StatusCode::NO_CONTENT);
    api.get(path).await.is_problem(ProblemKind::UnknownMailbox);
    api.delete(path).await.is_problem(ProblemKind::UnknownMailbox);
}

#[tokio::test]
async fn users_and_groups_are_made_shown_and_removed() {
    let api = Api::start().await;
    let user: UserBody = api.get("/users/alice").await.is(StatusCode::OK).json();
    assert_eq!((user.mailboxes.len(), user.groups.len()), (1, 1));
    let group: GroupBody = api.get("/groups/sales").await.is(StatusCode::OK).json();
    assert_eq!(group.mailbox.as_str(), "2000");
    for path in ["/users/alice", "/groups/sales"] {
        api.delete(path).await.is(StatusCode::NO_CONTENT);
        api.get(path).await.is_problem(ProblemKind::UnknownUser);
        api.delete(path).await.is_problem(ProblemKind::UnknownUser);
    }
}

#[tokio::test]
async fn what_is_provisioned_must_exist_and_be_known() {
    let api = Api::start().await;
    for (path, body, kind) in [
        ("/users/carol", json!({ "mailboxes": ["4711"] }), ProblemKind::InvalidValue),
        ("/users/carol", json!({ "groups": ["nobody"] }), ProblemKind::InvalidValue),
        ("/groups/night", json!({ "mailbox": "4711" }), ProblemKind::InvalidValue),
        ("/mailboxes/1001", json!({ "classOfService": "gold" }), ProblemKind::InvalidValue),
        ("/mailboxes/1001", json!({ "class": "gold" }), ProblemKind::InvalidRequest),
        ("/users/carol", json!({ "mailboxes": ["../x"] }), ProblemKind::InvalidRequest),
        ("/groups/night", json!({}), ProblemKind::InvalidRequest),
    ] {
        api.put(path, body).await.is_problem(kind);
    }
}

#[tokio::test]
async fn path_tricks_in_names_are_refused() {
    let api = Api::start().await;
    for name in ["..%2F..%2Fetc", "%2E%2E", "a%20b", "a%00", "%C3%A4", &"x".repeat(65)] {
        for (method, path) in [
            (Method::PUT, format!("/mailboxes/{name}")),
            (Method::GET, format!("/users/{name}")),
            (Method::GET, format!("/mailboxes/{name}/messages")),
            (Method::GET, format!("/mailboxes/1001/messages/{name}")),
        ] {
            let answer = api.send_json(method, &path, json!({})).await;
            answer.is_problem(ProblemKind::InvalidName);
        }
    }
    api.get("/mailboxes/%FF").await.is_problem(ProblemKind::InvalidName);
    api.get("/mailboxes/../gdpr").await.is_problem(ProblemKind::UnknownPath);
}

#[tokio::test]
async fn bodies_that_are_no_json_or_too_large_are_refused_without_repeating_them() {
    let api = Api::start().await;
    let send = async |kind: &'static str, body: Vec<u8>| {
        let request = api.request(Method::PUT, "/mailboxes/1001").header("content-type", kind);
        api.send(request.body(Body::from(body)).unwrap()).await
    };
    send("text/plain", b"{}".to_vec()).await.is_problem(ProblemKind::WrongType);
    send("application/json", vec![b' '; 1_100_000]).await.is_problem(ProblemKind::BodyTooLarge);
    let answer = send("application/json", br#"{"label": {"phone": "+442079460123"}}"#.to_vec()).await;
    answer.is_problem(ProblemKind::InvalidRequest);
    assert!(!String::from_utf8_lossy(&answer.body).contains("9460123"));
    send("application/json; charset=utf-8", b"{".to_vec()).await.is_problem(ProblemKind::InvalidRequest);
}
