//! One bash that runs command after command, as a person's does: variables, functions and jobs stay.
//!
//! Both outputs go to one pipe. A marker that no command prints ends each command's output.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const MARKER: &str = "--- end of a command ---";
const PATIENCE: Duration = Duration::from_secs(400);

/// A running shell; it ends with this value, and its jobs with it.
pub(crate) struct Shell {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Shell {
    pub(crate) fn start(folder: &Path, environment: &[(&str, String)]) -> Self {
        let mut command = Command::new("bash");
        command.args(["--norc", "--noprofile"]).current_dir(folder);
        command.envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let lines = read_lines(child.stdout.take().unwrap());
        // Jobs are known by number and announced nowhere, as in a script.
        writeln!(input, "exec 2>&1").unwrap();
        Self { child, input, lines }
    }

    /// The output of a command.
    pub(crate) fn run(&mut self, command: &str) -> String {
        writeln!(self.input, "{command}\necho; echo '{MARKER}'").unwrap();
        let (mut printed, end) = (String::new(), Instant::now() + PATIENCE);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("$ {command}\nhas no end; it printed\n{printed}"));
            if line == MARKER {
                return printed;
            }
            printed.push_str(&line);
            printed.push('\n');
        }
    }
}

fn read_lines(output: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Drop for Shell {
    fn drop(&mut self) {
        // It ends its jobs first; then it may be killed, if a command holds it up.
        let _ = writeln!(self.input, "kill $(jobs -p) 2>/dev/null; exit");
        std::thread::sleep(Duration::from_millis(200));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
