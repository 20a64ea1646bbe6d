//! Abilities of one kind of object store alone: versions, tags, rules that delete by themselves.

use super::super::probe::Finding;
use super::super::{Keeper, StoreError};
use async_trait::async_trait;
use object_store::path::Path;

/// The property of encryption, in findings.
pub(super) const ENCRYPTION: &str = "encryption";

/// Beyond the calls that all object stores share.
#[async_trait]
pub(super) trait Service: Send + Sync + 'static {
    /// Any small signed request: its answer shows that the store answers, and its clock.
    async fn greet(&self) -> Result<(), StoreError>;

    /// Whether a listing can begin at any name.
    fn lists_from_anywhere(&self) -> bool;

    /// Removes a name; a missing one is success. The library's own call asks for a batch of one, which not every
    /// server and token takes.
    async fn delete(&self, path: &Path) -> Result<(), StoreError>;

    /// The index tag `caller_id` of an object.
    async fn read_tag(&self, path: &Path) -> Result<Option<String>, StoreError>;

    /// Whether a name that was just written is encrypted as the configuration asks; none where it asks for nothing, or the
    /// store refuses writes that aren't.
    async fn find_encryption(&self, path: &Path) -> Option<Finding>;

    /// Asks for an archived object to be readable again; false where the configuration doesn't want it.
    async fn restore(&self, path: &Path) -> Result<bool, StoreError>;

    /// Removes all versions of a name that was deleted.
    async fn erase_versions(&self, path: &Path) -> Result<(), StoreError>;

    /// Removes the superseded versions of a name.
    async fn prune_versions(&self, path: &Path) -> Result<(), StoreError>;

    /// Removes the superseded versions of all names below a folder.
    async fn prune_all_versions(&self, folder: &Path) -> Result<(), StoreError>;

    /// Names below a folder that have more than one superseded version.
    async fn find_superseded(&self, folder: &Path) -> Result<Vec<String>, StoreError>;

    /// Told that a write was given a version: the store keeps what is deleted.
    fn note_version(&self);

    /// Settings that keep what a deletion here doesn't remove.
    async fn keeps(&self) -> Result<Vec<Keeper>, StoreError>;

    /// Looks at the settings of the bucket or account that decide whether what is deleted is gone, and
    /// whether what is kept stays. `folder` is where the tenant's objects are.
    async fn examine(&self, folder: &Path) -> Vec<Finding>;
}
