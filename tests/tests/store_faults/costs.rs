//! How many requests a store is asked for what users do all day.

use http::Method;
use voicemail_engine::mailbox::MessageFilter;
use voicemail_test_machine::servers::{Oddity, S3sServer, loopback};

use crate::life::{deposit, mailbox};
use crate::site::{Ground, Site};

/// The methods of the requests that this makes.
async fn requests_of(site: &Site, work: impl Future<Output = ()>) -> Vec<Method> {
    site.proxy.clear_seen();
    work.await;
    site.proxy.seen().into_iter().map(|seen| seen.method).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_a_hundred_messages_and_a_count_cost_one_request_each_and_a_deposit_seven() {
    let server = S3sServer::start(loopback(), Oddity::None).await.unwrap();
    let ground = Ground::s3(server.endpoint(), server.address()).await;
    let site = Site::open(&ground, "costs").await;
    let name = mailbox();
    site.core.directory.put_mailbox(&name, None, None).await.unwrap();
    for n in 0..100 {
        deposit(&site, &format!("+4420794600{n:02}"), 1).await.unwrap();
    }
    let list = async || {
        let filter = MessageFilter { limit: 100, ..MessageFilter::default() };
        assert_eq!(site.core.mailboxes.list(&name, filter).await.unwrap().messages.len(), 100);
    };
    let mwi = async || assert_eq!(site.core.mailboxes.mwi(&name).await.unwrap().new, 100);
    for _ in 0..2 {
        assert_eq!(requests_of(&site, list()).await, [Method::GET]);
        assert_eq!(requests_of(&site, mwi()).await, [Method::GET]);
    }
    let another = async || {
        deposit(&site, "+442079460199", 1).await.unwrap();
    };
    let methods = requests_of(&site, another()).await;
    let writes = methods.iter().filter(|method| **method == Method::PUT).count();
    assert_eq!((methods.len(), writes), (7, 3), "{methods:?}");
}
