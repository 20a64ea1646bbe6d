//! Where our requests go, over the wire.

use super::super::wire::{OPEN, PATIENCE, Scene, answer_to, description, line_of, receive, send, socket};
use crate::signalling::{Incoming, Signalling as _, SipError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// The answer of a proxy that takes everything.
fn taken(request: &str) -> String {
    answer_to(request, "200 OK")
}

/// A scene whose trunk has an outbound proxy, that proxy, and its Route.
async fn scene() -> (Scene, tokio::net::UdpSocket, String) {
    let proxy = socket("127.0.0.2", None).await;
    let address = proxy.local_addr().unwrap();
    let scene = Scene::open_as(&format!("outboundProxy: '{address}'")).await;
    proxy.connect(scene.sip.local()).await.unwrap();
    (scene, proxy, format!("<sip:{address};lr>"))
}

/// Tells a phone that has subscribed, by a request with these headers besides.
async fn tell_a_subscriber(scene: &Scene, headers: &str) -> JoinHandle<Result<(), SipError>> {
    let event = format!("Event: message-summary\r\nExpires: 600{headers}");
    let subscribe = scene.message("SUBSCRIBE", OPEN, "").replace("Content-Type: application/sdp", &event);
    send(&scene.own, &subscribe).await;
    let Some(Incoming::Subscription(mut phone)) =
        tokio::time::timeout(PATIENCE, scene.sip.next()).await.unwrap()
    else {
        panic!("no subscription came")
    };
    phone.subscriber.accept().await.unwrap();
    tokio::spawn(async move { phone.subscriber.notify("active", "").await })
}

#[tokio::test]
async fn our_bye_goes_by_the_outbound_proxy() {
    let (scene, proxy, route) = scene().await;
    let mut call = scene.ring(&description(4_000)).await;
    let answering = tokio::spawn(async move { (call.leg.answer(&description(20_000)).await, call) });
    let answer = receive(&scene.own, "SIP/2.0 200").await;
    send(&scene.own, &scene.message("ACK", line_of(&answer, "To: "), "")).await;
    let (answered, call) = tokio::time::timeout(PATIENCE, answering).await.unwrap().unwrap();
    answered.unwrap();
    drop(call);
    let bye = receive(&proxy, "BYE").await;
    let contact = format!("BYE sip:2002@{} SIP/2.0", scene.own.local_addr().unwrap());
    assert_eq!((bye.lines().next().unwrap(), line_of(&bye, "Route: ")), (contact.as_str(), route.as_str()));
    assert!(line_of(&bye, "To: ").contains("tag=theirs"), "{bye}");
    assert_eq!(line_of(&bye, "From: "), line_of(&answer, "To: "), "{bye}");
    send(&proxy, &taken(&bye)).await;
    // What is answered isn't sent again.
    let again = tokio::time::timeout(Duration::from_millis(700), receive(&proxy, "BYE")).await;
    assert!(again.is_err(), "{again:?}");
    scene.forged(0).await;
}

#[tokio::test]
async fn a_subscribers_notify_goes_by_the_outbound_proxy_and_its_answer_counts() {
    let (scene, proxy, route) = scene().await;
    let told = tell_a_subscriber(&scene, "").await;
    let notify = receive(&proxy, "NOTIFY").await;
    assert_eq!(line_of(&notify, "Route: "), route);
    send(&proxy, &taken(&notify)).await;
    tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_dialogue_whose_proxies_stay_between_goes_by_them() {
    let (scene, _proxy, _) = scene().await;
    let between = socket("127.0.0.2", None).await;
    let recorded = format!("<sip:{};lr>", between.local_addr().unwrap());
    let told = tell_a_subscriber(&scene, &format!("\r\nRecord-Route: {recorded}")).await;
    // To where the subscription came from, as before.
    let notify = receive(&scene.own, "NOTIFY").await;
    assert_eq!(line_of(&notify, "Route: "), recorded);
    send(&scene.own, &taken(&notify)).await;
    tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_notice_without_a_proxy_of_its_own_goes_by_the_outbound_proxy() {
    let proxy = socket("127.0.0.2", None).await;
    let notify = "notify: {uri: 'sip:{mailbox}@pbx', mailboxes: [{first: '1'}]}";
    let scene = Scene::open_as(&format!("{notify}, outboundProxy: '{}'", proxy.local_addr().unwrap())).await;
    proxy.connect(scene.sip.local()).await.unwrap();
    let told = scene.give_notice();
    let asked = receive(&proxy, "NOTIFY").await;
    send(&proxy, &taken(&asked)).await;
    assert_eq!(tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap(), Ok(()));
}
