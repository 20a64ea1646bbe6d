//! State of the in-process S3 server: buckets, versions of objects, unfinished uploads. No IO.
//!
//! A bucket that never kept versions has one version of each object, `null`. Versions of a key are kept oldest
//! first; a delete marker is a version without content.

use std::collections::BTreeMap;
use std::time::SystemTime;

use ::s3s::dto::{ETag, ETagCondition, Metadata};
use ::s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use bytes::Bytes;
use http::StatusCode;

use super::Oddity;
use crate::digest::sha256_hex;

/// The version of an object in a bucket that doesn't keep versions.
pub(super) const NULL: &str = "null";

/// Everything.
#[derive(Default)]
pub(super) struct State {
    pub(super) buckets: BTreeMap<String, Bucket>,
    pub(super) uploads: BTreeMap<String, Upload>,
    /// Code and status that every write is refused with.
    pub(super) refusal: Option<(&'static str, StatusCode)>,
}

impl State {
    pub(super) fn check_writable(&self) -> S3Result<()> {
        let Some((code, status)) = self.refusal else { return Ok(()) };
        let code = S3ErrorCode::from_bytes(code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
        let mut error = S3Error::new(code);
        error.set_status_code(status);
        Err(error)
    }
}

/// One bucket.
#[derive(Default)]
pub(super) struct Bucket {
    /// `None` until it was first set; then whether new versions are made.
    pub(super) versioned: Option<bool>,
    objects: BTreeMap<String, Vec<Version>>,
}

/// An unfinished upload in parts.
pub(super) struct Upload {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) about: About,
    pub(super) parts: BTreeMap<i32, Bytes>,
}

/// Metadata of an object.
#[derive(Clone, Default)]
pub(super) struct About {
    pub(super) tags: Vec<(String, String)>,
    pub(super) metadata: Option<Metadata>,
    pub(super) content_type: Option<String>,
}

/// The bytes of a version.
#[derive(Clone)]
pub(super) struct Content {
    pub(super) bytes: Bytes,
    pub(super) e_tag: String,
    pub(super) about: About,
}

impl Content {
    /// With an ETag that depends on the bytes alone, as that of a simple PUT does on S3.
    pub(super) fn new(bytes: Bytes, about: About) -> Self {
        let e_tag = sha256_hex(&bytes)[..32].to_owned();
        Self { bytes, e_tag, about }
    }

    /// Size in bytes.
    pub(super) fn size(&self) -> i64 {
        i64::try_from(self.bytes.len()).unwrap_or(i64::MAX)
    }
}

/// One version of one object.
pub(super) struct Version {
    pub(super) id: String,
    pub(super) modified: SystemTime,
    pub(super) content: Option<Content>,
}

/// The conditions of a write.
#[derive(Clone, Default)]
pub(super) struct Conditions {
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_match: Option<ETagCondition>,
    /// Whether `if_match` came in quotes.
    pub(super) quoted: bool,
}

/// The result of a deletion.
#[derive(Default)]
pub(super) struct Deletion {
    pub(super) version_id: Option<String>,
    pub(super) marker: Option<bool>,
}

impl State {
    pub(super) fn bucket(&self, name: &str) -> S3Result<&Bucket> {
        self.buckets.get(name).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    pub(super) fn bucket_mut(&mut self, name: &str) -> S3Result<&mut Bucket> {
        self.buckets.get_mut(name).ok_or_else(|| s3_error!(NoSuchBucket))
    }
}

impl Bucket {
    /// The version that is named, or the newest; a delete marker is `NoSuchKey`.
    pub(super) fn find(&self, key: &str, version_id: Option<&str>) -> S3Result<(&Version, &Content)> {
        let versions = self.objects.get(key).ok_or_else(|| s3_error!(NoSuchKey))?;
        let found = match version_id {
            None => versions.last().ok_or_else(|| s3_error!(NoSuchKey))?,
            Some(id) => versions.iter().find(|one| one.id == id).ok_or_else(|| s3_error!(NoSuchVersion))?,
        };
        let content = found.content.as_ref().ok_or_else(|| s3_error!(NoSuchKey))?;
        Ok((found, content))
    }

    /// Replaces the tags of a version.
    pub(super) fn set_tags(
        &mut self,
        key: &str,
        version_id: Option<&str>,
        tags: Vec<(String, String)>,
    ) -> S3Result<()> {
        let id = self.find(key, version_id)?.0.id.clone();
        let versions = self.objects.get_mut(key).into_iter().flatten();
        for content in versions.filter(|one| one.id == id).filter_map(|one| one.content.as_mut()) {
            content.about.tags.clone_from(&tags);
        }
        Ok(())
    }

    /// Writes an object if the conditions hold; answers the new version's name where versions are kept.
    pub(super) fn put(
        &mut self,
        key: &str,
        content: Content,
        conditions: &Conditions,
        oddity: Oddity,
    ) -> S3Result<Option<String>> {
        if oddity != Oddity::IgnoresConditions {
            self.check(key, conditions, oddity)?;
        }
        Ok(self.add(key, Some(content)))
    }

    fn check(&self, key: &str, conditions: &Conditions, oddity: Oddity) -> S3Result<()> {
        let current = self.find(key, None).ok().map(|(_, content)| content);
        if let (Some(condition), Some(content)) = (&conditions.if_none_match, current)
            && matches(condition, content)
        {
            return Err(s3_error!(PreconditionFailed));
        }
        let Some(condition) = &conditions.if_match else { return Ok(()) };
        let content = current.ok_or_else(|| s3_error!(NoSuchKey))?;
        let refused = oddity == Oddity::BareEtagsOnly && conditions.quoted;
        if refused || !matches(condition, content) { Err(s3_error!(PreconditionFailed)) } else { Ok(()) }
    }

    fn add(&mut self, key: &str, content: Option<Content>) -> Option<String> {
        let versions = self.objects.entry(key.to_owned()).or_default();
        let keeps = self.versioned == Some(true);
        let id = if keeps { uuid::Uuid::now_v7().simple().to_string() } else { NULL.to_owned() };
        versions.retain(|one| one.id != id);
        versions.push(Version { id: id.clone(), modified: SystemTime::now(), content });
        self.versioned.map(|_| id)
    }

    /// Deletes one version for good, or hides the object behind a delete marker where versions are kept.
    pub(super) fn delete(&mut self, key: &str, version_id: Option<&str>) -> Deletion {
        match version_id {
            Some(id) => self.delete_version(key, id),
            None if self.versioned.is_some() => {
                Deletion { version_id: self.add(key, None), marker: Some(true) }
            }
            None => {
                self.objects.remove(key);
                Deletion::default()
            }
        }
    }

    fn delete_version(&mut self, key: &str, id: &str) -> Deletion {
        let Some(versions) = self.objects.get_mut(key) else { return Deletion::default() };
        let was_marker = versions.iter().any(|one| one.id == id && one.content.is_none());
        versions.retain(|one| one.id != id);
        if versions.is_empty() {
            self.objects.remove(key);
        }
        Deletion { version_id: Some(id.to_owned()), marker: was_marker.then_some(true) }
    }

    /// The objects that a listing returns below a prefix, in key order.
    pub(super) fn live<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a Version, &'a Content)> {
        self.below(prefix).filter_map(|(key, versions)| {
            let newest = versions.last()?;
            Some((key, newest, newest.content.as_ref()?))
        })
    }

    /// All versions below a prefix, newest first, and whether each is the newest.
    pub(super) fn versions<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a Version, bool)> {
        self.below(prefix).flat_map(|(key, versions)| {
            let newest = versions.len().saturating_sub(1);
            versions.iter().enumerate().rev().map(move |(at, one)| (key, one, at == newest))
        })
    }

    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a String, &'a Vec<Version>)> {
        self.objects.range(prefix.to_owned()..).take_while(move |(key, _)| key.starts_with(prefix))
    }
}

/// Whether an ETag condition holds for this content.
pub(super) fn matches(condition: &ETagCondition, content: &Content) -> bool {
    let own = ETag::Strong(content.e_tag.clone());
    condition.is_any() || condition.as_etag().is_some_and(|e_tag| e_tag.weak_cmp(&own))
}
