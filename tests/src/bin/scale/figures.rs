//! The measured figures, and how they are shown.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

const MIB: f64 = 1024.0 * 1024.0;

/// Everything that a run measures.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    pub(crate) tenants: usize,
    pub(crate) first_tenth: Duration,
    pub(crate) others: Duration,
    pub(crate) objects_each: f64,
    pub(crate) writes_above: f64,
    /// All requests of the operator while tenants were made, a tenant; without watches.
    pub(crate) requests_each: f64,
    pub(crate) resident_mib: f64,
    pub(crate) kib_each: f64,
    pub(crate) kubectl: Duration,
    pub(crate) kubectl_tenants: usize,
    /// CPU time of all programs of the machine while kubectl applied.
    pub(crate) kubectl_cpu: Duration,
    pub(crate) helm: Duration,
    pub(crate) helm_tenants: usize,
    pub(crate) helm_ready: Duration,
    pub(crate) helm_ready_tenants: usize,
    /// CPU time of all programs of the machine while tenants were made.
    pub(crate) machine_cpu: Duration,
    /// The operator's part of it.
    pub(crate) operator_cpu: Duration,
    pub(crate) quiet_minutes: u64,
    pub(crate) quiet_writes: usize,
    pub(crate) quiet_cpu_percent: f64,
    pub(crate) restart: Duration,
    pub(crate) restart_writes: usize,
    pub(crate) change_median: Duration,
    pub(crate) change_99th: Duration,
}

impl Figures {
    /// Milliseconds that the operator took for a tenant.
    fn ours(&self) -> f64 {
        each(self.first_tenth + self.others, self.tenants)
    }

    fn kubectl_each(&self) -> f64 {
        each(self.kubectl, self.kubectl_tenants)
    }

    fn helm_each(&self) -> f64 {
        each(self.helm, self.helm_tenants)
    }

    /// Until its pods serve, as ours do.
    fn helm_ready_each(&self) -> f64 {
        each(self.helm_ready, self.helm_ready_tenants)
    }

    /// How much longer one of the later tenants took than one of the first tenth.
    fn growth(&self) -> f64 {
        let (tenth, rest) = self.split();
        each(self.others, rest) / each(self.first_tenth, tenth)
    }

    fn split(&self) -> (usize, usize) {
        let tenth = self.tenants.div_ceil(10);
        (tenth, self.tenants - tenth)
    }

    /// The bounds that this run didn't keep.
    pub(crate) fn missed(&self) -> Vec<String> {
        let allowed_mib = (20e6 + 35_000.0 * self.tenants as f64) / MIB;
        let bounds = [
            ("kubectl apply takes no longer", self.kubectl_each() >= self.ours()),
            (
                "helm install --wait takes at least 3.5 times as long",
                self.helm_ready_each() >= 3.5 * self.ours(),
            ),
            ("at most 25 requests a tenant", self.requests_each <= 25.0),
            ("at most 180 ms of CPU a tenant", each(self.machine_cpu, self.tenants) <= 180.0),
            ("at most 3 writes a tenant above its objects", self.writes_above <= 3.0),
            ("no writes in quiet minutes", self.quiet_writes == 0),
            ("under 1 % of a core in quiet minutes", self.quiet_cpu_percent < 1.0),
            ("at most 20 MB and 35 KB a tenant", self.resident_mib <= allowed_mib),
            ("confirmed within 10 s of a restart", self.restart < Duration::from_secs(10)),
            ("no writes after a restart", self.restart_writes == 0),
            ("a change within 500 ms (99th)", self.change_99th < Duration::from_millis(500)),
            ("linear growth, a fifth of noise allowed", self.growth() <= 1.2),
        ];
        bounds.iter().filter(|(_, kept)| !kept).map(|(bound, _)| (*bound).to_owned()).collect()
    }

    /// A line each, and all of it as JSON.
    pub(crate) fn table(&self) -> String {
        let (tenth, rest) = self.split();
        let all = self.first_tenth + self.others;
        let ours = self.ours();
        let ratio = |other: f64| other / ours;
        let (kubectl, helm) = (self.kubectl_each(), self.helm_each());
        let helm_ready = self.helm_ready_each();
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
            format!(
                "  {:.1} objects each, {:.2} writes above them, {:.1} requests",
                self.objects_each, self.writes_above, self.requests_each
            ),
            format!(
                "the same objects by kubectl apply --server-side: {kubectl:.0} ms each, {:.2} times ours",
                ratio(kubectl)
            ),
            format!(
                "helm install of {} of them, extrapolated: {helm:.0} ms each, {:.1} times ours",
                self.helm_tenants,
                ratio(helm)
            ),
            format!(
                "helm install --wait of {} of them: {helm_ready:.0} ms each, {:.1} times ours",
                self.helm_ready_tenants,
                ratio(helm_ready)
            ),
            format!(
                "CPU of all programs while tenants were made: {:.0} ms each, {:.0} ms of them the operator's",
                each(self.machine_cpu, self.tenants),
                each(self.operator_cpu, self.tenants)
            ),
            format!(
                "CPU of all programs while kubectl applied: {:.0} ms each",
                each(self.kubectl_cpu, self.kubectl_tenants)
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

/// Milliseconds for each of so many.
fn each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1000.0 / count.max(1) as f64
}

/// Resident memory of a process, in KiB.
pub(crate) fn resident_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// CPU time of all programs since the machine's start.
pub(crate) fn machine_cpu_time() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let all =
        stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("no line of all CPUs")?;
    // proc(5): user, nice, system, and both kinds of interrupts. User time has that of guests already.
    add_ticks(all, &[0, 1, 2, 5, 6])
}

/// CPU time of a process so far.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // Fields 14 and 15 of proc(5), user and system time; the name before the third may have spaces.
    add_ticks(stat.rsplit_once(')').context("no name")?.1, &[11, 12])
}

/// Adds up some of the fields, in ticks of which there are always 100 a second.
fn add_ticks(fields: &str, wanted: &[usize]) -> Result<Duration> {
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: &usize| -> Result<u64> { Ok(fields.get(*index).context("too short")?.parse()?) };
    let ticks = wanted.iter().map(ticks).sum::<Result<u64>>()?;
    Ok(Duration::from_millis(ticks * 10))
}
