//! Kernels on the running Linux, by `BPF_PROG_TEST_RUN`.

use crate::rounds::Runs;
use alveary::{LinuxProgram, Loader, Object, Target};
use alveary_linux::sys::{TestRun, TestRunOutcome};
use std::{os::fd::AsFd, path::Path, time::Duration};

/// A program of the kernel, with its packet.
pub(crate) struct Kernel {
    prog: LinuxProgram,
    packet: Vec<u8>,
}

impl Kernel {
    /// Loads an object's only program.
    pub(crate) fn load(object: &Path, packet: Vec<u8>) -> Result<Kernel, String> {
        let said = |error: alveary::Error| error.to_string();
        let loaded = Loader::new(Target::linux()).load(&Object::open(object).map_err(said)?).map_err(said)?;
        let prog = loaded.programs().next().ok_or("the object has no program")?.handle().clone();
        Ok(Kernel { prog, packet })
    }
}

impl Kernel {
    fn test_run(&self, repeat: u32) -> Result<TestRunOutcome, String> {
        let run = TestRun { data: &self.packet, repeat, ..TestRun::default() };
        run.run(self.prog.as_fd()).map_err(|error| error.to_string())
    }
}

impl Runs for Kernel {
    fn run(&mut self, times: u32) -> Result<u32, String> {
        Ok(self.test_run(times)?.retval)
    }

    /// By the kernel's own clock, in whole nanoseconds a run: around the runs it also waits for all CPUs.
    fn time(&mut self, times: u32) -> Result<Duration, String> {
        Ok(Duration::from_nanos(u64::from(self.test_run(times)?.duration) * u64::from(times)))
    }
}
