//! A line for each step with its time, something that moves while it lasts, and a summary at the end.
//!
//! Results go to standard output; what moves goes to standard error, as a spinner on a terminal and as a
//! line every ten seconds elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

use voicemail_test_machine::progress::say;

const REMINDER: Duration = Duration::from_secs(10);

/// The steps so far.
#[derive(Debug)]
pub struct Steps {
    started: Instant,
    done: Vec<(String, Duration)>,
}

impl Default for Steps {
    fn default() -> Self {
        Self { started: Instant::now(), done: Vec::new() }
    }
}

impl Steps {
    /// Does one step. `what` says what holds when it has succeeded.
    pub async fn run<T>(&mut self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let started = Instant::now();
        let spinner = std::io::stderr().is_terminal().then(|| start_spinner(what));
        let result = remind(what, spinner.is_none(), work).await;
        if let Some(spinner) = spinner {
            spinner.finish_and_clear();
        }
        self.finish(what, started, result)
    }

    /// Like [`Steps::run`] for work that tells its progress itself.
    pub async fn run_talking<T>(&mut self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let started = Instant::now();
        let result = work.await;
        self.finish(what, started, result)
    }

    fn finish<T>(&mut self, what: &str, started: Instant, result: Result<T>) -> Result<T> {
        let elapsed = started.elapsed();
        if result.is_err() {
            print(&format!("✗ {}  {what}", seconds(elapsed)));
            return result.with_context(|| format!("this did not come true: {what}"));
        }
        print(&format!("✓ {}  {what}", seconds(elapsed)));
        self.done.push((what.to_owned(), elapsed));
        result
    }

    /// Prints something below the latest step.
    pub fn show(&self, text: &str) {
        text.lines().for_each(|line| print(&format!("            {line}")));
    }

    /// Prints all steps again, with the whole time.
    pub fn summarise(&self) {
        print("");
        for (what, elapsed) in &self.done {
            print(&format!("  {}  {what}", seconds(*elapsed)));
        }
        print(&format!("  {}  in all", seconds(self.started.elapsed())));
    }
}

/// Prints one line; a reader that has gone is no error.
fn print(line: &str) {
    let _reader_gone = writeln!(std::io::stdout(), "{line}");
}

fn seconds(time: Duration) -> String {
    format!("{:6.1} s", time.as_secs_f64())
}

fn start_spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed}  {msg} …") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

async fn remind<T>(what: &str, aloud: bool, work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let mut reminder = tokio::time::interval_at(tokio::time::Instant::now() + REMINDER, REMINDER);
    tokio::pin!(work);
    loop {
        tokio::select! {
            result = &mut work => return result,
            _ = reminder.tick() => {
                if aloud {
                    say(&format!("… {}  {what}: not yet", seconds(started.elapsed())));
                }
            }
        }
    }
}
