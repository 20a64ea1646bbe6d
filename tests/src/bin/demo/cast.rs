//! Who calls whom, and what they say.

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::Value;
use voicemail_test_machine::speech::{Coding, Studio};
use voicemail_test_machine::workspace_path;
use voicemail_tests::stage::Deposit;

/// Alice's mailbox.
pub(super) const ALICE: &str = "1001";
/// Bob's mailbox.
pub(super) const BOB: &str = "1002";
/// The mailbox of the group that both belong to.
pub(super) const SUPPORT: &str = "5000";
/// The mailbox that telephones call, alice's too.
pub(super) const DIALLED: &str = "1042";
/// The people with mailboxes of their own, besides the group's, in the order of their numbers.
pub(super) const OWNERS: [(&str, &[&str]); 2] = [("alice", &[ALICE, DIALLED]), ("bob", &[BOB])];
/// All that messages are left in over HTTPS.
pub(super) const MAILBOXES: [&str; 3] = [ALICE, BOB, SUPPORT];
/// The case of `examples/gdpr`.
pub(super) const CASE: &str = "A-1042";
/// Where numbers are at home, and the country code there.
pub(super) const HOME: (&str, &str) = ("GB", "44");

const OTHER_CALLER: &str = "+442079460123";

/// A call that ends in a voicemail.
pub(super) struct Call {
    pub(super) deposit: Deposit,
    pub(super) coding: Coding,
    /// Whether the caller is the data subject of the case.
    pub(super) by_subject: bool,
}

/// The number of the data subject in `examples/gdpr/consumers.yaml`.
pub(super) fn read_subject() -> Result<String> {
    let path = workspace_path("examples/gdpr/consumers.yaml");
    let secret: Value = serde_yaml::from_str(&std::fs::read_to_string(&path)?)?;
    let input = secret["stringData"]["input.json"].as_str().context("consumers.yaml has no input.json")?;
    let input: Value = serde_json::from_str(input)?;
    let entries = input["consumers"][0]["consumer"].as_array().context("input.json names no consumer")?;
    let phone = entries.iter().find_map(|entry| entry["phone"].as_str());
    Ok(phone.context("input.json names no phone")?.to_owned())
}

/// Six calls by three callers: the data subject, under three spellings; somebody else; somebody withheld.
pub(super) fn make_calls(subject: &str) -> Result<Vec<Call>> {
    let studio = Studio::open()?;
    let national = subject.strip_prefix("+44").context("the example's number isn't British")?;
    let (area, rest) = national.split_at_checked(4).context("the example's number is too short")?;
    let spellings = [subject.to_owned(), format!("0{area} {rest}"), format!("0044 {area} {rest}")];
    let [e164, domestic, abroad] = spellings.each_ref().map(String::as_str);
    Ok(vec![
        call(&studio, ALICE, e164, Coding::Pcm, "Hello Alice, this is Jane Doe. Please call me back.")?
            .urgent(),
        call(&studio, BOB, domestic, Coding::ALaw, "Bob, Jane here. The contract is in the post.")?,
        call(&studio, SUPPORT, abroad, Coding::MuLaw, "This is Jane Doe, about my order of last week.")?,
        call(&studio, ALICE, OTHER_CALLER, Coding::ALaw, "Good morning, John Smith. It can wait.")?,
        call(&studio, SUPPORT, "", Coding::MuLaw, "I would rather not say who I am. Thank you.")?,
        call(&studio, BOB, "", Coding::Pcm, "Nobody in particular. Just testing your patience.")?,
    ]
    .into_iter()
    .map(|call| Call { by_subject: spellings.contains(&call.deposit.caller), ..call })
    .collect())
}

fn call(studio: &Studio, mailbox: &str, caller: &str, coding: Coding, text: &str) -> Result<Call> {
    let audio: Bytes = studio.speak(text, coding)?;
    Ok(Call { deposit: Deposit::new(mailbox, caller, &audio), coding, by_subject: false })
}

impl Call {
    fn urgent(mut self) -> Self {
        self.deposit.urgent = true;
        self.deposit.caller_name = Some("Jane Doe".to_owned());
        self
    }
}
