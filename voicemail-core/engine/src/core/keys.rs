//! The secrets of a tenant, as files of a mounted folder.

use super::OpenError;
use crate::gdpr::ReceiptKey;
use std::path::Path;
use voicemail_model::TenantKey;

/// The secrets of a tenant.
pub struct TenantKeys {
    /// Files callers and derives all other keys.
    pub tenant: TenantKey,
    /// Signs receipts.
    pub receipt: ReceiptKey,
}

impl TenantKeys {
    /// Reads `tenant.key`, `receipt.key` and the receipt keys that followed it from a folder.
    ///
    /// # Errors
    /// `KeysUnreadable`, which says what is wrong with which file.
    pub fn read(folder: &Path) -> Result<Self, OpenError> {
        let file = |name: &str| {
            let read = std::fs::read(folder.join(name));
            read.map_err(|error| OpenError::KeysUnreadable(format!("{name} can't be read: {error}")))
        };
        let short = || format!("tenant.key is shorter than {} bytes", TenantKey::MIN_BYTES);
        let bytes = file("tenant.key")?;
        let tenant = TenantKey::new(bytes.trim_ascii()).ok_or_else(|| OpenError::KeysUnreadable(short()))?;
        let mut receipt: Option<ReceiptKey> = None;
        for name in receipt_keys(folder) {
            let text = String::from_utf8_lossy(&file(&name)?).into_owned();
            let unreadable = |error| OpenError::KeysUnreadable(format!("{name}: {error}"));
            let key = ReceiptKey::from_pem(&text).map_err(unreadable)?;
            receipt = Some(match receipt {
                Some(former) => key.after(&former),
                None => key,
            });
        }
        let missing = || OpenError::KeysUnreadable("receipt.key is missing".into());
        Ok(Self { tenant, receipt: receipt.ok_or_else(missing)? })
    }
}

/// `receipt.key`, then `receipt-2.key` and so on as far as there are any: the last one signs.
fn receipt_keys(folder: &Path) -> Vec<String> {
    let further = (2..).map(|number| format!("receipt-{number}.key"));
    let there = further.take_while(|name| folder.join(name).exists());
    std::iter::once("receipt.key".to_owned()).chain(there).collect()
}
