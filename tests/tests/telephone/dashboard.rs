//! The telephones' dashboard: every query of every panel is asked of a real Prometheus that scrapes a telephone which has taken
//! calls, and every metric of the page is on it.

use std::collections::BTreeSet;

use anyhow::ensure;
use voicemail_test_machine::poll::poll;
use voicemail_test_machine::servers::sipp::Call;
use voicemail_test_machine::servers::{Prometheus, Target};
use voicemail_tests::dashboards::{metrics_of, queries};

use crate::scene::{PATIENCE, Scene, sound};

const FILE: &str = "telephony.json";

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_telephones_dashboard_finds_something() {
    let scene = Scene::open().await;
    let (namespace, job) = ("voice".to_owned(), "voice/acme-voicemail-sip".to_owned());
    let target = Target { address: scene.sip.sip(), namespace, job };
    let prometheus = Prometheus::start(&[target]).await.unwrap();
    // Of a call's series the first scrape has nothing yet, and of a recording's end none before there was one.
    let queries = queries(FILE).unwrap();
    assert!(queries.len() > 20, "{}", queries.len());
    Call::message("1001", &sound(2, 3)).make(scene.sip.sip()).await.unwrap();
    let answered = async || {
        for (panel, query) in &queries {
            ensure!(!prometheus.query(query).await?.is_empty(), "{panel} finds nothing: {query}");
        }
        let recorded = prometheus.query("sum(voicemail_sip_deposits_total{outcome=\"stored\"}) == 1").await?;
        ensure!(!recorded.is_empty(), "the call isn't counted");
        Ok(())
    };
    poll(PATIENCE * 3, answered).await.unwrap();
}

#[test]
fn every_metric_of_the_page_is_on_the_dashboard() {
    let shown: BTreeSet<String> =
        queries(FILE).unwrap().iter().flat_map(|(_, query)| metrics_of(query)).collect();
    let page = include_str!("../../../docs/telephony.md");
    let rows = page.lines().filter(|line| line.starts_with("| `voicemail_sip_"));
    let names =
        rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let told: BTreeSet<String> = names.map(str::to_owned).collect();
    assert_eq!(shown, told, "the panels' metrics, and the page's");
}
