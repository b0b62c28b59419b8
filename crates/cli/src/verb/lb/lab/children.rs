//! Processes of a lab: each in a node's network namespace, all of them gone when the lab is, however it ends.

use alveary::kernel::{Namespace, child::ends_with_us};
use alveary_diag::{Diagnostic, Place};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs::File,
    io,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Sender},
    thread,
};

type Job = (Namespace, Command, Sender<io::Result<Child>>);

/// Starts processes. They end with the thread that started them, which is why one thread starts all of them.
pub(super) struct Starter {
    jobs: Sender<Job>,
}

impl Starter {
    pub(super) fn new() -> io::Result<Starter> {
        let (jobs, taken) = mpsc::channel::<Job>();
        thread::Builder::new().name("starter".into()).spawn(move || {
            for (namespace, mut command, to) in taken {
                let started = namespace.enter().and_then(|()| ends_with_us(&mut command).spawn());
                // Who asked for it waits for the answer.
                let _ = to.send(started);
            }
        })?;
        Ok(Starter { jobs })
    }

    /// Starts a program in a namespace; what it says goes to the end of a file.
    pub(super) fn start(
        &self,
        name: &str,
        namespace: &Namespace,
        mut command: Command,
        log: &Path,
    ) -> Result<Running, Diagnostic> {
        let begin = || {
            let log = File::options().create(true).append(true).open(log)?;
            command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
            let (to, from) = mpsc::channel();
            let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            self.jobs.send((namespace.try_clone()?, command, to)).map_err(|_| gone(()))?;
            from.recv().map_err(|_| gone(()))?
        };
        let child = begin().map_err(|why: io::Error| {
            Diagnostic::new("lab", format!("`{name}` cannot be started"), Place::Nowhere).found(why.to_string())
        })?;
        Ok(Running { child })
    }
}

/// A process that runs until this value is dropped.
pub(super) struct Running {
    child: Child,
}

impl Running {
    /// Sends it a signal; one that has ended is sent none.
    pub(super) fn signal(&mut self, signal: Signal) {
        if !self.ended()
            && let Some(pid) = Pid::from_raw(self.child.id() as i32)
        {
            // It is ours and not yet waited for: no other process has its number.
            let _ = kill_process(pid, signal);
        }
    }

    /// Whether it has ended.
    pub(super) fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it has ended.
    pub(super) fn wait(&mut self) {
        // Only of a process that is none can there be nothing to wait for.
        let _ = self.child.wait();
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }
}
