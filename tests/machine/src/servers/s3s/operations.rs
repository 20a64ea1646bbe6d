//! S3's calls on the state: reads, writes, deletions, tags, versions and uploads in parts.
//!
//! Bodies are read before the state is locked, so each call changes it in one step. Listings are in
//! [`super::listing`].

use std::sync::Arc;

use ::s3s::dto::*;
use ::s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use http::HeaderMap;
use parking_lot::Mutex;

use super::Oddity;
use super::listing::{list_objects, list_versions};
use super::state::{About, Bucket, Conditions, Content, Deletion, State, Upload, Version, matches};

/// The calls that the server answers; all others are `NotImplemented`.
pub(super) struct Operations {
    state: Arc<Mutex<State>>,
    oddity: Oddity,
}

type Answer<T> = S3Result<S3Response<T>>;

impl Operations {
    pub(super) fn new(state: Arc<Mutex<State>>, oddity: Oddity) -> Self {
        Self { state, oddity }
    }

    fn put(
        &self,
        bucket: &str,
        key: &str,
        content: Content,
        conditions: &Conditions,
    ) -> S3Result<Option<String>> {
        let mut state = self.state.lock();
        state.check_writable()?;
        state.bucket_mut(bucket)?.put(key, content, conditions, self.oddity)
    }

    fn read_upload(&self, id: &str, parts: Option<&CompletedMultipartUpload>) -> S3Result<Content> {
        let state = self.state.lock();
        let upload = state.uploads.get(id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let mut bytes = BytesMut::new();
        let named = parts.and_then(|parts| parts.parts.as_ref()).ok_or_else(|| s3_error!(MalformedXML))?;
        for part in named {
            let number = part.part_number.ok_or_else(|| s3_error!(InvalidPart))?;
            bytes.extend_from_slice(upload.parts.get(&number).ok_or_else(|| s3_error!(InvalidPart))?);
        }
        let mut content = Content::new(bytes.freeze(), upload.about.clone());
        content.e_tag = format!("{}-{}", content.e_tag, named.len());
        Ok(content)
    }
}

#[async_trait::async_trait]
impl S3 for Operations {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        let name = request.input.bucket;
        let mut state = self.state.lock();
        if state.buckets.contains_key(&name) {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        state.buckets.insert(name, Bucket::default());
        Ok(S3Response::new(CreateBucketOutput::default()))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.state.lock().bucket(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_bucket_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> Answer<PutBucketVersioningOutput> {
        let status = request.input.versioning_configuration.status;
        let enabled = status.is_some_and(|status| status.as_str() == BucketVersioningStatus::ENABLED);
        self.state.lock().bucket_mut(&request.input.bucket)?.versioned = Some(enabled);
        Ok(S3Response::new(PutBucketVersioningOutput::default()))
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> Answer<GetBucketVersioningOutput> {
        let versioned = self.state.lock().bucket(&request.input.bucket)?.versioned;
        let name = |on| if on { BucketVersioningStatus::ENABLED } else { BucketVersioningStatus::SUSPENDED };
        let status = versioned.map(|on| BucketVersioningStatus::from_static(name(on)));
        Ok(S3Response::new(GetBucketVersioningOutput { status, ..Default::default() }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        let conditions = Conditions {
            if_none_match: request.input.if_none_match,
            if_match: request.input.if_match,
            quoted: is_quoted(&request.headers),
        };
        let about = About {
            tags: parse_tags(request.input.tagging.as_deref().unwrap_or_default())?,
            metadata: request.input.metadata,
            content_type: request.input.content_type.map(|value| value.to_string()),
        };
        let content = Content::new(collect(request.input.body).await?, about);
        let e_tag = Some(ETag::Strong(content.e_tag.clone()));
        let version_id = self.put(&request.input.bucket, &request.input.key, content, &conditions)?;
        Ok(S3Response::new(PutObjectOutput { e_tag, version_id, ..Default::default() }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let input = request.input;
        let state = self.state.lock();
        let bucket = state.bucket(&input.bucket)?;
        let (version, content) = bucket.find(&input.key, input.version_id.as_deref())?;
        check_read(content, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let head = describe(bucket, version, content);
        let (bytes, content_range) = cut(&content.bytes, input.range.as_ref())?;
        let output = GetObjectOutput {
            content_length: i64::try_from(bytes.len()).ok(),
            body: Some(StreamingBlob::from(Body::from(bytes))),
            content_range,
            accept_ranges: Some("bytes".to_owned()),
            content_type: head.content_type,
            e_tag: head.e_tag,
            last_modified: head.last_modified,
            metadata: head.metadata,
            version_id: head.version_id,
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let input = request.input;
        let state = self.state.lock();
        let bucket = state.bucket(&input.bucket)?;
        let (version, content) = bucket.find(&input.key, input.version_id.as_deref())?;
        check_read(content, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        Ok(S3Response::new(describe(bucket, version, content)))
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        let CopySource::Bucket { bucket, key, version_id } = &request.input.copy_source else {
            return Err(s3_error!(NotImplemented));
        };
        let content = {
            let state = self.state.lock();
            state.bucket(bucket)?.find(key, version_id.as_deref())?.1.clone()
        };
        let e_tag = Some(ETag::Strong(content.e_tag.clone()));
        let none = Conditions::default();
        let version_id = self.put(&request.input.bucket, &request.input.key, content, &none)?;
        let last_modified = Some(Timestamp::from(std::time::SystemTime::now()));
        let copy_object_result = Some(CopyObjectResult { e_tag, last_modified, ..Default::default() });
        Ok(S3Response::new(CopyObjectOutput { copy_object_result, version_id, ..Default::default() }))
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        let input = request.input;
        let Deletion { version_id, marker: delete_marker } =
            self.state.lock().bucket_mut(&input.bucket)?.delete(&input.key, input.version_id.as_deref());
        Ok(S3Response::new(DeleteObjectOutput { version_id, delete_marker, ..Default::default() }))
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        let mut state = self.state.lock();
        let bucket = state.bucket_mut(&request.input.bucket)?;
        let delete_one = |one: ObjectIdentifier| {
            let done = bucket.delete(&one.key, one.version_id.as_deref());
            DeletedObject {
                key: Some(one.key),
                version_id: one.version_id,
                delete_marker: done.marker,
                delete_marker_version_id: done.marker.and(done.version_id),
            }
        };
        let deleted = Some(request.input.delete.objects.into_iter().map(delete_one).collect());
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..Default::default() }))
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> Answer<GetObjectTaggingOutput> {
        let input = request.input;
        let state = self.state.lock();
        let (_, content) = state.bucket(&input.bucket)?.find(&input.key, input.version_id.as_deref())?;
        let tags = content.about.tags.iter();
        let tag_set = tags.map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) });
        Ok(S3Response::new(GetObjectTaggingOutput { tag_set: tag_set.collect(), version_id: None }))
    }

    async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> Answer<PutObjectTaggingOutput> {
        let input = request.input;
        let pair = |tag: Tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
        let tags = input.tagging.tag_set.into_iter().map(pair).collect();
        let mut state = self.state.lock();
        state.bucket_mut(&input.bucket)?.set_tags(&input.key, input.version_id.as_deref(), tags)?;
        Ok(S3Response::new(PutObjectTaggingOutput::default()))
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        let state = self.state.lock();
        let bucket = state.bucket(&request.input.bucket)?;
        Ok(S3Response::new(list_objects(bucket, &request.input)))
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> Answer<ListObjectVersionsOutput> {
        let state = self.state.lock();
        let bucket = state.bucket(&request.input.bucket)?;
        Ok(S3Response::new(list_versions(bucket, &request.input)))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        let CreateMultipartUploadInput { bucket, key, tagging, metadata, content_type, .. } = request.input;
        let tags = parse_tags(tagging.as_deref().unwrap_or_default())?;
        let about = About { tags, metadata, content_type: content_type.map(|value| value.to_string()) };
        let mut state = self.state.lock();
        state.check_writable()?;
        state.bucket(&bucket)?;
        let id = uuid::Uuid::new_v4().simple().to_string();
        let upload = Upload { bucket: bucket.clone(), key: key.clone(), about, parts: Default::default() };
        state.uploads.insert(id.clone(), upload);
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(id),
            ..Default::default()
        }))
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        let input = request.input;
        let bytes = collect(input.body).await?;
        let e_tag = Some(ETag::Strong(Content::new(bytes.clone(), About::default()).e_tag));
        let mut state = self.state.lock();
        let upload = state.uploads.get_mut(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        upload.parts.insert(input.part_number, bytes);
        Ok(S3Response::new(UploadPartOutput { e_tag, ..Default::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        let quoted = is_quoted(&request.headers);
        let input = request.input;
        let content = self.read_upload(&input.upload_id, input.multipart_upload.as_ref())?;
        let e_tag = Some(ETag::Strong(content.e_tag.clone()));
        let conditions = Conditions { if_none_match: input.if_none_match, if_match: input.if_match, quoted };
        let version_id = self.put(&input.bucket, &input.key, content, &conditions)?;
        self.state.lock().uploads.remove(&input.upload_id);
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag,
            version_id,
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        let removed = self.state.lock().uploads.remove(&request.input.upload_id);
        let Upload { .. } = removed.ok_or_else(|| s3_error!(NoSuchUpload))?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        let state = self.state.lock();
        let prefix = request.input.prefix.unwrap_or_default();
        let bucket = request.input.bucket;
        let ours = |one: &&Upload| one.bucket == bucket && one.key.starts_with(&prefix);
        let found = state.uploads.iter().filter(|(_, one)| ours(one));
        let entry = |(id, one): (&String, &Upload)| MultipartUpload {
            key: Some(one.key.clone()),
            upload_id: Some(id.clone()),
            ..Default::default()
        };
        let uploads = Some(found.map(entry).collect());
        Ok(S3Response::new(ListMultipartUploadsOutput { uploads, ..Default::default() }))
    }
}

/// Headers of an answer about one version.
fn describe(bucket: &Bucket, version: &Version, content: &Content) -> HeadObjectOutput {
    HeadObjectOutput {
        content_length: Some(content.size()),
        content_type: content.about.content_type.as_ref().and_then(|value| value.parse().ok()),
        e_tag: Some(ETag::Strong(content.e_tag.clone())),
        last_modified: Some(Timestamp::from(version.modified)),
        metadata: content.about.metadata.clone(),
        version_id: bucket.versioned.map(|_| version.id.clone()),
        ..Default::default()
    }
}

fn check_read(
    content: &Content,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    if if_match.is_some_and(|condition| !matches(condition, content)) {
        return Err(s3_error!(PreconditionFailed));
    }
    if if_none_match.is_some_and(|condition| matches(condition, content)) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}

/// The part of the bytes that was asked for, and its `Content-Range`.
fn cut(bytes: &Bytes, range: Option<&Range>) -> S3Result<(Bytes, Option<String>)> {
    let Some(range) = range else { return Ok((bytes.clone(), None)) };
    let found = range.check(bytes.len() as u64).map_err(|_| s3_error!(InvalidRange))?;
    let at = |position: u64| usize::try_from(position).map_err(|_| s3_error!(InvalidRange));
    let part = bytes.slice(at(found.start)?..at(found.end)?);
    let text = format!("bytes {}-{}/{}", found.start, found.end.saturating_sub(1), bytes.len());
    Ok((part, Some(text)))
}

async fn collect(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(body) = body else { return Ok(Bytes::new()) };
    let append = |mut all: BytesMut, chunk: Bytes| async move {
        all.extend_from_slice(&chunk);
        Ok(all)
    };
    let whole = body.try_fold(BytesMut::new(), append).await;
    whole.map(BytesMut::freeze).map_err(|_| s3_error!(IncompleteBody))
}

/// The tagging header, `a=b&c=d`.
fn parse_tags(header: &str) -> S3Result<Vec<(String, String)>> {
    let url = reqwest::Url::parse(&format!("http://tags.invalid/?{header}"));
    let url = url.map_err(|_| s3_error!(InvalidTag))?;
    Ok(url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
}

fn is_quoted(headers: &HeaderMap) -> bool {
    headers.get("if-match").is_some_and(|value| value.as_bytes().starts_with(b"\""))
}
