//! The network namespace in which the cluster runs, and its link to this machine.
//!
//! A veth pair joins both; this machine routes Service and pod addresses through the node, and the node routes
//! everything else back. So host programs reach pods and Services directly, pods reach host programs at
//! [`HOST_IP`], and nothing touches the machine's own packet filter.

use std::process::Command;

use anyhow::{Context, Result};

use crate::layout::{
    HOST_IP, HOST_IP6, HOST_LINK, LINK_PREFIX, LINK_PREFIX6, NETNS, NODE_IP, NODE_IP6, NODE_LINK, POD_CIDR,
    POD_CIDR6, SERVICE_CIDR, SERVICE_CIDR6, has_ipv6, netns_path,
};
use voicemail_test_machine::command::run;

/// Makes namespace, link and routes.
pub(super) fn create() -> Result<()> {
    ip(&["netns", "add", NETNS])?;
    ip(&["link", "add", HOST_LINK, "type", "veth", "peer", "name", NODE_LINK, "netns", NETNS])?;
    ip(&["address", "add", &format!("{HOST_IP}/{LINK_PREFIX}"), "dev", HOST_LINK])?;
    ip(&["link", "set", HOST_LINK, "up"])?;
    ip(&["-n", NETNS, "address", "add", &format!("{NODE_IP}/{LINK_PREFIX}"), "dev", NODE_LINK])?;
    ip(&["-n", NETNS, "link", "set", "lo", "up"])?;
    ip(&["-n", NETNS, "link", "set", NODE_LINK, "up"])?;
    ip(&["-n", NETNS, "route", "add", "default", "via", HOST_IP])?;
    for network in [SERVICE_CIDR, POD_CIDR] {
        ip(&["route", "add", network, "via", NODE_IP, "dev", HOST_LINK])
            .with_context(|| format!("something else on this machine may already use {network}"))?;
    }
    forward_packets("ipv4/ip_forward")?;
    if has_ipv6() { create_ipv6() } else { Ok(()) }
}

/// Nobody else has these addresses: without looking for one they can be used at once.
fn create_ipv6() -> Result<()> {
    ip(&["address", "add", &format!("{HOST_IP6}/{LINK_PREFIX6}"), "dev", HOST_LINK, "nodad"])?;
    let node = format!("{NODE_IP6}/{LINK_PREFIX6}");
    ip(&["-n", NETNS, "address", "add", &node, "dev", NODE_LINK, "nodad"])?;
    ip(&["-n", NETNS, "-6", "route", "add", "default", "via", HOST_IP6])?;
    for network in [SERVICE_CIDR6, POD_CIDR6] {
        ip(&["-6", "route", "add", network, "via", NODE_IP6, "dev", HOST_LINK])
            .with_context(|| format!("something else on this machine may already use {network}"))?;
    }
    forward_packets("ipv6/conf/all/forwarding")
}

fn forward_packets(setting: &str) -> Result<()> {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", netns_path().display()));
    command.args(["sh", "-c", &format!("echo 1 > /proc/sys/net/{setting}")]);
    run(&mut command).context("switching on forwarding in the cluster's namespace").map(drop)
}

/// Removes namespace and link, and with them the routes; what is not there is no error.
pub(super) fn remove() -> Result<()> {
    if std::path::Path::new("/sys/class/net").join(HOST_LINK).exists() {
        ip(&["link", "delete", HOST_LINK])?;
    }
    if netns_path().exists() {
        ip(&["netns", "delete", NETNS])?;
    }
    Ok(())
}

fn ip(args: &[&str]) -> Result<()> {
    run(Command::new("ip").args(args)).map(drop)
}
