//! Lifecycle rules of a bucket: one that expires objects would delete settings, cases and messages by itself.
//!
//! A rule is harmless if it only ends unfinished uploads or removes superseded versions, or if its prefix
//! doesn't touch the tenant's folder. Retention is ours: stamped on each message, and kept to the second.

use super::super::StoreError;
use super::super::probe::Finding;
use super::signed::Answer;
use object_store::path::Path;
use serde::Deserialize;

const PROPERTY: &str = "no-lifecycle-rule";

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
    expiration: Option<Expiration>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    prefix: Option<String>,
    and: Option<And>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct And {
    prefix: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Expiration {
    days: Option<u32>,
    date: Option<String>,
}

impl Rule {
    fn prefix(&self) -> &str {
        let filtered = self
            .filter
            .as_ref()
            .and_then(|filter| filter.prefix.as_deref().or_else(|| filter.and.as_ref()?.prefix.as_deref()));
        filtered.or(self.prefix.as_deref()).unwrap_or_default()
    }

    fn expires(&self) -> bool {
        let by_age = |expiration: &Expiration| expiration.days.is_some() || expiration.date.is_some();
        self.status == "Enabled" && self.expiration.as_ref().is_some_and(by_age)
    }

    /// Whether an object of the folder may fall under the rule.
    fn touches(&self, folder: &str) -> bool {
        let (folder, prefix) = (format!("{folder}/"), self.prefix());
        folder.starts_with(prefix) || prefix.starts_with(&folder)
    }
}

/// What a bucket's answer to `?lifecycle` means for the folder.
pub(super) fn judge(answer: Answer, folder: &Path) -> Finding {
    match answer.found() {
        Ok(None) => Finding::holds(PROPERTY),
        Ok(Some(body)) => judge_rules(&body, folder),
        Err(error) => unreadable(&error),
    }
}

fn judge_rules(body: &[u8], folder: &Path) -> Finding {
    let Ok(configuration) = quick_xml::de::from_reader::<_, Configuration>(body) else {
        return unreadable(&StoreError::Unavailable("the answer isn't the XML that S3 answers".into()));
    };
    let wide = configuration.rules.iter().find(|rule| rule.expires() && rule.touches(folder.as_ref()));
    match wide {
        None => Finding::holds(PROPERTY),
        Some(rule) => Finding::fails(
            PROPERTY,
            format!(
                "lifecycle rule {:?} expires objects below {:?}, and so mailboxes, settings and cases of this \
                 tenant: limit it to another prefix; retention is the tenant's class of service",
                rule.id,
                rule.prefix()
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
             objects of this folder"
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
            "<Filter><And><Prefix>vo</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter>",
            "<Filter><Prefix>voice/v1/t/au/</Prefix></Filter>",
        ] {
            let finding = judge_text(&expiring(filter));
            assert!(!finding.holds && finding.detail.contains("\"r\""), "{filter}: {finding:?}");
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
