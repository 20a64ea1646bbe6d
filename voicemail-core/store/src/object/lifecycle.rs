//! Lifecycle rules of a bucket: one that expires objects would delete settings, cases and messages by itself, and one
//! that archives them would make recordings unplayable.
//!
//! A rule is harmless if it only ends unfinished uploads, removes superseded versions or moves objects to a class that
//! is read at once; or if its filter fits none of the tenant's objects: another prefix, a tag that we don't set, or a
//! size that none has. Retention is ours: stamped on each message, and kept to the second.

use super::super::StoreError;
use super::super::probe::Finding;
use super::signed::Answer;
use http::StatusCode;
use object_store::path::Path;
use serde::Deserialize;
use voicemail_model::CallerTag;

const PROPERTY: &str = "no-lifecycle-rule";
/// Classes whose objects can't be read before somebody restores them. Those of other servers are read at once.
const ARCHIVES: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];
/// No object is as large: an hour of the widest recording that is taken is a third of it.
const LARGER_THAN_ALL: u64 = 1 << 32;

#[derive(Debug, Deserialize)]
struct Configuration {
    #[serde(default, rename = "Rule")]
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    #[serde(rename = "ID", default)]
    id: String,
    status: String,
    prefix: Option<String>,
    filter: Option<Filter>,
    expiration: Option<When>,
    #[serde(default)]
    transition: Vec<When>,
}

/// All of its conditions must be met; `And` holds several.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    prefix: Option<String>,
    #[serde(default)]
    tag: Vec<Tag>,
    object_size_greater_than: Option<u64>,
    and: Option<Box<Filter>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
}

/// An expiration, or a transition to a class.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct When {
    days: Option<u32>,
    date: Option<String>,
    storage_class: Option<String>,
}

impl When {
    /// By age; else it is about marks of deletions.
    fn is_by_age(&self) -> bool {
        self.days.is_some() || self.date.is_some()
    }

    fn archives(&self) -> bool {
        self.storage_class.as_deref().is_some_and(|class| ARCHIVES.contains(&class))
    }
}

impl Filter {
    fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref().or_else(|| self.and.as_ref()?.prefix())
    }

    /// Whether some object below its prefix may have all that it asks for.
    fn may_fit(&self) -> bool {
        self.tag.iter().all(|tag| tag.key == CallerTag::NAME)
            && self.object_size_greater_than.is_none_or(|size| size < LARGER_THAN_ALL)
            && self.and.as_ref().is_none_or(|both| both.may_fit())
    }
}

impl Rule {
    fn prefix(&self) -> &str {
        self.filter.as_ref().and_then(Filter::prefix).or(self.prefix.as_deref()).unwrap_or_default()
    }

    /// The rule's harmful action, and the objects of ours that it would reach.
    fn harm(&self) -> Option<(&'static str, &'static str)> {
        let expires = self.expiration.as_ref().is_some_and(When::is_by_age);
        let archives = self.transition.iter().any(When::archives);
        match self.status == "Enabled" {
            true if expires => Some(("expires", "mailboxes, settings and cases")),
            true if archives => Some(("archives", "recordings that must be played")),
            _ => None,
        }
    }

    /// Whether an object of the folder may fall under the rule.
    fn touches(&self, folder: &str) -> bool {
        let (folder, prefix) = (format!("{folder}/"), self.prefix());
        let below = folder.starts_with(prefix) || prefix.starts_with(&folder);
        below && self.filter.as_ref().is_none_or(Filter::may_fit)
    }
}

/// The finding that a bucket's answer to `?lifecycle` leads to, for the folder.
pub(super) fn judge(answer: Answer, folder: &Path) -> Finding {
    let has_none = matches!(answer.status, StatusCode::NOT_IMPLEMENTED | StatusCode::METHOD_NOT_ALLOWED);
    match answer.setting() {
        // No right would change that.
        Ok(None) if has_none => Finding::note(PROPERTY, "the server has no lifecycle rules".into()),
        Ok(None) => Finding::holds(PROPERTY),
        Ok(Some(body)) => judge_rules(&body, folder),
        Err(error) => unreadable(&error),
    }
}

fn judge_rules(body: &[u8], folder: &Path) -> Finding {
    let Ok(configuration) = quick_xml::de::from_reader::<_, Configuration>(body) else {
        return unreadable(&StoreError::Unavailable("the answer isn't the XML that S3 answers".into()));
    };
    let mut touching = configuration.rules.iter().filter(|rule| rule.touches(folder.as_ref()));
    match touching.find_map(|rule| Some((rule, rule.harm()?))) {
        None => Finding::holds(PROPERTY),
        Some((rule, (harms, ours))) => Finding::fails(
            PROPERTY,
            format!(
                "lifecycle rule {:?} {harms} objects below {:?}, and so {ours} of this tenant: limit it to another prefix; \
                 retention is the tenant's class of service",
                rule.id,
                rule.prefix(),
            ),
        ),
    }
}

/// The rules can't be read: said, not refused.
pub(super) fn unreadable(error: &StoreError) -> Finding {
    Finding::note(
        PROPERTY,
        format!(
            "can't be read ({error}): allow s3:GetLifecycleConfiguration, or make sure that no rule expires \
             or archives objects of this folder"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge_text(rules: &str) -> Finding {
        let text = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
        judge_rules(text.as_bytes(), &Path::from("voice/v1/t"))
    }

    #[test]
    fn a_server_without_lifecycle_rules_is_not_asked_for_a_right() {
        for (status, note) in
            [(501, "has no lifecycle rules"), (405, "has no lifecycle rules"), (404, "holds")]
        {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, headers: http::HeaderMap::new(), body: bytes::Bytes::new() };
            let finding = judge(answer, &Path::from("voice/v1/t"));
            assert!(finding.holds && finding.detail.contains(note), "{status}: {finding:?}");
            assert!(!finding.detail.contains("allow"), "{finding:?}");
        }
        let refused = Answer {
            status: StatusCode::FORBIDDEN,
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::new(),
        };
        assert!(judge(refused, &Path::from("voice/v1/t")).detail.contains("s3:GetLifecycleConfiguration"));
    }

    fn expiring(filter: &str) -> String {
        format!(
            "<Rule><ID>r</ID><Status>Enabled</Status>{filter}<Expiration><Days>1</Days></Expiration></Rule>"
        )
    }

    #[test]
    fn a_rule_that_expires_the_tenants_objects_fails() {
        for filter in [
            "",
            "<Filter></Filter>",
            "<Filter><Prefix></Prefix></Filter>",
            "<Prefix>voice/</Prefix>",
            "<Filter><Prefix>voice/v1/t/mb/</Prefix></Filter>",
            "<Filter><Prefix>voice/v1/t/au/</Prefix></Filter>",
        ] {
            let finding = judge_text(&expiring(filter));
            assert!(!finding.holds && finding.detail.contains("\"r\""), "{filter}: {finding:?}");
        }
    }

    fn moving(class: &str) -> String {
        let transition =
            format!("<Transition><Days>30</Days><StorageClass>{class}</StorageClass></Transition>");
        expiring("").replace("<Expiration><Days>1</Days></Expiration>", &transition)
    }

    #[test]
    fn a_rule_that_archives_recordings_fails_and_one_to_a_class_that_is_read_at_once_holds() {
        for class in ["GLACIER", "DEEP_ARCHIVE"] {
            let finding = judge_text(&moving(class));
            assert!(!finding.holds && finding.detail.contains("archives"), "{class}: {finding:?}");
        }
        for class in ["STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "WARMTIER"] {
            assert!(judge_text(&moving(class)).holds, "{class}");
        }
        let two = moving("STANDARD_IA").replace(
            "</Rule>",
            "<Transition><Date>2027-01-01T00:00:00Z</Date><StorageClass>GLACIER</StorageClass></Transition></Rule>",
        );
        assert!(!judge_text(&two).holds);
    }

    #[test]
    fn a_filter_by_tag_or_size_counts_only_if_one_of_our_objects_may_fit_it() {
        let tag = |key: &str| format!("<Tag><Key>{key}</Key><Value>true</Value></Tag>");
        let size = |bytes: u64| format!("<ObjectSizeGreaterThan>{bytes}</ObjectSizeGreaterThan>");
        let both = |inner: String| format!("<And><Prefix>voice/</Prefix>{inner}</And>");
        let ours = tag(CallerTag::NAME);
        for (filter, holds) in [
            (tag("temp"), true),
            (ours.clone(), false),
            (both(tag("temp")), true),
            (both(format!("{ours}{}", tag("temp"))), true),
            (both(ours), false),
            (size(131_072), false),
            (size(5 << 30), true),
            (both(size(5 << 30)), true),
            (both("<ObjectSizeLessThan>1000</ObjectSizeLessThan>".into()), false),
        ] {
            let finding = judge_text(&expiring(&format!("<Filter>{filter}</Filter>")));
            assert_eq!(finding.holds, holds, "{filter}: {finding:?}");
        }
    }

    #[test]
    fn rules_for_other_folders_for_uploads_and_for_versions_are_harmless() {
        let abort = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>\
                     </AbortIncompleteMultipartUpload>";
        let old =
            "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>";
        let disabled = expiring("").replace("Enabled", "Disabled");
        for rules in [
            expiring("<Filter><Prefix>voice/v1/t2/</Prefix></Filter>"),
            expiring("<Filter><Prefix>logs/</Prefix></Filter>"),
            disabled,
            format!("<Rule><ID>u</ID><Status>Enabled</Status>{abort}</Rule>"),
            format!("<Rule><ID>v</ID><Status>Enabled</Status>{old}</Rule>"),
            "<Rule><Status>Enabled</Status><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>\
             </Expiration></Rule>"
                .into(),
        ] {
            assert!(judge_text(&rules).holds, "{rules}");
        }
    }
}
