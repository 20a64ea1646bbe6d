use super::*;
use utoipa::openapi::path::PathItem;

/// Every documented operation: method, path with names filled in, and the role that its tag names.
fn operations() -> Vec<(Method, String, String)> {
    let mut found = Vec::new();
    for (path, item) in openapi().paths.paths {
        let path = ["mailbox", "user", "group", "caseid"]
            .iter()
            .fold(path, |path, name| path.replace(&format!("{{{name}}}"), "1001"));
        let path = path.replace("{id}", &key_of(jiff::Timestamp::now())).replace("{number}", "1");
        let path = path.trim_start_matches(PREFIX).to_owned();
        let own = if path.starts_with("/mailboxes") { "standard" } else { "default" };
        let path = path.replace("{greeting}", own);
        let PathItem { get, put, post, delete, patch, .. } = item;
        for (method, operation) in [
            (Method::GET, get),
            (Method::PUT, put),
            (Method::POST, post),
            (Method::DELETE, delete),
            (Method::PATCH, patch),
        ] {
            if let Some(operation) = operation {
                found.push((method, path.clone(), operation.tags.unwrap()[0].clone()));
            }
        }
    }
    assert!(found.len() > 20);
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

/// Roles beside the one that an operation's tag names.
fn takes_also(method: &Method, path: &str, role: &str) -> bool {
    let greeting = path.contains("/greetings/");
    match role {
        "telephony" => path.ends_with("/mwi"),
        "agent" => method == Method::GET && (greeting || path.ends_with("/reception")),
        "admin" => greeting || path.ends_with("/pin") || path.ends_with("/preferences"),
        _ => false,
    }
}

#[tokio::test]
async fn every_operation_takes_the_role_of_its_tag() {
    let api = Api::start().await;
    for (method, path, tag) in operations() {
        for role in ["telephony", "agent", "admin", "privacy"] {
            let request = api.request_as(method.clone(), &path, "alice", &[role]);
            let answer = api.send(request.body(Body::empty()).unwrap()).await;
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED);
            assert_eq!(
                answer.status != StatusCode::FORBIDDEN,
                role == tag || takes_also(&method, &path, role),
                "{method} {path} as {role}"
            );
        }
    }
}

#[tokio::test]
async fn an_agent_without_a_usable_user_opens_nothing() {
    let api = Api::start().await;
    let answer = api.get_as("not a plain name", "/me/mailboxes").await;
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
