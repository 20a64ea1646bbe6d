//! SHA-256 over labelled parts: the names of cached programs, cluster recipes and images.

use aws_lc_rs::digest::{Context, SHA256};

/// Adds parts up to one digest; each part's length goes in too, so moving a byte between parts changes it.
pub struct Digest(Context);

impl Default for Digest {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Digest {
    /// Adds one part.
    #[must_use]
    pub fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        let bytes = part.as_ref();
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// The whole digest in hexadecimal.
    pub fn hex(self) -> String {
        hex::encode(self.0.finish())
    }

    /// The first 12 hexadecimal digits, enough for names.
    pub fn short(self) -> String {
        let mut text = self.hex();
        text.truncate(12);
        text
    }
}

/// The plain SHA-256 of `bytes` in hexadecimal, as image manifests want it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(aws_lc_rs::digest::digest(&SHA256, bytes))
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn moving_a_byte_between_parts_changes_the_digest() {
        assert_ne!(
            Digest::default().with("ab").with("c").hex(),
            Digest::default().with("a").with("bc").hex()
        );
    }
}
