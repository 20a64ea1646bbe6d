//! Tickets and what browsers are told.

use super::*;

impl Api {
    async fn get_without_header(&self, path: &str) -> Answer {
        self.send(Request::get(format!("{PREFIX}{path}")).body(Body::empty()).unwrap()).await
    }

    async fn ticket(&self, body: Value) -> String {
        let made: Value = self.post("/tickets", body).await.is(StatusCode::CREATED).json();
        made["ticket"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_ticket_plays_its_message_and_opens_nothing_else() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "+442079460123").await;
    let other = api.leave_message("1001", "+442079460123").await;
    let ticket = api.ticket(json!({ "purpose": "audio", "mailbox": "1001", "message": id })).await;
    let audio = format!("/mailboxes/1001/messages/{id}/audio");
    let played = api.get_without_header(&format!("{audio}?ticket={ticket}")).await.is(StatusCode::OK);
    assert_eq!(played.body, speech(1));
    for path in [
        audio.clone(),
        format!("{audio}?ticket={}x", &ticket[..ticket.len() - 1]),
        format!("{audio}?ticket="),
        format!("/mailboxes/1001/messages/{other}/audio?ticket={ticket}"),
        format!("/mailboxes/1001/messages/{id}?ticket={ticket}"),
        format!("/mailboxes/1001/messages?ticket={ticket}"),
        format!("/mwi/events?ticket={ticket}"),
        format!("/me/mailboxes?ticket={ticket}"),
    ] {
        api.get_without_header(&path).await.is_problem(ProblemKind::Unauthenticated);
    }
    let delete = Request::delete(format!("{PREFIX}/mailboxes/1001/messages/{id}?ticket={ticket}"));
    api.send(delete.body(Body::empty()).unwrap()).await.is_problem(ProblemKind::Unauthenticated);
}

#[tokio::test]
async fn a_ticket_opens_the_stream_and_no_audio() {
    let api = Api::start().await;
    let id = api.leave_message("1001", "+442079460123").await;
    let ticket = api.ticket(json!({ "purpose": "events" })).await;
    let request = Request::get(format!("{PREFIX}/mwi/events?ticket={ticket}")).body(Body::empty()).unwrap();
    let response = api.routes.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let audio = format!("/mailboxes/1001/messages/{id}/audio?ticket={ticket}");
    api.get_without_header(&audio).await.is_problem(ProblemKind::Unauthenticated);
}

#[tokio::test]
async fn tickets_are_made_for_own_messages_alone() {
    let api = Api::start().await;
    let id = api.leave_message("1002", "+442079460123").await;
    let audio = |id: &str| json!({ "purpose": "audio", "mailbox": "1002", "message": id });
    api.post("/tickets", audio(&id)).await.is_problem(ProblemKind::UnknownMailbox);
    let unknown = key_of(jiff::Timestamp::now());
    let own = json!({ "purpose": "audio", "mailbox": "1001", "message": unknown });
    api.post("/tickets", own).await.is_problem(ProblemKind::UnknownMessage);
    for bad in [
        json!({}),
        json!({ "purpose": "all" }),
        json!({ "purpose": "audio" }),
        json!({ "purpose": "events", "x": 1 }),
    ] {
        api.post("/tickets", bad).await.is_problem(ProblemKind::InvalidRequest);
    }
}

#[tokio::test]
async fn pages_of_configured_origins_may_read_answers_and_no_others() {
    let api = Api::start().await;
    let mut settings = api.settings.borrow().as_ref().clone();
    settings.browser_origins = vec!["https://desk.example".into()];
    api.settings.send_replace(Arc::new(settings));
    for (origin, allowed) in
        [("https://desk.example", true), ("https://evil.example", false), ("null", false)]
    {
        let get = api.request(Method::GET, "/me/mailboxes").header("origin", origin);
        let answer = api.send(get.body(Body::empty()).unwrap()).await.is(StatusCode::OK);
        assert_eq!(answer.header("access-control-allow-origin") == origin, allowed, "{origin}");
        let preflight = Request::builder()
            .method(Method::OPTIONS)
            .uri(format!("{PREFIX}/mailboxes/1001"))
            .header("origin", origin)
            .header("access-control-request-method", "PUT")
            .header("access-control-request-headers", "authorization,if-match");
        let answer = api.send(preflight.body(Body::empty()).unwrap()).await.is(StatusCode::OK);
        assert_eq!(answer.header("access-control-allow-origin") == origin, allowed, "{origin}");
        assert!(answer.header("vary").contains("origin"));
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
}

#[tokio::test]
async fn every_answer_has_headers_that_keep_it_from_being_framed_sniffed_or_kept() {
    let api = Api::start().await;
    for path in ["/me/mailboxes", "/nothing", "/audit"] {
        let answer = api.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.header("cache-control").contains("no-store"), "{path}");
        assert_eq!(answer.header("strict-transport-security"), "");
    }
}

#[tokio::test]
async fn a_plain_request_id_is_taken_over_and_any_other_is_replaced() {
    let api = Api::start().await;
    for (given, kept) in
        [("abc-1.2_3", true), ("442079460123", false), ("a b", false), (&*"x".repeat(65), false)]
    {
        let get = api.request(Method::GET, "/me/mailboxes").header("x-request-id", given);
        let answer = api.send(get.body(Body::empty()).unwrap()).await.is(StatusCode::OK);
        assert_eq!(answer.header("x-request-id") == given, kept, "{given}");
        assert!(!answer.header("x-request-id").is_empty());
    }
}
