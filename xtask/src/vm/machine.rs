//! QEMU: which one, with what, and what the machine said.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{debian, image, kernels::Kernel};
use crate::process::{self, command};

const QEMU: &str = "qemu-system-x86_64";

/// What the machine is made of: all processors of this kind of emulation, two of them, and memory for the files.
const HARDWARE: &[&str] =
    &["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048", "-display", "none", "-monitor", "none"];

/// Quiet, a panic ends it, and BPF may be a security module. A timer that comes late, because this machine has other work,
/// is not taken for a broken one.
const KERNEL_LINE: &str = "console=ttyS0 quiet panic=-1 no_timer_check lsm=lockdown,capability,landlock,bpf";

/// What the first file system may hold: half of the memory, and what is packed lies beside it until it is unpacked.
const MOST: usize = 900 << 20;

/// What init writes before the exit code.
const EXIT: &str = "alveary-vm: exit ";

/// Why nothing can be booted, if nothing can.
pub(super) fn obstacle() -> Option<String> {
    (!process::exists(QEMU)).then(|| "qemu-system-x86 is not installed".into())
}

/// A machine that is ready to boot.
pub(super) struct Machine {
    qemu: Command,
    console: PathBuf,
    image: PathBuf,
}

/// Finds kernel and QEMU, and downloads what is missing.
pub(super) fn prepare(kernel: &Kernel) -> Result<Machine, String> {
    let mut qemu =
        if installed_version().is_some_and(|version| version >= kernel.qemu) { command(QEMU, &[]) } else { newer()? };
    // Files of this run alone: several may run at once.
    let run = std::process::id();
    let image = debian::folder().join(format!("run-{run}.cpio"));
    let console = debian::folder().join(format!("run-{run}.log"));
    qemu.args(HARDWARE).args(["-no-reboot", "-nodefaults", "-append", KERNEL_LINE, "-kernel"]);
    qemu.arg(image::kernel(kernel)?).arg("-initrd").arg(&image);
    qemu.args(["-serial", &format!("file:{}", console.display())]);
    qemu.args(["-chardev", "stdio,id=output,signal=off", "-serial", "chardev:output"]);
    Ok(Machine { qemu, console, image })
}

impl Machine {
    /// Boots and passes on what the command prints; gives its exit code.
    pub(super) fn boot(mut self, image: &[u8], patience: Duration) -> Result<i32, String> {
        if image.len() > MOST {
            let megabytes = image.len() >> 20;
            return Err(format!("the machine's files are {megabytes} MiB, it has room for {} MiB", MOST >> 20));
        }
        fs::write(&self.image, image).map_err(|error| format!("{}: {error}", self.image.display()))?;
        let end = self.run(patience);
        let console = fs::read(&self.console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        for file in [&self.image, &self.console] {
            drop(fs::remove_file(file));
        }
        let code = console.lines().find_map(|line| line.trim().strip_prefix(EXIT)?.parse().ok());
        end.and(code.ok_or_else(|| "the machine ended before its command did".to_owned()))
            .map_err(|what| format!("{what}; its last words:\n{}", last_lines(&console)))
    }

    fn run(&mut self, patience: Duration) -> Result<(), String> {
        let mut child = self.qemu.stdin(Stdio::null()).spawn().map_err(|error| format!("{QEMU}: {error}"))?;
        let start = Instant::now();
        loop {
            match child.try_wait() {
                Ok(Some(_)) => return Ok(()),
                Ok(None) if start.elapsed() < patience => thread::sleep(Duration::from_millis(50)),
                Ok(None) => {
                    let _ = child.kill().and_then(|()| child.wait());
                    return Err(format!("no end after {} s", patience.as_secs()));
                }
                Err(error) => return Err(format!("{QEMU}: {error}")),
            }
        }
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// The major version of the QEMU that is installed.
fn installed_version() -> Option<u32> {
    let text = process::output(&mut command(QEMU, &["--version"])).ok()?;
    text.split("version ").nth(1)?.split('.').next()?.parse().ok()
}

/// QEMU of Debian's newest release, with every library that it needs, run by its own loader.
fn newer() -> Result<Command, String> {
    let root = debian::unpacked("qemu", |archive| archive.closure("qemu-system-x86"))?;
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let path = [libraries.clone(), libraries.join("systemd")].map(|folder| folder.display().to_string()).join(":");
    let loader = libraries.join("ld-linux-x86-64.so.2");
    let mut qemu = command(&text(&loader), &["--library-path", &path]);
    qemu.arg(root.join("usr/bin").join(QEMU));
    for data in ["usr/share/qemu", "usr/share/seabios"] {
        qemu.arg("-L").arg(root.join(data));
    }
    Ok(qemu)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
