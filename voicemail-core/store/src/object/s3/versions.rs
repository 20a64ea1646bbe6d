//! Versions of names in a bucket that keeps them, and what holds one.

use super::S3Service;
use super::answers::{Version, VersionList, parse};
use crate::StoreError;
use http::Method;
use object_store::path::Path;
use std::sync::atomic::Ordering;
use voicemail_api::percent::encode_segment;

impl S3Service {
    /// All versions and delete markers of exactly that name.
    pub(super) async fn list_versions(
        &self,
        path: &Path,
    ) -> Result<(Vec<Version>, Vec<Version>), StoreError> {
        let (mut versions, mut markers) = (Vec::new(), Vec::new());
        let mut from = String::new();
        loop {
            let query = format!("/?prefix={}&versions{from}", encode_segment(path.as_ref()));
            let body = self.send(Method::GET, &query).await?.found()?.unwrap_or_default();
            let page: VersionList = parse(&body)?;
            versions.extend(page.version.into_iter().filter(|found| found.key == path.as_ref()));
            markers.extend(page.delete_marker.into_iter().filter(|found| found.key == path.as_ref()));
            match (page.is_truncated, page.next_key_marker) {
                // Names that only begin with ours come after all of ours.
                (true, Some(key)) if key == path.as_ref() => {
                    let version = page.next_version_id_marker.unwrap_or_default();
                    from = format!(
                        "&key-marker={}&version-id-marker={}",
                        encode_segment(&key),
                        encode_segment(&version)
                    );
                }
                _ => return Ok((versions, markers)),
            }
        }
    }

    /// A page of all versions and delete markers below a folder, and where the next one begins.
    pub(super) async fn list_below(
        &self,
        folder: &Path,
        from: &str,
    ) -> Result<(Vec<Version>, Option<String>), StoreError> {
        let query = format!("/?prefix={}&versions{from}", encode_segment(&format!("{folder}/")));
        let body = self.send(Method::GET, &query).await?.found()?.unwrap_or_default();
        let page: VersionList = parse(&body)?;
        let next = page.next_key_marker.filter(|_| page.is_truncated).map(|key| {
            let version = page.next_version_id_marker.unwrap_or_default();
            format!("&key-marker={}&version-id-marker={}", encode_segment(&key), encode_segment(&version))
        });
        let mut found = page.version;
        found.extend(page.delete_marker);
        Ok((found, next))
    }

    /// Deletes a version; false if a lock holds it.
    pub(super) async fn delete_version(&self, path: &Path, version: &Version) -> Result<bool, StoreError> {
        let query = format!("/{}?versionId={}", path.as_ref(), encode_segment(&version.version_id));
        match self.send(Method::DELETE, &query).await?.found() {
            Err(error @ (StoreError::Credentials(_) | StoreError::Refused(_))) => {
                if !self.is_held(path, version).await? {
                    return Err(error);
                }
                self.held.store(true, Ordering::Relaxed);
                Ok(false)
            }
            answer => answer.map(|_| true),
        }
    }

    /// Whether a retention or a legal hold of its own keeps a version.
    async fn is_held(&self, path: &Path, version: &Version) -> Result<bool, StoreError> {
        for (setting, held) in [("retention", "<Mode>"), ("legal-hold", "<Status>ON<")] {
            let query =
                format!("/{}?{setting}&versionId={}", path.as_ref(), encode_segment(&version.version_id));
            let answer = self.send(Method::GET, &query).await?;
            if answer.status.is_success() && String::from_utf8_lossy(&answer.body).contains(held) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
