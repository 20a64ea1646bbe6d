//! `voicemail admin replay-erasures`: after a restore, what was erased since the backup is erased again, and requests and
//! legal holds that came since are there again.

use super::CommandResult;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use voicemail_api::config::TenantConfig;
use voicemail_api::gdpr::{LEDGER_FILE, LedgerView, unpack_ledger};
use voicemail_engine::core::TenantKeys;
use voicemail_engine::core::tool::{Access, open};
use voicemail_engine::gdpr::Gdpr;
use voicemail_model::clock::World;

/// The text of the ledger: of the file given, else of the one beside the expected head.
///
/// # Errors
/// There is none, or it can't be read.
pub fn read_ledger(config: &TenantConfig, given: Option<&Path>) -> Result<String, String> {
    let beside = || Some(config.gdpr.expected_head.as_ref()?.parent()?.join(LEDGER_FILE));
    let file = given.map(Path::to_owned).or_else(beside);
    let file = file.ok_or("which ledger? Give --ledger, or set gdpr.expectedHead in the configuration")?;
    let text = std::fs::read(&file).and_then(|bytes| unpack_ledger(&bytes));
    text.map_err(|error| format!("the ledger {} can't be read: {error}", file.display()))
}

/// `voicemail admin replay-erasures`. 0: the store has erased all that the ledger says.
///
/// # Errors
/// The ledger can't be read or doesn't fit the store, or the store fails: repeat it then.
pub async fn run_replay_erasures(
    config: &TenantConfig,
    world: &World,
    ledger: &str,
    out: &mut (dyn Write + Send),
) -> CommandResult {
    let ledger: LedgerView = serde_json::from_str(ledger).map_err(|error| {
        format!("the ledger can't be read (line {}, column {})", error.line(), error.column())
    })?;
    let context = open(config, Access::Write, world).await?;
    let keys = TenantKeys::read(&config.keys_dir)?;
    let replayed = Gdpr::new(context, Arc::new(keys.receipt)).replay(&ledger).await?;
    writeln!(
        out,
        "{} erasures carried out again, {} messages erased; {} requests and legal holds brought back or ended again; the \
         store's ledger has {} entries now",
        replayed.runs, replayed.erased, replayed.brought_back, replayed.head.epoch
    )?;
    Ok(0)
}
