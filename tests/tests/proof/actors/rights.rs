//! What privacy officers do.

use super::{Actor, CALLERS};
use crate::book::{Act, Forget};
use crate::client::Answer;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Long enough for every undo.
const WINDOW: &str = "4h";
/// An erasure follows at once.
const NONE: &str = "0s";
/// A request that goes on after its answer is looked at that often, and for so long.
const LOOK: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(180);

impl Actor {
    /// Hides a caller's messages and, most often, shows them again a moment later.
    pub(super) async fn forget_and_undo(&mut self) -> Result<(), String> {
        let (place, case) = self.forget(WINDOW).await?;
        self.scene.count("forget");
        if self.random.below(6) == 0 {
            return Ok(());
        }
        let pause = u64::try_from(self.random.below(2_000)).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(pause)).await;
        self.scene.book().forgets[place].undo = Some(Act::begin());
        let body = json!({ "caseid": case, "consumers": [], "requestKey": format!("undo {case}") });
        self.request("undoforget", &case, &body).await?;
        self.scene.book().forgets[place].undo.iter_mut().for_each(Act::acknowledge);
        self.scene.count("undo");
        Ok(())
    }

    /// Erases all that a caller has left.
    pub(super) async fn erase(&mut self) -> Result<(), String> {
        self.forget(NONE).await?;
        self.scene.count("erase");
        Ok(())
    }

    /// The request's place in the book, and its case.
    async fn forget(&mut self, window: &str) -> Result<(usize, String), String> {
        let caller = CALLERS / 2 + self.random.below(CALLERS / 2);
        let case = uuid::Uuid::now_v7().simple().to_string();
        let place = {
            let mut book = self.scene.book();
            let (erases, act) = (window == NONE, Act::begin());
            book.forgets.push(Forget { case: case.clone(), caller, erases, act, undo: None });
            book.forgets.len() - 1
        };
        let body = json!({
            "caseid": case, "consumers": [{ "phone": [self.scene.number_of(caller)] }], "undoWindow": window, "requestKey": case,
        });
        self.request("forgetme", &case, &body).await?;
        self.scene.book().forgets[place].act.acknowledge();
        Ok((place, case))
    }

    /// A request, until what it asks for is done.
    async fn request(&mut self, what: &str, case: &str, body: &Value) -> Result<(), String> {
        let post = |http: &reqwest::Client, url: &str| http.post(format!("{url}/gdpr/{what}")).json(body);
        let answer = self.scene.client.ask(&mut self.random, "officer", post).await?;
        match answer.status {
            StatusCode::OK => Ok(()),
            StatusCode::ACCEPTED => self.wait(case).await,
            status => Err(format!("{what} is answered {status}: {}", String::from_utf8_lossy(&answer.body))),
        }
    }

    /// Until the case's run isn't under way any more.
    async fn wait(&mut self, case: &str) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let get = |http: &reqwest::Client, url: &str| http.get(format!("{url}/gdpr/cases/{case}"));
            let Answer { body, .. } = self.scene.client.ask(&mut self.random, "officer", get).await?;
            let told: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
            let state = told["runs"][0]["state"].as_str().unwrap_or_default();
            if !["opening", "marking", "undoing", ""].contains(&state) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("{case} is {state} for ever"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
