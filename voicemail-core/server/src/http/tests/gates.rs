use super::*;

/// Every documented operation: method, path with names filled in, and the roles that its security names.
fn operations() -> Vec<(Method, String, BTreeSet<String>)> {
    let mut found = Vec::new();
    let document = serde_json::to_value(openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = ["mailbox", "user", "group", "caseid"]
            .iter()
            .fold(path.clone(), |path, name| path.replace(&format!("{{{name}}}"), "1001"));
        let path = path.replace("{id}", &key_of(jiff::Timestamp::now())).replace("{number}", "1");
        let path = path.trim_start_matches(PREFIX).to_owned();
        let own = if path.starts_with("/mailboxes") { "standard" } else { "default" };
        let path = path.replace("{greeting}", own);
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH] {
            let Some(operation) = item.get(method.as_str().to_lowercase()) else { continue };
            let security = operation["security"].as_array().unwrap();
            let roles = security.iter().filter_map(|way| way["bearer"][0].as_str()).map(str::to_owned);
            found.push((method, path.clone(), roles.collect::<BTreeSet<String>>()));
        }
    }
    assert!(found.len() > 30 && found.iter().all(|(.., roles)| !roles.is_empty()));
    found
}

#[tokio::test]
async fn nothing_is_answered_without_a_token() {
    let api = Api::start().await;
    for (method, path, _) in operations() {
        for token in [None, Some("Basic YTpi"), Some("Bearer x.y.z")] {
            let mut request = Request::builder().method(method.clone()).uri(format!("{PREFIX}{path}"));
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            let answer = api.send(request.body(Body::empty()).unwrap()).await;
            answer.is_problem(ProblemKind::Unauthenticated);
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
    }
}

#[tokio::test]
async fn every_operation_takes_the_roles_that_its_document_names_and_no_other() {
    let api = Api::start().await;
    directory::open(&api);
    for (method, path, roles) in operations() {
        for role in ["telephony", "agent", "admin", "privacy"] {
            let request = api.request_as(method.clone(), &path, "alice", &[role]);
            let request = request.body(Body::empty()).unwrap();
            // A stream has no end, so its body isn't read.
            let status = api.routes.clone().oneshot(request).await.unwrap().status();
            assert_ne!(status, StatusCode::UNAUTHORIZED);
            assert_eq!(status != StatusCode::FORBIDDEN, roles.contains(role), "{method} {path} as {role}");
        }
    }
}

#[tokio::test]
async fn a_foreign_users_token_opens_nothing_of_another_user() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "+442079460123").await;
    let mut asked = 0;
    for (method, path, roles) in operations() {
        let own = roles.contains("agent") && path.starts_with("/mailboxes/1001");
        if !own {
            continue;
        }
        asked += 1;
        let unknown = key_of(jiff::Timestamp::now());
        let path = match path.strip_prefix("/mailboxes/1001/messages/").and_then(|rest| rest.split_once('/'))
        {
            Some((_, action)) => format!("/mailboxes/1001/messages/{id}/{action}"),
            None if path.contains("/messages/") => format!("/mailboxes/1001/messages/{id}"),
            None => path.replace(&unknown, &id),
        };
        let body = match path.rsplit('/').next().unwrap() {
            "pin" => json!({ "pin": "739154" }),
            "forward" => json!({ "to": ["1002"] }),
            _ => json!({}),
        };
        let request = api.request_as(method.clone(), &path, "bob", &["agent"]);
        let request = request.header("content-type", "application/json");
        let answer = api.send(request.body(Body::from(body.to_string())).unwrap()).await;
        assert!(
            matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN),
            "{method} {path}: {answer:?}"
        );
    }
    assert!(asked >= 10, "{asked}");
}

#[tokio::test]
async fn an_agent_without_a_usable_user_opens_nothing() {
    let api = Api::start().await;
    let answer = api.get_as(&"x".repeat(513), "/me/mailboxes").await;
    answer.is_problem(ProblemKind::RoleMissing);
}

#[tokio::test]
async fn an_issuer_whose_keys_cannot_be_had_means_try_again() {
    let api = Api::start_closed().await;
    std::fs::remove_file(api._files.path().join("jwks.json")).unwrap();
    let answer = api.get("/me/mailboxes").await;
    answer.is_problem(ProblemKind::KeysUnavailable);
    assert!(!answer.header("retry-after").is_empty());
}

#[tokio::test]
async fn until_the_store_is_open_every_operation_says_so() {
    let api = Api::start_closed().await;
    let answer = api.get("/mailboxes/1001/messages").await;
    answer.is_problem(ProblemKind::NotOpen);
    assert!(!answer.header("retry-after").is_empty());
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let api = Api::start_empty().await;
    api.get("/nothing").await.is_problem(ProblemKind::UnknownPath);
    api.delete("/me/mailboxes").await.is_problem(ProblemKind::WrongMethod);
    api.put("/mailboxes/1001/messages", json!({})).await.is_problem(ProblemKind::WrongMethod);
}

#[tokio::test]
async fn metrics_name_routes_by_template_and_hold_nothing_personal() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "+442079460123").await;
    api.get(&format!("/mailboxes/1001/messages/{id}")).await.is(StatusCode::OK);
    let unknown = api.get("/nothing/+442079460123").await;
    assert_eq!(unknown.header("x-request-id").len(), 32);
    let text = api.app.metrics.render();
    assert!(text.contains("route=\"/api/v1/mailboxes/{mailbox}/messages/{id}\",status=\"200\""), "{text}");
    assert!(text.contains("voicemail_deposits_total{result=\"created\"} 1"), "{text}");
    for personal in ["9460123", "/1001", "alice", &id] {
        assert!(!text.contains(personal), "{personal}");
    }
}
