//! Runs the binary in a directory of its own and writes down what a person would see on the terminal.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

/// A directory, and the binary.
pub(crate) struct Session {
    directory: PathBuf,
    text: String,
}

/// What one command gave.
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

impl Session {
    /// An empty directory.
    pub(crate) fn new() -> Session {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&directory).expect("the directory can be made");
        Session { directory, text: String::new() }
    }

    /// With a file in it.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Session {
        fs::write(self.directory.join(name), content).expect("the file can be written");
        self
    }

    /// With a file of the repository's `examples/` in it.
    pub(crate) fn example(self, name: &str) -> Session {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
        let content = fs::read(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        self.file(name, content)
    }

    /// Runs a command line (words are separated by spaces; those in `'…'` stay together) and writes down what came of it.
    pub(crate) fn run(mut self, line: &str) -> Session {
        let output = self.output(line);
        self.text += &format!("$ alveary {line}\n{}{}", steady(&output.stdout), steady(&output.stderr));
        match output.code {
            Some(0) => {}
            Some(code) => self.text += &format!("(exit code {code})\n"),
            None => self.text += "(killed)\n",
        }
        self.text.push('\n');
        self
    }

    /// Runs a command line.
    pub(crate) fn output(&self, line: &str) -> Output {
        self.output_of(line, &[])
    }

    /// Runs a command line with something on stdin.
    pub(crate) fn output_of(&self, line: &str, input: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_alveary"))
            .args(words(line))
            .current_dir(&self.directory)
            .env_remove("CLICOLOR_FORCE")
            .env("COLUMNS", "100")
            // What is kept between runs is the session's.
            .env("XDG_CACHE_HOME", self.directory.join("cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be run");
        let mut stdin = child.stdin.take().expect("it is piped");
        // A command that does not read its input ends before it is written: what it says tells.
        let (output, _) = thread::scope(|scope| {
            let fed = scope.spawn(move || stdin.write_all(input));
            (child.wait_with_output().expect("the binary ends"), fed.join())
        });
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is text");
        Output { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
    }

    /// Where it runs.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes a file anew.
    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.directory.join(name), content).expect("the file can be written");
    }

    /// A file that a command wrote.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    /// Whether a file is there.
    pub(crate) fn exists(&self, name: &str) -> bool {
        self.directory.join(name).exists()
    }

    /// What was written down.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// The directory goes with the session, unless the test failed and someone may want to look.
impl Drop for Session {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            fs::remove_dir_all(&self.directory).ok();
        }
    }
}

/// Output without what differs from run to run: the time that a packet took, and addresses.
fn steady(text: &str) -> String {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let line = |line: &str| {
        if let Some(number) = line.strip_prefix("  ns per packet") {
            return format!("  ns per packet{:>1$}", "…", number.chars().count());
        }
        for mark in ["\"ns_per_packet\":"] {
            if let Some((before, rest)) = line.split_once(mark) {
                let rest = rest.trim_start_matches(|c: char| digits(c) || mark.ends_with('x') && c.is_ascii_hexdigit());
                return format!("{before}{mark}…{rest}");
            }
        }
        line.to_owned()
    };
    text.lines().map(|l| line(l) + "\n").collect()
}

fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("there is always one").push(c),
        }
    }
    words.retain(|w| !w.is_empty());
    words
}
