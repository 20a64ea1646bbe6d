//! Finds, repairs, replaces or starts the cluster.
//!
//! - A ready cluster of this recipe whose processes live and whose node and name server are ready is used.
//! - One with some dead processes gets them started again, with their recorded arguments.
//! - Anything else (another recipe, another boot, all processes dead, a start that didn't finish, a repair that
//!   failed) is removed and started anew, which takes some ten seconds once the programs are built.
//!
//! All of it blocks and runs under the machine-wide lock. A failure names the component and shows the end of
//! its log.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::families::Families;
use crate::images::{Entry, Images};
use crate::kubectl::Kubectl;
use crate::layout::{Layout, netns_path};
use crate::lock::ClusterLock;
use crate::processes::{Component, Running};
use crate::programs::Programs;
use crate::recipe::Recipe;
use crate::state::{State, find_owner, record_owner};
use crate::{addons, network, pki, prerequisites, sysctls, teardown};
use voicemail_test_machine::command::write_whole;
use voicemail_test_machine::log_end::read_last_lines;
use voicemail_test_machine::progress::{say, step};

const START_DEADLINE: Duration = Duration::from_secs(90);
const REPAIR_DEADLINE: Duration = Duration::from_secs(30);
const SETTLING: Duration = Duration::from_secs(3);
const LOG_LINES: usize = 20;
const LINES_OF_THE_DEAD: usize = 5;

/// Makes sure that a healthy cluster runs and returns its record; without `families` one of either order is used.
pub(super) fn ensure(layout: &Layout, programs: &Programs, families: Option<Families>) -> Result<State> {
    prerequisites::check_root(programs)?;
    let _lock = ClusterLock::acquire()?;
    let running = State::load(layout)?.map(|state| state.families);
    let families = families.or(running).unwrap_or_default();
    families.check()?;
    let recipe = Recipe::render(layout, programs, families);
    if let Some(state) = find_usable(layout, programs, &recipe)? {
        return Ok(state);
    }
    prerequisites::check(programs)?;
    programs.build_missing()?;
    remove_present(layout)?;
    step("starting a local Kubernetes", || Start::new(layout, programs, &recipe, families)?.run())
}

/// Ends the cluster, whichever cache folder it belongs to.
pub(super) fn down(layout: &Layout, programs: &Programs) -> Result<()> {
    prerequisites::check_root(programs)?;
    let _lock = ClusterLock::acquire()?;
    remove_present(layout)
}

/// Ends one program at once, as a crash would; [`ensure`] starts it again.
pub(super) fn kill_component(layout: &Layout, component: &str) -> Result<()> {
    let _lock = ClusterLock::acquire()?;
    let state = State::load(layout)?.ok_or_else(|| anyhow!("no local cluster runs"))?;
    find_running(&state, component)?.kill();
    Ok(())
}

/// Ends one program as a crash would, starts it again, and waits until the cluster is healthy.
pub(super) fn restart_component(layout: &Layout, programs: &Programs, component: &str) -> Result<()> {
    let _lock = ClusterLock::acquire()?;
    let state = State::load(layout)?.ok_or_else(|| anyhow!("no local cluster runs"))?;
    let recipe = Recipe::render(layout, programs, state.families);
    find_running(&state, component)?.kill();
    Start { layout, programs, recipe: &recipe, state }.repair()
}

/// Stops one program without ending it, for that long. Nobody repairs the cluster meanwhile.
pub(super) fn pause_component(layout: &Layout, component: &str, pause: Duration) -> Result<()> {
    let _lock = ClusterLock::acquire()?;
    let state = State::load(layout)?.ok_or_else(|| anyhow!("no local cluster runs"))?;
    let _going_on = find_running(&state, component)?.freeze();
    std::thread::sleep(pause);
    Ok(())
}

fn find_running<'a>(state: &'a State, component: &str) -> Result<&'a Running> {
    let running = state.processes.iter().find(|running| running.component.name == component);
    running.with_context(|| format!("the cluster has no component {component}"))
}

fn remove_present(layout: &Layout) -> Result<()> {
    if let Some(owner) = find_owner().filter(|owner| owner.root() != layout.root()) {
        say(&format!("removing the cluster that another cache folder holds ({})", owner.root().display()));
        teardown::remove(&owner)?;
    }
    teardown::remove(layout)
}

/// The recorded cluster if it is healthy or could be repaired.
fn find_usable(layout: &Layout, programs: &Programs, recipe: &Recipe) -> Result<Option<State>> {
    let Some(state) = State::load(layout)? else { return Ok(None) };
    let ours = find_owner().is_some_and(|owner| owner.root() == layout.root()) && netns_path().exists();
    if !ours || !state.ready || state.recipe != recipe.digest() || !programs.missing().is_empty() {
        say(
            "replacing a cluster that was half started, or made by another version or with another order of address families",
        );
        return Ok(None);
    }
    let mut start = Start { layout, programs, recipe, state };
    if start.all_alive() && start.is_healthy() {
        return Ok(Some(start.state));
    }
    if !start.any_alive() {
        // Whatever ended them all ended the pods too, and what etcd says of those is worth nothing any more.
        say("replacing a cluster whose processes have all ended");
        return Ok(None);
    }
    match start.repair() {
        Ok(()) => Ok(Some(start.state)),
        Err(error) => {
            say(&format!("replacing a cluster that could not be repaired: {error:#}"));
            Ok(None)
        }
    }
}

struct Start<'a> {
    layout: &'a Layout,
    programs: &'a Programs,
    recipe: &'a Recipe,
    state: State,
}

impl<'a> Start<'a> {
    fn new(
        layout: &'a Layout,
        programs: &'a Programs,
        recipe: &'a Recipe,
        families: Families,
    ) -> Result<Self> {
        Ok(Self { layout, programs, recipe, state: State::begin(&recipe.digest(), families)? })
    }

    /// Images are loaded while the API server comes up, which takes longest.
    fn run(mut self) -> Result<State> {
        self.prepare()?;
        self.start_all(&self.recipe.storage_and_api)?;
        self.start_all(&self.recipe.runtime)?;
        self.wait_for("containerd", "containerd", START_DEADLINE, |start| start.images().answers())?;
        self.load_images()?;
        self.wait_for("the API server", "kube-apiserver", START_DEADLINE, |start| start.api_is_ready())?;
        self.start_all(&self.recipe.controllers)?;
        self.start_all(&self.recipe.agents)?;
        self.kubectl().apply(&self.recipe.manifests).context("creating the add-ons")?;
        self.wait_for("a ready node and name server", "kubelet", START_DEADLINE, |start| start.is_healthy())?;
        self.state.ready = true;
        self.state.save(self.layout)?;
        Ok(self.state)
    }

    fn prepare(&self) -> Result<()> {
        let logs = self.layout.path("logs");
        let _no_logs = std::fs::remove_dir_all(&logs);
        std::fs::create_dir_all(&logs).with_context(|| format!("creating {}", logs.display()))?;
        record_owner(self.layout)?;
        sysctls::record()?;
        self.state.save(self.layout)?;
        for (name, content) in &self.recipe.files {
            write_whole(&self.layout.path(name), content)?;
        }
        pki::create(self.layout)?;
        network::create().context("making the cluster's network namespace")
    }

    fn start_all(&mut self, components: &[Component]) -> Result<()> {
        for component in components {
            self.state.processes.push(component.start(self.layout)?);
            self.state.save(self.layout)?;
        }
        Ok(())
    }

    fn load_images(&self) -> Result<()> {
        let pause = Entry::program("pause", &self.programs.pause())?;
        self.images()
            .load_entries("localhost/pause:1", "/pause", &[pause])
            .context("loading the pause image")?;
        let coredns = Entry::program("coredns", &self.programs.path("coredns"))?;
        let reference = addons::coredns_image(self.programs);
        self.images()
            .load_entries(&reference, "/coredns", &[coredns])
            .context("loading the name server's image")
    }

    /// Starts dead programs again and waits for health.
    fn repair(&mut self) -> Result<()> {
        for running in &mut self.state.processes {
            if !running.is_alive() {
                let log = read_last_lines(&self.layout.log(&running.component.name), LINES_OF_THE_DEAD);
                say(&format!(
                    "starting {} again, which had ended; its last lines:\n{log}",
                    running.component.name
                ));
                *running = running.component.start(self.layout)?;
            }
        }
        self.state.save(self.layout)?;
        // A program that can't live ends soon, and what it did before may look healthy until then.
        let settled = Instant::now() + SETTLING;
        self.wait_for("the repaired cluster", "kubelet", REPAIR_DEADLINE, |start| {
            Instant::now() > settled && start.is_healthy()
        })
    }

    fn wait_for(
        &self,
        what: &str,
        component: &str,
        patience: Duration,
        check: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        while !check(self) {
            if let Some(dead) = self.find_dead() {
                bail!("{dead} ended while waiting for {what}\n{}", self.show_log(&dead));
            }
            if Instant::now() > deadline {
                bail!("{what} did not come within {} s\n{}", patience.as_secs(), self.show_log(component));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn show_log(&self, component: &str) -> String {
        let path = self.layout.log(component);
        format!("last lines of {}:\n{}", path.display(), read_last_lines(&path, LOG_LINES))
    }

    fn find_dead(&self) -> Option<String> {
        let dead = self.state.processes.iter().find(|running| !running.is_alive());
        dead.map(|running| running.component.name.clone())
    }

    fn all_alive(&self) -> bool {
        self.find_dead().is_none()
    }

    fn any_alive(&self) -> bool {
        self.state.processes.iter().any(Running::is_alive)
    }

    fn api_is_ready(&self) -> bool {
        self.kubectl().run(&["get", "--raw=/readyz"]).is_ok()
    }

    fn is_healthy(&self) -> bool {
        self.kubectl().node_and_dns_are_ready().unwrap_or(false)
    }

    fn images(&self) -> Images {
        Images::new(self.programs)
    }

    fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.programs.path("kubectl"), self.layout.admin_kubeconfig())
    }
}

/// Tells in one line how the cluster is, without changing it.
pub(super) fn describe(layout: &Layout, programs: &Programs) -> Result<String> {
    let state = State::load(layout)?
        .ok_or_else(|| anyhow!("no local cluster runs; `cargo cluster up` starts one"))?;
    let recipe = Recipe::render(layout, programs, state.families);
    let current = if state.recipe == recipe.digest() { "of this version" } else { "of another version" };
    let start = Start { layout, programs, recipe: &recipe, state };
    let health = match (start.find_dead(), start.state.ready && start.is_healthy()) {
        (Some(dead), _) => format!("broken, {dead} has ended"),
        (None, false) => "not ready".to_owned(),
        (None, true) => "healthy".to_owned(),
    };
    let processes =
        start.state.processes.iter().map(|running| format!("  {} {}", running.pid(), running.component.name));
    let lines: Vec<String> = processes.collect();
    Ok(format!("cluster {} {current}: {health}\n{}", start.state.instance, lines.join("\n")))
}
