use super::*;
use voicemail_api::mailboxes::MailboxView;

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
            (Method::GET, format!("/groups/{name}")),
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

#[tokio::test]
async fn what_somebody_else_has_changed_meanwhile_is_not_overwritten() {
    let api = Api::start().await;
    let schedule = "/mailboxes/1001/greetings/alternate/schedule";
    let days = |days: Value| json!({ "weekly": [{ "days": days, "from": "18:00:00", "to": "08:00:00" }], "dates": [] });
    api.put_if(schedule, ("if-match", "*"), &days(json!(["monday"]))).await.is_problem(ProblemKind::Changed);
    api.put_if(schedule, ("if-none-match", "*"), &days(json!(["monday"]))).await.is(StatusCode::OK);
    for (path, first, second) in [
        (
            "/mailboxes/1001/preferences",
            json!({ "language": "cy-GB" }),
            json!({ "timeZone": "Europe/London" }),
        ),
        (schedule, days(json!(["tuesday"])), days(json!(["wednesday"]))),
        ("/mailboxes/1001", json!({ "label": "One" }), json!({ "label": "Two" })),
        ("/users/alice", json!({ "mailboxes": ["1001"] }), json!({ "mailboxes": ["1002"] })),
        ("/groups/sales", json!({ "mailbox": "1001" }), json!({ "mailbox": "1002" })),
    ] {
        let etag = api.get(path).await.is(StatusCode::OK).header("etag").to_owned();
        assert!(etag.len() > 10, "{path}");
        let made = api.put_if(path, ("if-match", &etag), &first).await.is(StatusCode::OK);
        assert_eq!(api.get(path).await.header("etag"), made.header("etag"), "{path}");
        assert_ne!(made.header("etag"), etag);
        api.put_if(path, ("if-match", &etag), &second).await.is_problem(ProblemKind::Changed);
        api.put_if(path, ("if-match", &format!("W/{}", made.header("etag"))), &second)
            .await
            .is_problem(ProblemKind::Changed);
        api.put_if(path, ("if-none-match", "*"), &second).await.is_problem(ProblemKind::Changed);
        let both = format!("\"x\", {}", made.header("etag"));
        api.put_if(path, ("if-match", &both), &second).await.is(StatusCode::OK);
        let again = api.put_if(path, ("if-match", "*"), &second).await.is(StatusCode::OK);
        assert_eq!(again.header("etag"), api.put(path, second).await.header("etag"), "{path}");
        api.put_if(path, ("if-none-match", "\"x\""), &first).await.is_problem(ProblemKind::InvalidValue);
    }
    api.put_if("/users/carol", ("if-match", "*"), &json!({})).await.is_problem(ProblemKind::Changed);
    api.put_if("/users/carol", ("if-none-match", "*"), &json!({})).await.is(StatusCode::OK);
    api.put_if("/mailboxes/1003", ("if-match", "*"), &json!({})).await.is_problem(ProblemKind::Changed);
    api.put_if("/mailboxes/1003", ("if-none-match", "*"), &json!({})).await.is(StatusCode::OK);
}

#[tokio::test]
async fn what_is_provisioned_is_listed_page_by_page() {
    let api = Api::start().await;
    api.put("/mailboxes/1003", json!({})).await.is(StatusCode::OK);
    api.delete("/mailboxes/1003").await.is(StatusCode::NO_CONTENT);
    api.put("/users/carol", json!({})).await.is(StatusCode::OK);
    for (path, list, name, expected) in [
        ("/mailboxes", "mailboxes", "mailbox", vec!["1001", "1002", "2000"]),
        ("/users", "users", "user", vec!["alice", "bob", "carol"]),
        ("/groups", "groups", "group", vec!["sales"]),
    ] {
        let mut seen: Vec<String> = Vec::new();
        let mut query = "?limit=1".to_owned();
        loop {
            let page: Value = api.get(&format!("{path}{query}")).await.is(StatusCode::OK).json();
            let items = page[list].as_array().unwrap();
            assert!(items.len() <= 1);
            seen.extend(items.iter().map(|item| item[name].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            query = format!("?limit=1&cursor={next}");
        }
        seen.sort();
        assert_eq!(seen, expected);
        api.get(&format!("{path}?limit=201")).await.is_problem(ProblemKind::InvalidValue);
        api.get(&format!("{path}?cursor=..%2F")).await.is_problem(ProblemKind::InvalidName);
    }
}

/// Names that Auth0, Entra, ADFS, Google and others give their users.
const ISSUERS_NAMES: [&str; 7] = [
    "alice.smith",
    "alice@example.com",
    "auth0|507f1f77bcf86cd799439020",
    "google-oauth2|103547991597142817347",
    "CORP\\alice",
    "Zm9v/YmFy+Zg==",
    "Ålice Þorn",
];

#[tokio::test]
async fn users_have_the_names_that_issuers_give_them_in_the_path_and_in_the_query() {
    let api = Api::start().await;
    for name in ISSUERS_NAMES {
        let segment = voicemail_api::percent::encode_segment(name);
        let (path, query) = (format!("/users/{segment}"), format!("/users?name={segment}"));
        api.put(&path, json!({ "mailboxes": ["1001"] })).await.is(StatusCode::OK);
        let found = api.get(&query).await.is(StatusCode::OK);
        let tag = found.header("etag").to_owned();
        assert_eq!(found.json::<Value>()["users"][0]["user"], name);
        api.put_if(&query, ("if-match", &tag), &json!({ "mailboxes": ["1002"] })).await.is(StatusCode::OK);
        let own: Value = api.get_as(name, "/me/mailboxes").await.is(StatusCode::OK).json();
        assert_eq!(own["mailboxes"][0]["mailbox"], "1002", "{name}: {own}");
        let user: UserBody = api.get(&path).await.is(StatusCode::OK).json();
        assert_eq!(user.mailboxes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1002"]);
    }
    let longer = format!("/users/{}", "x".repeat(513));
    api.get(&longer).await.is_problem(ProblemKind::InvalidName);
    let all: Value = api.get("/users?limit=200").await.is(StatusCode::OK).json();
    let names: Vec<&str> =
        all["users"].as_array().unwrap().iter().filter_map(|user| user["user"].as_str()).collect();
    assert!(ISSUERS_NAMES.iter().all(|name| names.contains(name)), "{names:?}");
    let (mut paged, mut cursor) = (0, String::new());
    loop {
        let page: Value = api.get(&format!("/users?limit=2{cursor}")).await.is(StatusCode::OK).json();
        paged += page["users"].as_array().unwrap().len();
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, names.len());
    for name in ISSUERS_NAMES {
        let query = format!("/users?name={}", voicemail_api::percent::encode_segment(name));
        api.delete(&query).await.is(StatusCode::NO_CONTENT);
        assert_eq!(api.get(&query).await.is(StatusCode::OK).json::<Value>()["users"], json!([]));
    }
}
