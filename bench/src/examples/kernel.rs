//! Programs on the running Linux, by `BPF_PROG_TEST_RUN`: some of the packets, each many times in a row.

use super::{
    Packets, Replay,
    list::Example,
    ours::{fill, said},
};
use crate::rounds::Runs;
use alveary::{Linux, Loaded, Loader, Object, Packet, Target};
use alveary_linux::sys::TestRun;
use std::{os::fd::AsFd, time::Duration};

/// One of so many packets is measured.
const SAMPLE: usize = 150;
/// How often in a row.
const REPEAT: u32 = 1000;

pub(super) struct Kernel {
    loaded: Loaded<Linux>,
    program: &'static str,
    packets: Packets,
}

impl Kernel {
    pub(super) fn load(example: &Example, packets: Packets) -> Result<Kernel, String> {
        if !example.again {
            return Err("test runs give it its own output again, which is another packet".into());
        }
        let object = Object::open(example.object()?).map_err(said)?;
        let loaded = Loader::new(Target::linux()).program(example.program).load(&object).map_err(said)?;
        fill(&loaded, &(example.entries)())?;
        Ok(Kernel { loaded, program: example.program, packets })
    }
}

impl Runs for Kernel {
    fn run(&mut self, times: u32) -> Result<u32, String> {
        self.time(times).map(|_| 0)
    }

    /// What all packets would take, by the kernel's own clock, in whole nanoseconds for each of the sample.
    fn time(&mut self, times: u32) -> Result<Duration, String> {
        let program = self.loaded.program(self.program).map_err(said)?;
        let (mut all, mut count) = (0, 0);
        for data in self.packets.iter().step_by(SAMPLE) {
            let run = TestRun { data, repeat: REPEAT, ..TestRun::default() };
            all += u64::from(run.run(program.handle().as_fd()).map_err(|error| error.to_string())?.duration);
            count += 1;
        }
        let each = all as f64 / f64::from(count);
        Ok(Duration::from_nanos((each * self.packets.len() as f64) as u64) * times)
    }
}

impl Replay for Kernel {
    fn one(&mut self, data: &[u8]) -> Result<(u32, Vec<u8>), String> {
        let program = self.loaded.program(self.program).map_err(said)?;
        let mut through = program.packets().map_err(said)?;
        let verdict = through.run(&Packet { data, ..Packet::default() }).map_err(said)?;
        Ok((verdict.code() as u32, verdict.bytes().to_vec()))
    }

    /// Around each test run the kernel waits for all CPUs, for milliseconds.
    fn of(&self) -> usize {
        SAMPLE
    }
}
