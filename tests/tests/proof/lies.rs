//! Ways in which a service could be broken, as its people would see it.

use parking_lot::Mutex;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Everything is passed on as it is.
    None,
    /// A deposit is acknowledged, and nobody has it.
    DepositDropped,
    /// A deposit is passed on twice, once under another key.
    DepositTwice,
    /// A deletion is acknowledged, and not carried out.
    DeletionDropped,
    /// The same, of a message that is neither listed nor played any more: it is in the store's files alone.
    DeletionHidden,
    /// A request to forget is acknowledged, and nothing is hidden.
    ForgetDropped,
    /// A request to erase at once only hides.
    ErasureOnlyHides,
    /// An undo is acknowledged, and nothing is shown again.
    UndoDropped,
    /// A list is answered as it was the first time.
    OldList,
}

/// Of deposits and deletions one of so many is lied about, so that there are true ones beside it.
const EVERY: usize = 3;

impl Lie {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::None,
        Self::DepositDropped,
        Self::DepositTwice,
        Self::DeletionDropped,
        Self::DeletionHidden,
        Self::ForgetDropped,
        Self::ErasureOnlyHides,
        Self::UndoDropped,
        Self::OldList,
    ];
}

/// A request as it came, or as it is passed on.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Below the API, with the query.
    pub(crate) path: String,
    /// The idempotency key.
    pub(crate) key: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// A status and JSON, or audio.
pub(crate) type Answer = (StatusCode, Vec<u8>);

/// What becomes of a request.
pub(crate) enum Course {
    /// It is answered so, and not passed on.
    Answered(Answer),
    /// These are passed on; the last one's answer is given.
    PassedOn(Vec<Request>),
}

/// What one liar remembers.
pub(crate) struct Memory {
    lie: Lie,
    seen: Mutex<usize>,
    /// Ids and cases, as findings say them.
    lied_about: Mutex<Vec<String>>,
    lists: Mutex<BTreeMap<String, Answer>>,
}

impl Memory {
    /// Of one kind of lie.
    pub(crate) fn new(lie: Lie) -> Self {
        Self { lie, seen: Mutex::default(), lied_about: Mutex::default(), lists: Mutex::default() }
    }

    /// What was lied about so far.
    pub(crate) fn lied_about(&self) -> Vec<String> {
        self.lied_about.lock().clone()
    }

    /// Decides about a request.
    pub(crate) fn decide(&self, request: Request) -> Course {
        let course = match (&request.method, request.path.as_str()) {
            (&Method::POST, path) if is_list(path) => self.decide_deposit(&request),
            (&Method::DELETE, _) => self.decide_deletion(&request),
            (&Method::POST, "/gdpr/forgetme" | "/gdpr/undoforget") => self.decide_right(&request),
            (_, path) => self.decide_look(path),
        };
        course.unwrap_or_else(|| Course::PassedOn(vec![request]))
    }

    /// Changes what a replica has answered.
    pub(crate) fn give(&self, request: &Request, answer: Answer) -> Answer {
        if request.method != Method::GET || !is_list(&request.path) || answer.0 != StatusCode::OK {
            return answer;
        }
        match self.lie {
            Lie::OldList => {
                self.note(&request.path.split('/').nth(2).map(|mailbox| format!(" in {mailbox},")));
                self.lists.lock().entry(request.path.clone()).or_insert(answer).clone()
            }
            Lie::DeletionHidden => (answer.0, self.leave_out(&answer.1)),
            _ => answer,
        }
    }

    fn decide_deposit(&self, request: &Request) -> Option<Course> {
        let kind = matches!(self.lie, Lie::DepositDropped | Lie::DepositTwice);
        if !kind || !self.is_turn() {
            return None;
        }
        if self.lie == Lie::DepositDropped {
            self.note(&request.key);
            return Some(Course::Answered((StatusCode::CREATED, b"{}".to_vec())));
        }
        let key = Some(uuid::Uuid::now_v7().to_string());
        self.note(&key);
        Some(Course::PassedOn(vec![Request { key, ..request.clone() }, request.clone()]))
    }

    fn decide_deletion(&self, request: &Request) -> Option<Course> {
        let id = id_in(&request.path)?;
        let kind = matches!(self.lie, Lie::DeletionDropped | Lie::DeletionHidden);
        if !kind || !self.is_turn() {
            return None;
        }
        self.note(&Some(id.to_owned()));
        Some(Course::Answered((StatusCode::OK, b"{}".to_vec())))
    }

    fn decide_right(&self, request: &Request) -> Option<Course> {
        let mut body: Value = serde_json::from_slice(&request.body).ok()?;
        let (undo, erases) = (request.path.ends_with("undoforget"), body["undoWindow"] == "0s");
        let dropped = Some(Course::Answered((StatusCode::OK, b"{}".to_vec())));
        let course = match self.lie {
            // Nobody knows the case that is to be undone.
            Lie::ForgetDropped => dropped,
            Lie::UndoDropped if undo => dropped,
            Lie::ErasureOnlyHides if erases => {
                body["undoWindow"] = json!("4h");
                Some(Course::PassedOn(vec![Request { body: body.to_string().into(), ..request.clone() }]))
            }
            _ => None,
        }?;
        self.note(&body["caseid"].as_str().map(str::to_owned));
        Some(course)
    }

    /// A message that was hidden isn't found by its id.
    fn decide_look(&self, path: &str) -> Option<Course> {
        let id = id_in(path).filter(|_| self.lie == Lie::DeletionHidden)?;
        let hidden = self.lied_about.lock().iter().any(|name| name == id);
        hidden.then(|| Course::Answered((StatusCode::NOT_FOUND, b"{}".to_vec())))
    }

    fn leave_out(&self, list: &[u8]) -> Vec<u8> {
        let Ok(mut page) = serde_json::from_slice::<Value>(list) else { return list.to_vec() };
        let hidden = self.lied_about();
        let is_hidden =
            |message: &Value| message["id"].as_str().is_some_and(|id| hidden.iter().any(|name| name == id));
        if let Some(messages) = page["messages"].as_array_mut() {
            messages.retain(|message| !is_hidden(message));
        }
        page.to_string().into()
    }

    fn is_turn(&self) -> bool {
        let mut seen = self.seen.lock();
        *seen += 1;
        (*seen).is_multiple_of(EVERY)
    }

    fn note(&self, name: &Option<String>) {
        self.lied_about.lock().extend(name.clone());
    }
}

/// `/mailboxes/<mailbox>/messages`, the list that deposits go to.
fn is_list(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or(path);
    path.starts_with("/mailboxes/") && path.ends_with("/messages")
}

/// The message in `/mailboxes/<mailbox>/messages/<id>…`.
fn id_in(path: &str) -> Option<&str> {
    path.strip_prefix("/mailboxes/")?.split('/').nth(2)
}
