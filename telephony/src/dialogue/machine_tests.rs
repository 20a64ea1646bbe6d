use super::*;
use crate::dialogue::menu::CLASSIC;
use proptest::prelude::*;

fn message(id: &str, state: &str) -> ListedMessage {
    ListedMessage {
        id: id.into(),
        state: state.into(),
        urgent: false,
        caller: Some("+442079460001".into()),
        received: "2026-11-29T12:00:00Z".into(),
        duration_ms: 10_000,
    }
}

fn dialogue() -> Dialogue {
    Dialogue::new(Arc::new(Menu::parse(CLASSIC, |_| true).unwrap()))
}

/// What was put out, as a line of a transcript.
fn line(outputs: &[Output]) -> String {
    let word = |say: &Say| match say {
        Say::Clip(name) => name.clone(),
        Say::Count(number, noun) => format!("{number} {noun}"),
        Say::Digits(_) => "DIGITS".into(),
        Say::When(_) => "WHEN".into(),
        Say::Message(id) => format!("[{id}]"),
        Say::Beep => "beep".into(),
    };
    let text = |output: &Output| match output {
        Output::Stop => "stop".into(),
        Output::Say(said) => said.iter().map(word).collect::<Vec<_>>().join(" "),
        Output::Ask(Ask::Open { mailbox, pin }) => format!("open {mailbox} {}", pin.as_str()),
        Output::Ask(Ask::List { new }) => format!("list {}", if *new { "new" } else { "old" }),
        Output::Ask(Ask::Save { id }) => format!("save {id}"),
        Output::Ask(Ask::Trash { id }) => format!("trash {id}"),
        Output::Ask(Ask::SetGreeting) => "set greeting".into(),
        Output::Ask(Ask::SetPin(pin)) => format!("set pin {}", pin.as_str()),
        Output::MarkRead(id) => format!("read {id}"),
        Output::Record => "record".into(),
        Output::HangUp => "hang up".into(),
    };
    outputs.iter().map(text).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" | ")
}

/// Presses keys one after another; the last one's outputs.
fn press(dialogue: &mut Dialogue, keys: &str, at: u64) -> String {
    let mut last = String::new();
    for key in keys.chars() {
        last = line(&dialogue.step(Input::Key(Key::new(key).unwrap()), Duration::from_secs(at)));
    }
    last
}

fn answer(dialogue: &mut Dialogue, answer: Answer) -> String {
    line(&dialogue.step(Input::Answer(answer), Duration::from_secs(10)))
}

fn opened() -> Dialogue {
    let mut dialogue = dialogue();
    dialogue.step(Input::Start(Some("1001".into())), Duration::ZERO);
    press(&mut dialogue, "739154#", 0);
    answer(&mut dialogue, Answer::Opened(Counts { new: 2, old: 1, ..Counts::default() }));
    dialogue
}

#[test]
fn the_pin_opens_the_proposed_mailbox_or_another_one() {
    let mut dialogue = dialogue();
    assert_eq!(line(&dialogue.step(Input::Start(Some("1001".into())), Duration::ZERO)), "pin");
    assert_eq!(press(&mut dialogue, "*", 0), "stop | mailbox");
    assert_eq!(press(&mut dialogue, "1002#", 0), "stop | pin");
    assert_eq!(press(&mut dialogue, "739154#", 0), "stop | open 1002 739154");
    let counts = Counts { new: 2, old: 1, ..Counts::default() };
    let heard = answer(&mut dialogue, Answer::Opened(counts));
    assert_eq!(heard, "you-have 2 new-message and 1 old-message main-menu");
}

#[test]
fn three_wrong_ones_end_the_call() {
    let mut dialogue = dialogue();
    dialogue.step(Input::Start(Some("1001".into())), Duration::ZERO);
    for _ in 0..2 {
        press(&mut dialogue, "1#", 0);
        assert_eq!(answer(&mut dialogue, Answer::Refused), "wrong | pin");
    }
    press(&mut dialogue, "1#", 0);
    assert_eq!(answer(&mut dialogue, Answer::Refused), "wrong goodbye | hang up");
    assert_eq!(press(&mut dialogue, "739154#", 0), "");
}

#[test]
fn messages_are_played_one_after_another_and_marked_when_heard() {
    let mut dialogue = opened();
    assert_eq!(press(&mut dialogue, "1", 10), "stop | list new");
    let list = Answer::Listed(vec![message("a", "new"), message("b", "new")]);
    assert_eq!(answer(&mut dialogue, list), "[a] message-menu");
    // After two seconds it wasn't heard, after six it was.
    assert_eq!(press(&mut dialogue, "6", 12), "stop | [b] message-menu");
    assert_eq!(press(&mut dialogue, "4", 18), "read b | stop | [a] message-menu");
    assert_eq!(line(&dialogue.step(Input::Played, Duration::from_secs(40))), "read a");
    assert_eq!(press(&mut dialogue, "3", 41), "stop | received WHEN from DIGITS | message-menu");
    assert_eq!(press(&mut dialogue, "6", 42), "stop | [b] message-menu");
    assert_eq!(
        press(&mut dialogue, "6", 43),
        "stop | no-more | you-have 0 new-message and 3 old-message main-menu"
    );
}

#[test]
fn what_was_heard_before_the_owner_hung_up_is_marked() {
    let mut dialogue = opened();
    press(&mut dialogue, "1", 10);
    answer(&mut dialogue, Answer::Listed(vec![message("a", "new")]));
    assert_eq!(line(&dialogue.step(Input::HungUp, Duration::from_secs(12))), "");
    assert_eq!(line(&dialogue.step(Input::HungUp, Duration::from_secs(16))), "read a");
}

#[test]
fn deleting_and_saving_go_on_to_the_next_message() {
    let mut dialogue = opened();
    press(&mut dialogue, "1", 10);
    answer(&mut dialogue, Answer::Listed(vec![message("a", "new"), message("b", "new")]));
    assert_eq!(press(&mut dialogue, "7", 12), "stop | trash a");
    assert_eq!(answer(&mut dialogue, Answer::Done), "deleted | [b] message-menu");
    assert_eq!(press(&mut dialogue, "9", 12), "stop | save b");
    let heard = answer(&mut dialogue, Answer::Done);
    assert_eq!(heard, "saved | no-more | you-have 0 new-message and 2 old-message main-menu");
}

#[test]
fn keys_ahead_wait_for_the_core() {
    let mut dialogue = opened();
    assert_eq!(press(&mut dialogue, "17", 10), "");
    let list = Answer::Listed(vec![message("a", "new")]);
    assert_eq!(answer(&mut dialogue, list), "[a] message-menu | stop | trash a");
}

#[test]
fn a_greeting_and_a_pin_are_set_from_the_options() {
    let mut dialogue = opened();
    assert_eq!(press(&mut dialogue, "01", 10), "stop | record-greeting beep | record");
    assert_eq!(line(&dialogue.step(Input::Recorded(3_000), Duration::ZERO)), "set greeting");
    assert_eq!(answer(&mut dialogue, Answer::Done), "greeting-recorded | options-menu");
    assert_eq!(press(&mut dialogue, "5", 10), "stop | new-pin");
    assert_eq!(press(&mut dialogue, "246813#", 10), "stop | new-pin-again");
    assert_eq!(press(&mut dialogue, "1#", 10), "stop | pin-differs new-pin");
    press(&mut dialogue, "246813#", 10);
    assert_eq!(press(&mut dialogue, "246813#", 10), "stop | set pin 246813");
    assert_eq!(answer(&mut dialogue, Answer::Refused), "pin-refused | options-menu");
}

#[test]
fn silence_is_answered_and_then_ends_the_call() {
    let mut dialogue = opened();
    assert_eq!(line(&dialogue.step(Input::Silence, Duration::ZERO)), "main-menu");
    assert_eq!(press(&mut dialogue, "8", 10), "stop | invalid | main-menu");
    assert_eq!(line(&dialogue.step(Input::Silence, Duration::ZERO)), "main-menu");
    assert_eq!(line(&dialogue.step(Input::Silence, Duration::ZERO)), "main-menu");
    assert_eq!(line(&dialogue.step(Input::Silence, Duration::ZERO)), "stop | goodbye | hang up");
}

#[test]
fn a_core_that_goes_away_is_told() {
    let mut dialogue = opened();
    press(&mut dialogue, "1", 10);
    assert_eq!(answer(&mut dialogue, Answer::Away), "stop | unavailable goodbye | hang up");
}

proptest! {
    #[test]
    fn no_keys_reach_a_message_or_mailbox_that_was_not_opened(keys in "[0-9*#]{0,200}") {
        let mut dialogue = dialogue();
        let mut outputs = dialogue.step(Input::Start(Some("1001".into())), Duration::ZERO);
        let mut open = false;
        for (at, key) in keys.chars().enumerate() {
            outputs.extend(dialogue.step(Input::Key(Key::new(key).unwrap()), Duration::from_secs(at as u64)));
            while let Some(position) = outputs.iter().position(|output| matches!(output, Output::Ask(_))) {
                let Output::Ask(ask) = outputs.remove(position) else { unreachable!() };
                let answered = match ask {
                    Ask::Open { .. } => {
                        prop_assert!(!open);
                        open = at % 2 == 0;
                        if open { Answer::Opened(Counts::default()) } else { Answer::Refused }
                    }
                    Ask::List { .. } => Answer::Listed(vec![message("a", "new"), message("b", "read")]),
                    Ask::Save { id } | Ask::Trash { id } => {
                        prop_assert!(open && (id == "a" || id == "b"));
                        Answer::Done
                    }
                    Ask::SetGreeting | Ask::SetPin(_) => {
                        prop_assert!(open);
                        Answer::Done
                    }
                };
                outputs.extend(dialogue.step(Input::Answer(answered), Duration::from_secs(at as u64)));
            }
            outputs.clear();
        }
    }
}
