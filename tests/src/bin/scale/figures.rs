//! What was measured, and how it is shown.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

/// Everything that a run measures.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    pub(crate) tenants: usize,
    pub(crate) first_tenth: Duration,
    pub(crate) others: Duration,
    pub(crate) objects_each: f64,
    pub(crate) writes_above: f64,
    pub(crate) resident_mib: f64,
    pub(crate) kib_each: f64,
    pub(crate) kubectl: Duration,
    pub(crate) kubectl_tenants: usize,
    pub(crate) helm: Duration,
    pub(crate) helm_tenants: usize,
    pub(crate) quiet_minutes: u64,
    pub(crate) quiet_writes: usize,
    pub(crate) quiet_cpu_percent: f64,
    pub(crate) restart: Duration,
    pub(crate) restart_writes: usize,
    pub(crate) change_median: Duration,
    pub(crate) change_99th: Duration,
}

impl Figures {
    /// A line each, and all of it as JSON.
    pub(crate) fn table(&self) -> String {
        let each = |time: Duration, count: usize| time.as_secs_f64() * 1000.0 / count.max(1) as f64;
        let (tenth, rest) = (self.tenants.div_ceil(10), self.tenants - self.tenants.div_ceil(10));
        let all = self.first_tenth + self.others;
        let ours = each(all, self.tenants);
        let ratio = |other: f64| other / ours;
        let (kubectl, helm) = (each(self.kubectl, self.kubectl_tenants), each(self.helm, self.helm_tenants));
        let lines = [
            format!(
                "{} tenants from nothing to Ready: {:.1} s, {ours:.0} ms each",
                self.tenants,
                all.as_secs_f64()
            ),
            format!(
                "  the first {tenth}: {:.0} ms each; the others: {:.0} ms each",
                each(self.first_tenth, tenth),
                each(self.others, rest)
            ),
            format!("  {:.1} objects each, {:.2} writes above them", self.objects_each, self.writes_above),
            format!(
                "the same objects by kubectl apply --server-side: {kubectl:.0} ms each, {:.2} times ours",
                ratio(kubectl)
            ),
            format!(
                "helm install of {} of them, extrapolated: {helm:.0} ms each, {:.1} times ours",
                self.helm_tenants,
                ratio(helm)
            ),
            format!("resident: {:.1} MiB, {:.1} KiB a tenant above idle", self.resident_mib, self.kib_each),
            format!(
                "{} quiet minutes: {} writes, {:.2} % of a core",
                self.quiet_minutes, self.quiet_writes, self.quiet_cpu_percent
            ),
            format!(
                "restart until all are confirmed: {:.1} s, {} writes",
                self.restart.as_secs_f64(),
                self.restart_writes
            ),
            format!(
                "a change to its Deployment's update beside broken tenants: median {} ms, 99th {} ms",
                self.change_median.as_millis(),
                self.change_99th.as_millis()
            ),
            serde_json::to_string(self).unwrap_or_default(),
        ];
        lines.join("\n")
    }
}

/// Resident memory of a process, in KiB.
pub(crate) fn resident_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// CPU time of a process so far, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').context("no name")?.1.split_whitespace().collect();
    let ticks = |index: usize| -> Result<f64> { Ok(fields.get(index).context("too short")?.parse()?) };
    // Fields 14 and 15 of proc(5), user and system time, in ticks of which there are always 100 a second.
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}
