//! Tells what a long step does and for how long: a spinner on a terminal, plain lines elsewhere.
//!
//! Plain lines go to standard error, one at the start, one every half minute and one at the end.

use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const REMINDER: Duration = Duration::from_secs(30);

/// Writes one line of news.
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// Runs `work` while showing `what` and the time it takes.
pub fn step<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let display = Display::start(what);
    let result = work();
    display.finish(what, started.elapsed());
    result
}

enum Display {
    Spinner(ProgressBar),
    Lines { stop: Sender<()>, reminder: JoinHandle<()> },
}

impl Display {
    fn start(what: &str) -> Self {
        if std::io::stderr().is_terminal() { Self::start_spinner(what) } else { Self::start_lines(what) }
    }

    fn start_spinner(what: &str) -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
        let bar = ProgressBar::new_spinner().with_message(what.to_owned());
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self::Spinner(bar)
    }

    fn start_lines(what: &str) -> Self {
        say(what);
        let (stop, stopped) = channel();
        let (what, started) = (what.to_owned(), Instant::now());
        let reminder = std::thread::spawn(move || {
            while stopped.recv_timeout(REMINDER) == Err(RecvTimeoutError::Timeout) {
                say(&format!("{what} … {} s so far", started.elapsed().as_secs()));
            }
        });
        Self::Lines { stop, reminder }
    }

    fn finish(self, what: &str, elapsed: Duration) {
        let line = format!("{what}: {:.1} s", elapsed.as_secs_f64());
        match self {
            Self::Spinner(bar) => {
                bar.finish_and_clear();
                say(&line);
            }
            Self::Lines { stop, reminder } => {
                drop(stop);
                let _ended = reminder.join();
                if elapsed > Duration::from_secs(1) {
                    say(&line);
                }
            }
        }
    }
}
