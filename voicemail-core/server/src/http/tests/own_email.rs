//! What people choose for the e-mails to them.

use super::*;
use voicemail_api::config::{EmailConfig, EmailContent};

/// Classes of these contents in force, and a mail server that nobody asks.
fn allow(api: &Api, contents: &[(&str, EmailContent)]) {
    let email = json!({ "smtp": { "host": "mail.example" }, "from": "voicemail@example.com" });
    let email: EmailConfig = serde_json::from_value(email).unwrap();
    let core = api.app().core().unwrap();
    let mut config = core.context.config().as_ref().clone();
    config.email = Some(email);
    for class in &mut config.classes_of_service {
        class.email = contents.iter().find(|(name, _)| *name == class.name).unwrap().1;
    }
    core.context.reload(config);
}

async fn with_address(api: &Api, more: Value) {
    let mut body = json!({ "mailboxes": ["1001"], "groups": ["sales"], "email": "alice@example.com" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    api.put("/users/alice", body).await.is(StatusCode::OK);
}

#[tokio::test]
async fn people_choose_less_than_is_allowed_and_provisioning_leaves_their_choice_alone() {
    let api = Api::start().await;
    for (mailbox, class) in [("1001", "tiny"), ("2000", "brief")] {
        let body = json!({ "classOfService": class });
        api.put(&format!("/mailboxes/{mailbox}"), body).await.is(StatusCode::OK);
    }
    let none = json!({ "refused": false, "allowed": "none", "usualDigestMinutes": 0 });
    assert_eq!(api.get("/me/email").await.is(StatusCode::OK).json::<Value>(), none);
    allow(&api, &[("tiny", EmailContent::Note), ("brief", EmailContent::Audio)]);
    with_address(&api, json!({})).await;
    let usual = json!({ "address": "alice@example.com", "refused": false, "allowed": "audio", "usualDigestMinutes": 0 });
    assert_eq!(api.get("/me/email").await.json::<Value>(), usual);
    let chosen = api.put("/me/email", json!({ "content": "caller" })).await.is(StatusCode::OK);
    assert_eq!(chosen.header("cache-control"), "private, no-store");
    assert_eq!(chosen.json::<Value>()["content"], "caller");
    with_address(&api, json!({ "emailContent": "link" })).await;
    let now: Value = api.get("/me/email").await.json();
    assert_eq!((&now["content"], &now["allowed"]), (&json!("caller"), &json!("link")));
    let shown: UserBody = api.get("/users/alice").await.json();
    assert_eq!(shown.email_chosen, Some(EmailContent::Caller));
    // What was told can be given back as it is, and isn't taken.
    let told = UserBody { email_chosen: Some(EmailContent::None), ..shown };
    api.put("/users/alice", serde_json::to_value(&told).unwrap()).await.is(StatusCode::OK);
    assert_eq!(api.get("/me/email").await.json::<Value>()["content"], "caller");
    assert!(api.put("/me/email", json!({})).await.is(StatusCode::OK).json::<Value>()["content"].is_null());
    api.delete("/users/alice").await.is(StatusCode::NO_CONTENT);
    api.put("/me/email", json!({ "content": "none" })).await.is_problem(ProblemKind::UnknownUser);
    with_address(&api, json!({})).await;
    assert!(api.get("/me/email").await.json::<Value>()["content"].is_null(), "another person, perhaps");
}

#[tokio::test]
async fn messages_wait_as_the_class_says_until_somebody_chooses_otherwise() {
    let api = Api::start().await;
    api.put("/mailboxes/1001", json!({ "classOfService": "tiny" })).await.is(StatusCode::OK);
    allow(&api, &[("tiny", EmailContent::Note), ("brief", EmailContent::None)]);
    let core = api.app().core().unwrap();
    let mut config = core.context.config().as_ref().clone();
    config.classes_of_service.iter_mut().for_each(|class| class.email_digest_minutes = Some(30));
    core.context.reload(config);
    with_address(&api, json!({})).await;
    let minutes = async || {
        let now: Value = api.get("/me/email").await.json();
        (now["usualDigestMinutes"].clone(), now["digestMinutes"].clone())
    };
    assert_eq!(minutes().await, (json!(30), Value::Null));
    for chosen in [0, 1_440] {
        api.put("/me/email", json!({ "digestMinutes": chosen })).await.is(StatusCode::OK);
        assert_eq!(minutes().await, (json!(30), json!(chosen)));
    }
    let refused = api.put("/me/email", json!({ "digestMinutes": 1_441 })).await;
    let told: Value = refused.is_problem(ProblemKind::InvalidRequest).json();
    assert!(told["detail"].as_str().unwrap().contains("write 0 to 1440"), "{told}");
}

#[tokio::test]
async fn a_choice_that_there_isnt_is_refused_and_so_is_whoever_is_no_user() {
    let api = Api::start().await;
    for body in [json!({ "content": "all" }), json!({ "contents": "none" }), json!({ "content": 1 })] {
        api.put("/me/email", body).await.is_problem(ProblemKind::InvalidRequest);
    }
    for roles in [&["telephony"][..], &["admin"], &["privacy"]] {
        let request = api.request_as(Method::GET, "/me/email", "alice", roles);
        let answer = api.send(request.body(Body::empty()).unwrap()).await;
        answer.is_problem(ProblemKind::RoleMissing);
    }
}

#[tokio::test]
async fn a_choice_of_more_than_is_allowed_has_no_effect() {
    let api = Api::start().await;
    allow(&api, &[("tiny", EmailContent::Note), ("brief", EmailContent::Note)]);
    with_address(&api, json!({})).await;
    api.put("/me/email", json!({ "content": "audio" })).await.is(StatusCode::OK);
    let core = api.app().core().unwrap();
    let alice = core.directory.get_user(&"alice".parse().unwrap()).await.unwrap();
    assert_eq!(alice.told(EmailContent::Note), EmailContent::Note);
}
