//! Follows the configuration file. Classes of service, who may call and how much, times of the data-subject rights and the
//! reading of numbers come into force at once; anything else says that it takes a restart.
//!
//! Numbers are read by a new rule set only once the tenant document holds it, because an erasure searches
//! under the rule sets that stand there; until then the one before stays in force.

use super::{ServeError, State};
use crate::auth::Authenticator;
use crate::configuration;
use crate::http::Stage;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use voicemail_api::config::{LimitsConfig, TenantConfig};

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Reads and checks a configuration file; gives its text, too.
pub(super) fn read(file: &Path) -> Result<(String, TenantConfig), ServeError> {
    let text = std::fs::read_to_string(file)
        .map_err(|source| ServeError::Unreadable { file: file.to_owned(), source })?;
    let config = configuration::parse_of(file, &text)?;
    Ok((text, config))
}

/// Keeps the configuration as its file is; what is wrong with a new one is logged once.
pub(super) async fn follow(state: State) {
    let mut seen = String::new();
    loop {
        // A file being replaced may be away for a moment.
        if let Ok(text) = tokio::fs::read_to_string(state.file.as_path()).await
            && text != seen
        {
            let result = configuration::parse(&text).map_err(ServeError::from);
            settle(&state, result.and_then(|new| apply(&state, new)));
            seen = text;
        }
        ensure_rules(&state).await;
        state.world.sleep(LOOK_EVERY).await;
    }
}

async fn ensure_rules(state: &State) {
    let stage = state.stage.borrow().clone();
    let Stage::Open(core) = stage else { return };
    match core.ensure_rules().await {
        Ok(false) => {}
        Ok(true) => tracing::info!("new rules for numbers are registered and in force"),
        Err(error) => {
            tracing::warn!(reason = error.reason(), %error, "the new rules for numbers aren't registered yet");
        }
    }
}

fn settle(state: &State, result: Result<bool, ServeError>) {
    match result {
        Ok(false) => {}
        Ok(true) => {
            state.metrics().count_reload("applied");
            tracing::info!("the configuration was reloaded");
        }
        Err(error) => {
            state.metrics().count_reload("refused");
            tracing::error!(%error, "the new configuration can't be used; the last good one stays");
        }
    }
}

/// Puts into force what can be; true if anything changed.
fn apply(state: &State, new: TenantConfig) -> Result<bool, ServeError> {
    let current = state.config();
    let fixed = fields_that_take_a_restart(&current, &new);
    if !fixed.is_empty() {
        tracing::warn!(fields = fixed.join(", "), "the new configuration takes a restart");
    }
    let merged = merge(&current, new);
    if merged == *current {
        return Ok(false);
    }
    if merged.auth != current.auth {
        let authenticator = Authenticator::new(&merged.auth, &state.world)?;
        state.authenticator.send_replace(Arc::new(authenticator));
    }
    if merged.telemetry != current.telemetry {
        state.app.exports.configure(merged.telemetry.otlp.as_ref(), &merged.tenant_id, &merged.region)?;
    }
    state.config.send_replace(Arc::new(merged.clone()));
    if let Stage::Open(core) = &*state.stage.borrow() {
        core.context.reload(merged);
    }
    Ok(true)
}

/// What is in force from now on. Every field is named, so that a new one is decided on.
fn merge(current: &TenantConfig, new: TenantConfig) -> TenantConfig {
    TenantConfig {
        auth: new.auth,
        classes_of_service: new.classes_of_service,
        gdpr: new.gdpr,
        mwi: new.mwi,
        reception: new.reception,
        directory: new.directory,
        default_number_region: new.default_number_region,
        number_prefixes: new.number_prefixes,
        withheld_callers: new.withheld_callers,
        caller_tag: new.caller_tag,
        browser_origins: new.browser_origins,
        limits: LimitsConfig { header_time: current.limits.header_time, ..new.limits },
        audit: new.audit,
        telemetry: new.telemetry,
        web: new.web,
        email: new.email,
        tenant_id: current.tenant_id.clone(),
        holder: current.holder.clone(),
        cluster: current.cluster.clone(),
        region: current.region.clone(),
        regions: current.regions.clone(),
        keys_dir: current.keys_dir.clone(),
        listen: current.listen.clone(),
        peers: current.peers.clone(),
        store_calls: current.store_calls,
        upload_buffer_mib: current.upload_buffer_mib,
    }
}

fn fields_that_take_a_restart(old: &TenantConfig, new: &TenantConfig) -> Vec<&'static str> {
    let changed = [
        ("tenantId", old.tenant_id != new.tenant_id),
        ("cluster", old.cluster != new.cluster),
        ("region", old.region != new.region),
        ("regions", old.regions != new.regions),
        ("keysDir", old.keys_dir != new.keys_dir),
        ("listen", old.listen != new.listen),
        ("peers", old.peers != new.peers),
        ("limits.headerTime", old.limits.header_time != new.limits.header_time),
        ("storeCalls", old.store_calls != new.store_calls),
        ("uploadBufferMib", old.upload_buffer_mib != new.upload_buffer_mib),
    ];
    changed.into_iter().filter(|(_, changed)| *changed).map(|(field, _)| field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn config(text: &str) -> TenantConfig {
        TenantConfig::parse(text).unwrap()
    }

    /// Two whose fields all differ, but for those that the first one leaves out.
    fn both() -> (TenantConfig, TenantConfig) {
        let old = "{tenantId: t, cluster: c, region: r, keysDir: /k, defaultNumberRegion: GB,
            regions: [{name: r, master: true, storage: {volume: {path: /v}}}],
            listen: {api: '127.0.0.1:1', metrics: '127.0.0.1:2'}, auth: {basic: {usersFile: /u}}}";
        let new = "{tenantId: other, cluster: other, region: s, keysDir: /other, defaultNumberRegion: DE,
            regions: [{name: s, master: true, storage: {volume: {path: /w}}}],
            listen: {api: '127.0.0.1:3', metrics: '127.0.0.1:4'}, auth: {basic: {usersFile: /other}},
            classesOfService: [{name: short}], numberPrefixes: [{prefix: '9', replaceWith: '+44'}],
            withheldCallers: [nobody], callerTag: hash, uploadBufferMib: 32, storeCalls: 7,
            gdpr: {undoWindow: 2h}, mwi: {streamLifetime: 30m}, reception: {language: de},
            peers: {listen: '127.0.0.1:9', service: 'peers:9091'}, browserOrigins: ['https://desk.example'],
            limits: {connections: 77, connectionsPerAddress: 7}, audit: {retention: 400d}, telemetry: {otlp: {endpoint: 'http://c:4318'}},
            web: {passwords: true}, email: {smtp: {host: mail.example}, from: v@example.com}}";
        (config(old), config(new))
    }

    #[test]
    fn every_field_that_changes_is_in_force_or_is_said_to_take_a_restart() {
        let (old, new) = both();
        let fixed = fields_that_take_a_restart(&old, &new);
        let [before, wanted, merged] =
            [&old, &new, &merge(&old, new.clone())].map(|config| serde_json::to_value(config).unwrap());
        let fields = wanted.as_object().unwrap();
        assert!(fields.len() >= 24, "{fields:?}");
        for (field, value) in fields {
            assert_ne!(before.get(field).unwrap_or(&Value::Null), value, "{field} is to differ");
            let is_in_force = merged.get(field) == Some(value);
            assert!(
                is_in_force != fixed.contains(&field.as_str()),
                "{field}: {:?}, {fixed:?}",
                merged.get(field)
            );
        }
    }
}
