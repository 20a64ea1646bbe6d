//! Partitions of AWS: where the endpoints of a region are. Pure.

/// Ends of the names of endpoints, by the beginning of their region's name.
const PARTITIONS: [(&str, &str); 6] = [
    ("cn-", "amazonaws.com.cn"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("eusc-", "amazonaws.eu"),
];
/// The end of all others.
pub const COMMERCIAL: &str = "amazonaws.com";

/// The domain of a region's endpoints, such as `amazonaws.com.cn`.
pub fn domain_of(region: &str) -> &'static str {
    let known = PARTITIONS.into_iter().find(|(prefix, _)| region.starts_with(prefix));
    known.map_or(COMMERCIAL, |(_, domain)| domain)
}
