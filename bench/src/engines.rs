//! The engines that are measured, in the order of the table's columns.

use crate::{
    alone::Alone,
    compile::{self, CLANG, GCC},
    kernel,
    native::Native,
    ours::Ours,
    rounds::{Rounds, Runs, Time},
    set::Kernel,
};
use alveary_runtime::{Engine, Passes};

/// An engine: its name in the table, and what makes a kernel ready for it.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    make: fn(&Job<'_>) -> Made,
    /// It is no engine of ours, and may not be there or not know an instruction.
    foreign: bool,
}

type Made = Result<Box<dyn Runs>, String>;

/// A kernel that is to be measured.
struct Job<'a> {
    set: &'a str,
    kernel: &'a Kernel,
    version: &'a str,
}

impl Job<'_> {
    fn packet(&self) -> Vec<u8> {
        (self.kernel.packet)()
    }

    fn ours(&self, engine: Engine) -> Made {
        if self.kernel.unproven {
            let native = (engine == Engine::Jit).then_some(Passes::default());
            return Ok(Box::new(Alone::link(&self.plain()?, native, self.packet())?));
        }
        let object = compile::xdp(self.set, self.kernel, self.version)?;
        Ok(Box::new(Ours::load(&object, engine, &self.packet())?))
    }

    fn native(&self, compiler: compile::Compiler) -> Result<Native, String> {
        Native::open(&compiler.native(self.set, self.kernel)?, self.packet())
    }

    fn plain(&self) -> Result<Vec<u8>, String> {
        compile::plain(self.set, self.kernel, self.version)
    }
}

/// What all are compared with.
const REFERENCE: Column = Column { name: "clang -O2", make: |job| clang(job), foreign: false };
const OURS: [Column; 2] = [
    Column { name: "JIT", make: |job| job.ours(Engine::Jit), foreign: false },
    Column { name: "interpreter", make: |job| job.ours(Engine::Interp), foreign: false },
];
const GCC_COLUMN: Column = Column { name: "gcc -O3", make: |job| Ok(Box::new(job.native(GCC)?)), foreign: true };
const KERNEL: Column = Column {
    name: "kernel",
    make: |job| {
        if job.kernel.unproven {
            return Err("no verifier takes it".into());
        }
        let object = compile::xdp(job.set, job.kernel, job.version)?;
        Ok(Box::new(kernel::Kernel::load(&object, job.packet())?))
    },
    foreign: true,
};
#[cfg(feature = "peers")]
const PEERS: [Column; 2] = [
    Column {
        name: "rbpf",
        make: |job| Ok(Box::new(crate::peers::Rbpf::compile(job.plain()?, job.packet())?)),
        foreign: true,
    },
    Column {
        name: "sbpf",
        make: |job| Ok(Box::new(crate::peers::Sbpf::compile(job.plain()?, job.packet())?)),
        foreign: true,
    },
];

fn clang(job: &Job<'_>) -> Made {
    let native = job.native(CLANG)?;
    #[cfg(feature = "peers")]
    crate::peers::share_map(&native);
    Ok(Box::new(native))
}

/// The columns for a set: other engines have plain memory alone, which only the first set is content with.
pub(crate) fn columns(with_peers: bool) -> Vec<Column> {
    let columns = [REFERENCE, GCC_COLUMN].into_iter().chain(OURS).chain([KERNEL]);
    #[cfg(feature = "peers")]
    let columns = columns.chain(PEERS.into_iter().filter(|_| with_peers));
    #[cfg(not(feature = "peers"))]
    let _ = with_peers;
    columns.collect()
}

/// Times of a kernel by column; what cannot run it has none, and says why on the standard error.
pub(crate) fn measure(
    columns: &[Column],
    set: &str,
    kernel: &Kernel,
    version: &str,
    rounds: Rounds,
) -> Result<Vec<Option<Time>>, String> {
    let job = Job { set, kernel, version };
    let mut engines: Vec<Option<Box<dyn Runs>>> = vec![];
    let mut expected = None;
    for column in columns {
        let made = (column.make)(&job).and_then(|mut runs| {
            let result = (0..3).try_fold(0, |_, _| runs.run(1))?;
            let expected = *expected.get_or_insert(result);
            let differs = || format!("returns {result:#x}, not {expected:#x}");
            if result == expected { Ok(runs) } else { Err(differs()) }
        });
        engines.push(match made {
            Ok(runs) => Some(runs),
            Err(why) if column.foreign => {
                eprintln!("{} {} {version}: {why}", kernel.name, column.name);
                None
            }
            Err(why) => return Err(format!("{} {} {version}: {why}", kernel.name, column.name)),
        });
    }
    rounds.measure(&mut engines)
}
