//! Configuration: read or refused; what was read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voicemail_api::config::TenantConfig;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(config) = TenantConfig::parse(text) else { return };
    let written = config.to_yaml().expect("a configuration that was read can be written");
    assert_eq!(TenantConfig::parse(&written).expect("and read again"), config);
});
