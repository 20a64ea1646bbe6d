//! The endpoints of AWS's stores and of its token service, by region. Pure.

use voicemail_api::aws::{COMMERCIAL, domain_of};
use voicemail_api::config::S3Config;

pub(super) fn endpoint_of(config: &S3Config) -> String {
    let aws = || format!("https://s3.{}.{}", config.region, domain_of(&config.region));
    config.endpoint.clone().unwrap_or_else(aws).trim_end_matches('/').to_owned()
}

/// Where a web identity is exchanged; none where the library's own default, or the environment's, is right.
pub(super) fn sts_endpoint_of(config: &S3Config) -> Option<String> {
    let domain = domain_of(&config.region);
    let of_partition = || format!("https://sts.{}.{domain}", config.region);
    let asked = config.sts_endpoint.as_ref().map(|url| url.trim_end_matches('/').to_owned());
    asked.or_else(|| (domain != COMMERCIAL).then(of_partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(region: &str, more: serde_json::Value) -> S3Config {
        let mut config =
            serde_json::json!({"bucket": "voice", "region": region, "credentials": {"webIdentity": {}}});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn every_partition_has_its_own_endpoints_and_a_setting_replaces_them() {
        for (region, s3, sts) in [
            ("eu-west-1", "https://s3.eu-west-1.amazonaws.com", None),
            ("us-gov-west-1", "https://s3.us-gov-west-1.amazonaws.com", None),
            (
                "cn-north-1",
                "https://s3.cn-north-1.amazonaws.com.cn",
                Some("https://sts.cn-north-1.amazonaws.com.cn"),
            ),
            (
                "us-iso-east-1",
                "https://s3.us-iso-east-1.c2s.ic.gov",
                Some("https://sts.us-iso-east-1.c2s.ic.gov"),
            ),
            (
                "us-isob-east-1",
                "https://s3.us-isob-east-1.sc2s.sgov.gov",
                Some("https://sts.us-isob-east-1.sc2s.sgov.gov"),
            ),
            (
                "eusc-de-east-1",
                "https://s3.eusc-de-east-1.amazonaws.eu",
                Some("https://sts.eusc-de-east-1.amazonaws.eu"),
            ),
        ] {
            let config = config(region, serde_json::json!({}));
            assert_eq!((endpoint_of(&config).as_str(), sts_endpoint_of(&config).as_deref()), (s3, sts));
        }
        let own = config(
            "cn-north-1",
            serde_json::json!({"stsEndpoint": "https://sts.internal/", "endpoint": "https://s3.internal"}),
        );
        assert_eq!(endpoint_of(&own), "https://s3.internal");
        assert_eq!(sts_endpoint_of(&own).as_deref(), Some("https://sts.internal"));
    }
}
