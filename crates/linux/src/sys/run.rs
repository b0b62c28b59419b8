//! Running a program without attaching it (`BPF_PROG_TEST_RUN`).

use super::{
    Command, Error, Result,
    attr::TestRunAttr,
    call::{address, address_mut, call},
};
use alveary_abi::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What a test run is given.
#[derive(Debug, Default)]
pub struct TestRun<'a> {
    /// The packet; nothing for types without one.
    pub data: &'a [u8],
    /// Where the packet goes as the program left it; empty if nobody wants it.
    pub data_out: &'a mut [u8],
    /// The context; empty for that which the kernel makes up.
    pub context: Vec<u8>,
    /// Where the context goes as the program left it; empty if nobody wants it.
    pub context_out: &'a mut [u8],
    /// How many times it runs, on its own output; 0 is once.
    pub repeat: u32,
    /// `BPF_F_TEST_RUN_ON_CPU`, `BPF_F_TEST_XDP_LIVE_FRAMES` …
    pub flags: u32,
    /// The CPU, with `BPF_F_TEST_RUN_ON_CPU`.
    pub cpu: u32,
    /// Live frames at a time.
    pub batch_size: u32,
}

/// What a test run gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRunOutcome {
    /// What the program returned.
    pub retval: u32,
    /// Bytes of the packet; more than there was room for if `truncated`.
    pub data: usize,
    /// Bytes of the context.
    pub context: usize,
    /// The context that was given: a program of type `syscall` changes it in place.
    pub given: Vec<u8>,
    /// Time of one run, in ns, on average.
    pub duration: u32,
    /// There was no room for all of the packet or the context. The program has run all the same.
    pub truncated: bool,
}

impl TestRun<'_> {
    /// Runs the program.
    ///
    /// # Errors
    /// The kernel's: `ENOTSUPP` for types that cannot be run this way, `EINVAL` for packets that are none to it.
    pub fn run(self, prog: BorrowedFd<'_>) -> Result<TestRunOutcome> {
        let mut context = self.context;
        let mut attr = TestRunAttr {
            prog_fd: prog.as_raw_fd() as u32,
            data_size_in: self.data.len() as u32,
            data_size_out: self.data_out.len() as u32,
            data_in: address(self.data),
            data_out: address_mut(self.data_out),
            repeat: self.repeat,
            ctx_size_in: context.len() as u32,
            ctx_size_out: self.context_out.len() as u32,
            ctx_in: address_mut(&mut context),
            ctx_out: address_mut(self.context_out),
            flags: self.flags,
            cpu: self.cpu,
            batch_size: self.batch_size,
            ..TestRunAttr::default()
        };
        // SAFETY: all buffers live until the call is over and are as long as the attribute says; those that the kernel
        // writes to, the given context among them, are ours alone.
        let done = unsafe { call(Command::ProgTestRun, &mut attr) };
        let wanted = (attr.data_size_out as usize, attr.ctx_size_out as usize);
        let short = wanted.0 > self.data_out.len() || wanted.1 > self.context_out.len();
        let truncated = match done {
            Ok(_) => false,
            Err(Errno::ENOSPC) if short => true,
            Err(errno) => return Err(Error::new(Command::ProgTestRun, errno)),
        };
        Ok(TestRunOutcome {
            retval: attr.retval,
            data: wanted.0,
            context: wanted.1,
            given: context,
            duration: attr.duration,
            truncated,
        })
    }
}
