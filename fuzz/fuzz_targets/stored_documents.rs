//! What a store holds: read or called damaged; what was read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use voicemail_model::{
    AudioKey, DueItem, Envelope, GreetingKey, Group, Index, MailboxSettings, Mark, Mwi, Run, TenantDocument,
    TenantGreetings, User,
};
use voicemail_store::Key;

fn read<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&value).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("and read again"), value);
    Some(value)
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 11 {
        0 => drop(read::<Index>(bytes).map(|index| Mwi::count(&index))),
        1 => drop(read::<MailboxSettings>(bytes)),
        2 => drop(read::<User>(bytes)),
        3 => drop(read::<Group>(bytes)),
        4 => drop(read::<Envelope>(bytes)),
        5 => drop(read::<Mark>(bytes)),
        6 => drop(read::<Run>(bytes)),
        7 => drop(read::<TenantDocument>(bytes)),
        8 => drop(read::<DueItem>(bytes).map(|item| item.key())),
        9 => drop(read::<TenantGreetings>(bytes)),
        _ => {
            let Ok(key) = std::str::from_utf8(bytes) else { return };
            if let Some((audio, _)) = AudioKey::parse(key) {
                assert_eq!(audio.as_str(), key);
            }
            if let Some((audio, _, _)) = GreetingKey::parse(key) {
                assert_eq!(audio.as_str(), key);
            }
            if let Some(listed) = Key::listed(key) {
                assert_eq!(listed.as_str(), key);
            }
        }
    }
});
