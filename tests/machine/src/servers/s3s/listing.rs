//! Listings of the in-process S3 server, page by page.

use std::cmp::Ordering;

use ::s3s::dto::{
    CommonPrefix, DeleteMarkerEntry, ETag, ListObjectVersionsInput, ListObjectVersionsOutput,
    ListObjectsV2Input, ListObjectsV2Output, Object, ObjectVersion, Timestamp,
};

use super::state::{Bucket, Content, NULL, Version};

const PAGE: i32 = 1000;

/// One page of what a plain GET can see.
pub(super) fn list_objects(bucket: &Bucket, input: &ListObjectsV2Input) -> ListObjectsV2Output {
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let after = input.continuation_token.as_deref().max(input.start_after.as_deref()).unwrap_or_default();
    let most = page_size(input.max_keys);
    let mut page = Page::default();
    for (key, version, content) in bucket.live(prefix).filter(|(key, ..)| key.as_str() > after) {
        let group = input.delimiter.as_deref().and_then(|delimiter| group_of(key, prefix, delimiter));
        if group.is_some_and(|group| group == after || page.is_last_group(group)) {
            continue;
        }
        if page.len() == most {
            page.truncated = true;
            break;
        }
        page.add(key, group, version, content);
    }
    ListObjectsV2Output {
        name: Some(input.bucket.clone()),
        prefix: input.prefix.clone(),
        delimiter: input.delimiter.clone(),
        max_keys: input.max_keys.or(Some(PAGE)),
        key_count: i32::try_from(page.len()).ok(),
        is_truncated: Some(page.truncated),
        next_continuation_token: page.truncated.then_some(page.last),
        contents: Some(page.objects),
        common_prefixes: Some(page.groups),
        ..Default::default()
    }
}

#[derive(Default)]
struct Page {
    objects: Vec<Object>,
    groups: Vec<CommonPrefix>,
    last: String,
    truncated: bool,
}

impl Page {
    fn len(&self) -> usize {
        self.objects.len() + self.groups.len()
    }

    fn is_last_group(&self, group: &str) -> bool {
        self.groups.last().and_then(|last| last.prefix.as_deref()) == Some(group)
    }

    fn add(&mut self, key: &str, group: Option<&str>, version: &Version, content: &Content) {
        self.last = group.unwrap_or(key).to_owned();
        match group {
            Some(group) => self.groups.push(CommonPrefix { prefix: Some(group.to_owned()) }),
            None => self.objects.push(Object {
                key: Some(key.to_owned()),
                size: Some(content.size()),
                e_tag: Some(ETag::Strong(content.e_tag.clone())),
                last_modified: Some(Timestamp::from(version.modified)),
                ..Default::default()
            }),
        }
    }
}

/// The part of a key up to the first delimiter behind the prefix.
fn group_of<'a>(key: &'a str, prefix: &str, delimiter: &str) -> Option<&'a str> {
    let rest = key.get(prefix.len()..)?;
    let end = rest.find(delimiter)? + delimiter.len();
    key.get(..prefix.len() + end)
}

/// One page of all versions and delete markers.
pub(super) fn list_versions(bucket: &Bucket, input: &ListObjectVersionsInput) -> ListObjectVersionsOutput {
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let most = page_size(input.max_keys);
    let rest = bucket.versions(prefix).filter(|(key, version, _)| !is_behind_us(input, key, version));
    let mut entries: Vec<_> = rest.take(most + 1).collect();
    let truncated = entries.len() > most;
    entries.truncate(most);
    let last = entries.last().map(|(key, version, _)| ((*key).clone(), version.id.clone()));
    let (next_key, next_version) = last.filter(|_| truncated).unzip();
    let versions = entries.iter().filter_map(|(key, version, latest)| write_version(key, version, *latest));
    let markers = entries.iter().filter(|(_, version, _)| version.content.is_none());
    ListObjectVersionsOutput {
        name: Some(input.bucket.clone()),
        prefix: input.prefix.clone(),
        is_truncated: Some(truncated),
        next_key_marker: next_key,
        next_version_id_marker: next_version,
        versions: Some(versions.collect()),
        delete_markers: Some(
            markers.map(|(key, version, latest)| write_marker(key, version, *latest)).collect(),
        ),
        ..Default::default()
    }
}

/// Whether an earlier page had this entry; the entry that the markers name may be deleted meanwhile.
fn is_behind_us(input: &ListObjectVersionsInput, key: &str, version: &Version) -> bool {
    let Some(marker) = input.key_marker.as_deref() else { return false };
    match (key.cmp(marker), input.version_id_marker.as_deref()) {
        (Ordering::Less, _) | (Ordering::Equal, None) => true,
        (Ordering::Greater, _) => false,
        // Names of versions ascend with time, and listings go back in it; `null` is from before.
        (Ordering::Equal, Some(id)) => id == NULL || (version.id != NULL && version.id.as_str() >= id),
    }
}

fn write_version(key: &str, version: &Version, is_latest: bool) -> Option<ObjectVersion> {
    let content = version.content.as_ref()?;
    Some(ObjectVersion {
        key: Some(key.to_owned()),
        version_id: Some(version.id.clone()),
        is_latest: Some(is_latest),
        size: Some(content.size()),
        e_tag: Some(ETag::Strong(content.e_tag.clone())),
        last_modified: Some(Timestamp::from(version.modified)),
        ..Default::default()
    })
}

fn write_marker(key: &str, version: &Version, is_latest: bool) -> DeleteMarkerEntry {
    DeleteMarkerEntry {
        key: Some(key.to_owned()),
        version_id: Some(version.id.clone()),
        is_latest: Some(is_latest),
        last_modified: Some(Timestamp::from(version.modified)),
        ..Default::default()
    }
}

fn page_size(asked: Option<i32>) -> usize {
    usize::try_from(asked.unwrap_or(PAGE).min(PAGE)).unwrap_or_default()
}
